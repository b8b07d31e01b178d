//! Interfaces with several queues.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread;

use tapline_device::{Device, KernelDevice, MultiQueue, OpenError, OpenRequest, Unit, open};
use tapline_frame::Mode;

use crate::harness::{Collected, device, exists, in_namespace, plain, readable, run, runtime};

const FLOWS: u16 = 48;
const FIRST_PORT: u16 = 5000;

fn request(unit: Unit) -> OpenRequest {
    OpenRequest::new(Mode::Ethernet, unit)
}

fn has_carrier(interface: &str) -> bool {
    !run(&format!("ip link show {interface}")).contains("NO-CARRIER")
}

/// `tap0` at 192.0.2.1 with a neighbour at 192.0.2.2 and flows to it, and its queues.
struct Tap {
    sockets: Vec<UdpSocket>,
    queues: Vec<KernelDevice>,
    sent: u8,
}

/// For each flow by its port: the queue that it was found in, and the numbers of its packets.
type Seen = BTreeMap<u16, (usize, Vec<u8>)>;

impl Tap {
    fn with_queues(count: usize) -> Self {
        let interface = MultiQueue::open(&request(Unit::Number(0))).unwrap();
        run("sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1");
        run("ip address add 192.0.2.1/24 dev tap0");
        run("ip link set tap0 address 02:00:00:00:00:01 up");
        let mut queues: Vec<_> = (0..count).map(|_| interface.queue().unwrap()).collect();
        for queue in &mut queues {
            queue.set_carrier(true).unwrap();
        }
        run("ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev tap0");
        let sockets = (0..FLOWS).map(|flow| {
            let socket = UdpSocket::bind(("192.0.2.1", FIRST_PORT + flow)).unwrap();
            socket.connect("192.0.2.2:9").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        });
        Self { sockets: sockets.collect(), queues, sent: 0 }
    }

    /// Sends three packets of every flow and reads all queues.
    fn exchange(&mut self) -> Seen {
        for _ in 0..3 {
            for socket in &self.sockets {
                socket.send(&[self.sent]).unwrap();
            }
            self.sent += 1;
        }
        let mut seen = Seen::new();
        for (at, queue) in self.queues.iter_mut().enumerate() {
            let mut batch = Collected::up_to(usize::MAX);
            queue.read_batch(&mut batch).unwrap();
            for (_, frame) in batch.frames {
                let port = u16::from_be_bytes([frame[34], frame[35]]);
                let (of, numbers) = seen.entry(port).or_insert((at, Vec::new()));
                assert_eq!(*of, at, "the flow from port {port} is in two queues");
                numbers.push(frame[42]);
            }
        }
        assert_eq!(seen.len(), usize::from(FLOWS));
        let expected = [self.sent - 3, self.sent - 2, self.sent - 1];
        assert!(seen.values().all(|(_, numbers)| *numbers == expected), "{seen:?}");
        seen
    }
}

fn placement(seen: &Seen) -> Vec<usize> {
    seen.values().map(|(queue, _)| *queue).collect()
}

/// The answer of 192.0.2.2 to a flow.
fn answer(port: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0xf6, 0xcc, 192, 0, 2, 2, 192, 0, 2, 1]);
    frame.extend([0, 9]);
    frame.extend(port.to_be_bytes());
    frame.extend([0, 9, 0, 0, b'!']);
    frame
}

#[test]
fn a_flow_keeps_its_order_and_its_queue_whatever_is_written() {
    in_namespace(|| {
        let mut tap = Tap::with_queues(3);
        let placed = placement(&tap.exchange());
        assert!((0..3).all(|queue| placed.contains(&queue)), "a queue has no flow: {placed:?}");
        assert_eq!(placement(&tap.exchange()), placed);

        // All answers come through one queue, as they do when the other side has chosen so.
        for flow in 0..FLOWS {
            let written = tap.queues[1].write_batch(&[plain(&answer(FIRST_PORT + flow))]).unwrap();
            assert_eq!((written.written, written.dropped), (1, 0));
        }
        for socket in &tap.sockets {
            assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
        }
        assert_eq!(placement(&tap.exchange()), placed);
    });
}

#[test]
fn a_queue_without_carrier_leaves_its_flows_to_the_others() {
    in_namespace(|| {
        let mut tap = Tap::with_queues(3);
        let placed = placement(&tap.exchange());
        for down in 0..3 {
            tap.queues[down].set_carrier(false).unwrap();
            assert!(has_carrier("tap0"));
            assert!(!placement(&tap.exchange()).contains(&down));
            tap.queues[down].set_carrier(true).unwrap();
            let now = placement(&tap.exchange());
            assert!((0..3).all(|queue| now.contains(&queue)), "{now:?}, and at first {placed:?}");
        }
        // From elsewhere, while the device is in use.
        let switch = tap.queues[0].carrier_switch().unwrap();
        thread::spawn(move || switch.set(false).unwrap()).join().unwrap();
        assert!(!placement(&tap.exchange()).contains(&0));
        tap.queues[0].set_carrier(true).unwrap();
        assert!(placement(&tap.exchange()).contains(&0));
        // One that is gone for good.
        tap.queues.pop();
        assert!(!placement(&tap.exchange()).contains(&2));
    });
}

#[test]
fn the_interface_has_carrier_while_a_queue_has() {
    in_namespace(|| {
        for mode in [Mode::Ethernet, Mode::PointToPoint] {
            let interface = MultiQueue::open(&OpenRequest::new(mode, Unit::Any)).unwrap();
            let name = interface.name().to_owned();
            run(&format!("ip link set {name} up"));
            let mut first = interface.queue().unwrap();
            let mut second = interface.queue().unwrap();
            assert_eq!((first.name(), first.mode(), first.offloads().tso), (name.as_str(), mode, true));
            assert!(!has_carrier(&name));
            first.set_carrier(true).unwrap();
            second.set_carrier(true).unwrap();
            first.set_carrier(true).unwrap();
            first.set_carrier(false).unwrap();
            assert!(has_carrier(&name));
            first.set_carrier(true).unwrap();
            drop(first);
            assert!(has_carrier(&name));
            second.set_carrier(false).unwrap();
            assert!(!has_carrier(&name));
            second.set_carrier(true).unwrap();
            drop(second);
            assert!(!has_carrier(&name));
            assert!(exists(&name));
            drop(interface);
            assert!(!exists(&name));
        }
    });
}

#[test]
fn the_interface_stays_as_long_as_a_queue() {
    in_namespace(|| {
        let interface = MultiQueue::open(&request(Unit::Number(0))).unwrap();
        let queue = interface.queue().unwrap();
        drop(interface);
        assert!(exists("tap0"));
        drop(queue);
        assert!(!exists("tap0"));
    });
}

#[test]
fn a_deleted_interface_ends_every_queue_and_does_not_come_back() {
    in_namespace(|| {
        let interface = MultiQueue::open(&request(Unit::Number(0))).unwrap();
        let mut taking_part = interface.queue().unwrap();
        let mut waiting = interface.queue().unwrap();
        taking_part.set_carrier(true).unwrap();
        run("ip link delete tap0");
        for queue in [&mut taking_part, &mut waiting] {
            assert!(runtime().block_on(readable(queue)).is_err());
            queue.detach();
            assert!(queue.write_batch(&[plain(&answer(9))]).is_err());
        }
        assert!(matches!(interface.queue(), Err(OpenError::SetUp { .. })));
        assert!(!exists("tap0"));
    });
}

#[test]
fn a_renamed_interface_keeps_its_queues() {
    in_namespace(|| {
        let interface = MultiQueue::open(&request(Unit::Number(0))).unwrap();
        run("ip link set tap0 name lab-a");
        let _queue = interface.queue().unwrap();
        assert!(!exists("tap0"));
        assert!(run("ip -d link show lab-a").contains("numdisabled 2"));
    });
}

#[test]
fn a_persistent_interface_with_queues_is_used_alone_and_stays() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tap multi_queue");
        for _ in 0..2 {
            let interface = MultiQueue::open(&request(Unit::Number(3))).unwrap();
            let mut queue = interface.queue().unwrap();
            queue.set_carrier(true).unwrap();
            assert!(queue.is_persistent());
            assert!(run("ethtool -k tap3").contains("tcp-segmentation-offload: on"));
            let busy = MultiQueue::open(&request(Unit::Number(3))).unwrap_err();
            assert!(matches!(&busy, OpenError::Busy { interface } if interface == "tap3"), "{busy}");
            assert!(
                run("ethtool -k tap3").contains("tcp-segmentation-offload: on"),
                "the other is disturbed"
            );
            drop(interface);
            drop(queue);
            assert!(run("ethtool -k tap3").contains("tcp-segmentation-offload: off"));
        }
        assert!(exists("tap3"));
    });
}

#[test]
fn what_is_not_made_for_queues_is_named() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tap");
        let error = MultiQueue::open(&request(Unit::Number(3))).unwrap_err();
        assert!(matches!(&error, OpenError::SingleQueue { interface, .. } if interface == "tap3"), "{error}");
        let text = error.to_string();
        assert!(text.contains("`ip tuntap add dev tap3 mode tap multi_queue`"), "{text}");
        // Nothing was taken from it.
        drop(device(Mode::Ethernet, Unit::Number(3)));

        // In use by others, with one queue and with several.
        let held = device(Mode::Ethernet, Unit::Number(4));
        let error = MultiQueue::open(&request(Unit::Number(4))).unwrap_err();
        assert!(matches!(error, OpenError::Busy { .. }), "{error}");
        drop(held);
        let held = MultiQueue::open(&request(Unit::Number(4))).unwrap();
        for error in [
            MultiQueue::open(&request(Unit::Number(4))).unwrap_err(),
            open(&request(Unit::Number(4))).map(|device| device.name().to_owned()).unwrap_err(),
        ] {
            assert!(matches!(error, OpenError::Busy { .. }), "{error}");
        }
        drop(held);

        run("ip link add tap5 type bridge");
        let error = MultiQueue::open(&request(Unit::Number(5))).unwrap_err();
        assert!(matches!(error, OpenError::NameTaken { .. }), "{error}");
        let error = MultiQueue::open(&request(Unit::Number(Unit::MAX + 1))).unwrap_err();
        assert!(matches!(error, OpenError::UnitOutOfRange(_)), "{error}");
    });
}

#[test]
fn a_queue_that_takes_no_part_is_empty() {
    in_namespace(|| {
        let mut tap = Tap::with_queues(2);
        tap.queues[0].set_carrier(false).unwrap();
        tap.exchange();
        let mut batch = Collected::up_to(1);
        assert_eq!(tap.queues[0].read_batch(&mut batch).unwrap(), 0);
    });
}
