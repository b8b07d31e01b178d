//! Names, units, persistent interfaces and privileges.

use std::os::fd::AsRawFd;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tapline_device::{Device, MultiQueue, OffloadPolicy, OpenError, OpenRequest, Unit, clear_offloads, open};
use tapline_frame::Mode;

use crate::harness::{
    PacketSocket, device, exists, experimental_frame, in_namespace, is_experimental, plain, read_until, run,
    wait_until,
};

/// A user that exists everywhere and owns nothing.
const NOBODY: u32 = 65_534;

fn error(mode: Mode, unit: Unit) -> OpenError {
    let error = open(&OpenRequest::new(mode, unit)).map(|device| device.name().to_owned()).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error
}

#[test]
fn any_is_the_lowest_free_number() {
    in_namespace(|| {
        let first = device(Mode::Ethernet, Unit::Any);
        let second = device(Mode::Ethernet, Unit::Any);
        let tun = device(Mode::PointToPoint, Unit::Any);
        assert_eq!([first.name(), second.name(), tun.name()], ["tap0", "tap1", "tun0"]);
        drop(first);
        assert_eq!(device(Mode::Ethernet, Unit::Any).name(), "tap0");
    });
}

#[test]
fn a_number_is_exactly_that_unit() {
    in_namespace(|| {
        assert_eq!(device(Mode::Ethernet, Unit::Number(7)).name(), "tap7");
        let highest = device(Mode::PointToPoint, Unit::Number(Unit::MAX));
        assert_eq!((highest.name(), highest.mode()), ("tun2147483645", Mode::PointToPoint));
        assert!(exists("tun2147483645"));
    });
}

#[test]
fn a_name_of_the_users_own() {
    in_namespace(|| {
        let request =
            OpenRequest { name: Some("lab-a".into()), ..OpenRequest::new(Mode::Ethernet, Unit::Any) };
        let device = open(&request).unwrap();
        assert_eq!(device.name(), "lab-a");
        assert!(exists("lab-a"));
    });
}

#[test]
fn what_was_created_is_removed() {
    in_namespace(|| {
        for mode in [Mode::Ethernet, Mode::PointToPoint] {
            let device = device(mode, Unit::Number(3));
            let name = device.name().to_owned();
            assert!(!device.is_persistent());
            assert!(exists(&name));
            drop(device);
            assert!(!exists(&name));
        }
    });
}

#[test]
fn a_unit_in_use_is_busy() {
    in_namespace(|| {
        let held = device(Mode::Ethernet, Unit::Number(0));
        let error = error(Mode::Ethernet, Unit::Number(0));
        assert!(matches!(&error, OpenError::Busy { interface } if interface == "tap0"), "{error}");
        drop(held);
        device(Mode::Ethernet, Unit::Number(0));
    });
}

#[test]
fn a_persistent_interface_is_used_and_stays() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tap");
        run("ip tuntap add dev tun3 mode tun");
        for (mode, name) in [(Mode::Ethernet, "tap3"), (Mode::PointToPoint, "tun3")] {
            let device = device(mode, Unit::Number(3));
            assert!(device.is_persistent());
            drop(device);
            assert!(exists(name));
        }
    });
}

#[test]
fn an_address_is_for_taps_that_were_created() {
    in_namespace(|| {
        let wanted = [0x02, 0, 0x5e, 0x77, 0, 1];
        let has_it = || run("ip link show dev tap3").contains("02:00:5e:77:00:01");
        let created = device(Mode::Ethernet, Unit::Number(3));
        created.set_address(wanted).unwrap();
        assert!(has_it());
        assert!(created.set_address([0x01, 0, 0x5e, 0, 0, 1]).is_err(), "a group's address");
        drop(created);
        let created = MultiQueue::open(&OpenRequest::new(Mode::Ethernet, Unit::Number(3))).unwrap();
        created.set_address(wanted).unwrap();
        assert!(has_it());
        drop(created);
        run("ip tuntap add dev tap3 mode tap");
        device(Mode::Ethernet, Unit::Number(3)).set_address(wanted).unwrap();
        assert!(!has_it(), "found, and changed");
    });
}

#[test]
fn a_persistent_interface_is_left_without_offloads() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tap");
        let segmentation = || {
            let features = run("ethtool -k tap3");
            features.lines().find(|line| line.starts_with("tcp-segmentation-offload:")).unwrap().to_owned()
        };
        let before = segmentation();
        let device = device(Mode::Ethernet, Unit::Number(3));
        assert!(device.offloads().tso);
        assert_eq!(segmentation(), "tcp-segmentation-offload: on");
        drop(device);
        assert_eq!(segmentation(), before);
    });
}

#[test]
fn offloads_off_means_off_after_another_user_too() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tap");
        let off =
            OpenRequest { offloads: OffloadPolicy::Off, ..OpenRequest::new(Mode::Ethernet, Unit::Number(3)) };
        let device = open(&off).unwrap();
        assert_eq!(device.offloads(), tapline_device::Offloads::default());
        assert!(run("ethtool -k tap3").contains("tcp-segmentation-offload: off"));
        assert!(run("ip -d link show dev tap3").contains("vnet_hdr off"));
    });
}

#[test]
fn n17_a_multi_queue_interface_serves_one_connection_too() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tap multi_queue");
        run("ip tuntap add dev tun3 mode tun multi_queue");
        run("ip link set tap3 up");
        for mode in [Mode::Ethernet, Mode::PointToPoint] {
            let mut first = device(mode, Unit::Number(3));
            assert!(first.is_persistent());
            first.set_carrier(false).unwrap();
            first.set_carrier(true).unwrap();
            assert!(matches!(error(mode, Unit::Number(3)), OpenError::Busy { .. }), "one at a time");
            drop(first);
            assert!(exists(if mode == Mode::Ethernet { "tap3" } else { "tun3" }));
            device(mode, Unit::Number(3));
        }
        let mut tap = device(Mode::Ethernet, Unit::Number(3));
        let socket = PacketSocket::on("tap3");
        let frame = experimental_frame(60);
        tap.write_batch(&[plain(&frame)]).unwrap();
        assert_eq!(socket.receive_until(is_experimental), frame);
        socket.send(&frame);
        read_until(&mut tap, |_, frame| is_experimental(frame));
    });
}

#[test]
fn n17_the_true_cause_is_said_of_an_interface_that_cannot_be_had() {
    // Owner, flags and mode as made; whether one connection or several ask; what is said.
    type Says = fn(&OpenError) -> bool;
    let cases: [(&str, bool, Says); 6] = [
        ("mode tap user 1", false, |error| matches!(error, OpenError::NotOwner { .. })),
        ("mode tap user 1 multi_queue", false, |error| matches!(error, OpenError::NotOwner { .. })),
        ("mode tap user 1", true, |error| matches!(error, OpenError::NotOwner { .. })),
        ("mode tap user 1 multi_queue", true, |error| matches!(error, OpenError::NotOwner { .. })),
        ("mode tap user 65534", true, |error| matches!(error, OpenError::SingleQueue { .. })),
        ("mode tun user 1 multi_queue", false, |error| matches!(error, OpenError::OtherMode { .. })),
    ];
    for (made, several, is_said) in cases {
        in_namespace(move || {
            run(&format!("ip tuntap add dev tap1 {made}"));
            provide_node("666");
            become_nobody();
            let request = OpenRequest::new(Mode::Ethernet, Unit::Number(1));
            let error = match several {
                true => MultiQueue::open(&request).map(drop).unwrap_err(),
                false => open(&request).map(drop).unwrap_err(),
            };
            assert!(is_said(&error), "{made}, several {several}: {error}");
        });
    }
}

#[test]
fn n14_what_a_killed_process_left_on_an_interface_is_cleared() {
    for made in ["mode tap", "mode tap multi_queue", "mode tun"] {
        for in_use in [false, true] {
            in_namespace(move || {
                run(&format!("ip tuntap add dev lab3 {made}"));
                let mode = if made == "mode tun" { Mode::PointToPoint } else { Mode::Ethernet };
                let killed = attached(mode, made, libc::IFF_VNET_HDR);
                take_offloads(&killed);
                drop(killed);
                assert!(has_offloads(), "{made}");
                let user = in_use.then(|| attached(mode, made, 0));
                let cleared = clear_offloads("lab3", false);
                if in_use && made.contains("multi_queue") {
                    assert!(matches!(cleared, Ok(true) | Err(OpenError::Busy { .. })), "{cleared:?}");
                } else {
                    assert!(cleared.unwrap(), "{made}, in use {in_use}");
                    assert!(!has_offloads(), "{made}, in use {in_use}");
                }
                drop(user);
                // Whoever wants them again gets them.
                let request = OpenRequest { name: Some("lab3".into()), ..OpenRequest::new(mode, Unit::Any) };
                assert!(open(&request).unwrap().offloads().tso);
            });
        }
    }
}

#[test]
fn n14_offloads_that_somebody_asked_for_stay_his() {
    in_namespace(|| {
        run("ip tuntap add dev lab3 mode tap");
        let request =
            OpenRequest { name: Some("lab3".into()), ..OpenRequest::new(Mode::Ethernet, Unit::Any) };
        let user = open(&request).unwrap();
        assert!(!clear_offloads("lab3", true).unwrap());
        assert!(has_offloads());
        drop(user);
        assert!(!has_offloads());
        assert!(clear_offloads("nothing", false).is_err());
        run("ip link add br3 type bridge");
        assert!(matches!(clear_offloads("br3", false), Err(OpenError::NameTaken { .. })));
    });
}

fn has_offloads() -> bool {
    let features = run("ethtool -k lab3");
    ["tcp-segmentation-offload: on", "tx-udp-segmentation: on", "tx-checksumming: on"]
        .iter()
        .any(|feature| features.contains(feature))
}

/// Attached to `lab3` as other programs are: without flags as `ssh -w`.
#[allow(unsafe_code)]
fn attached(mode: Mode, made: &str, flags: libc::c_int) -> std::fs::File {
    let tun = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap();
    let kind = if mode == Mode::Ethernet { libc::IFF_TAP } else { libc::IFF_TUN };
    let queues = if made.contains("multi_queue") { libc::IFF_MULTI_QUEUE } else { 0 };
    // SAFETY: all of an ifreq may be zero, and TUNSETIFF reads and writes one ifreq.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (slot, byte) in request.ifr_name.iter_mut().zip(b"lab3") {
            *slot = libc::c_char::from_ne_bytes([*byte]);
        }
        let flags = kind | queues | flags | libc::IFF_NO_PI;
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap();
        assert_eq!(libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request), 0);
    }
    tun
}

#[allow(unsafe_code)]
fn take_offloads(tun: &std::fs::File) {
    let offloads =
        libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_USO4 | libc::TUN_F_USO6;
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offloads)) };
    assert_eq!(result, 0);
}

#[test]
fn a_name_of_another_kind_is_told_apart() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tun");
        let other_mode = error(Mode::Ethernet, Unit::Number(3));
        assert!(matches!(other_mode, OpenError::OtherMode { is: Mode::PointToPoint, .. }), "{other_mode}");
        run("ip link add tun4 type bridge");
        let taken = error(Mode::PointToPoint, Unit::Number(4));
        assert!(matches!(&taken, OpenError::NameTaken { driver, .. } if driver == "bridge"), "{taken}");
        run("ip link add tap5 type veth peer name tap6");
        let taken = error(Mode::Ethernet, Unit::Number(5));
        assert!(matches!(&taken, OpenError::NameTaken { driver, .. } if driver == "veth"), "{taken}");
    });
}

#[test]
fn a_missing_driver_is_named() {
    in_namespace(|| {
        cover_dev_net();
        assert!(matches!(error(Mode::Ethernet, Unit::Any), OpenError::NoDriver));
    });
}

#[test]
fn an_unprivileged_user_gets_his_own_interface_and_no_other() {
    in_namespace(|| {
        run(&format!("ip tuntap add dev tap1 mode tap user {NOBODY}"));
        run("ip tuntap add dev tap2 mode tap user 1");
        provide_node("600");
        become_nobody();
        assert!(matches!(error(Mode::Ethernet, Unit::Any), OpenError::NodePermission));
    });
    in_namespace(|| {
        run(&format!("ip tuntap add dev tap1 mode tap user {NOBODY}"));
        run("ip tuntap add dev tap2 mode tap user 1");
        provide_node("666");
        become_nobody();
        let own = device(Mode::Ethernet, Unit::Number(1));
        assert!(own.is_persistent());
        assert!(own.offloads().tso, "probing offloads takes no capability");
        assert!(matches!(error(Mode::Ethernet, Unit::Number(2)), OpenError::NotOwner { .. }));
        for unit in [Unit::Any, Unit::Number(9)] {
            assert!(matches!(error(Mode::Ethernet, unit), OpenError::CreateNotPermitted { .. }));
        }
        assert!(matches!(error(Mode::Ethernet, Unit::Number(1)), OpenError::Busy { .. }));
        drop(own);
        assert!(exists("tap1"));
    });
}

#[test]
fn the_carrier_is_switched() {
    in_namespace(|| {
        for mode in [Mode::Ethernet, Mode::PointToPoint] {
            let mut device = device(mode, Unit::Any);
            let name = device.name().to_owned();
            run(&format!("ip link set {name} up"));
            let has_carrier = || !run(&format!("ip link show {name}")).contains("NO-CARRIER");
            assert!(has_carrier());
            device.set_carrier(false).unwrap();
            assert!(!has_carrier());
            device.set_carrier(true).unwrap();
            assert!(has_carrier());
        }
    });
}

#[test]
fn n5_a_gap_in_the_carrier_is_seen_however_short() {
    in_namespace(|| {
        for mode in [Mode::Ethernet, Mode::PointToPoint] {
            let mut whole = device(mode, Unit::Any);
            let name = whole.name().to_owned();
            let address = if mode == Mode::Ethernet { "192.0.2" } else { "198.51.100" };
            run(&format!("ip address add {address}.1/24 dev {name}"));
            run(&format!("ip link set {name} up"));
            let learn = || {
                if mode == Mode::Ethernet {
                    run(&format!(
                        "ip neighbour replace {address}.2 lladdr 02:00:00:00:00:02 nud reachable dev {name}"
                    ));
                }
            };
            let forgotten = || !run(&format!("ip neighbour show dev {name}")).contains("REACHABLE");
            for _ in 0..4 {
                learn();
                whole.set_carrier(false).unwrap();
                wait_until("the kernel has noted it", || whole.carrier_is_noted());
                assert!(run(&format!("ip -o link show {name}")).contains("state DOWN"));
                whole.set_carrier(true).unwrap();
                assert!(whole.carrier_is_noted(), "it is on");
                assert!(forgotten(), "{name}");
            }
        }
    });
}

#[test]
fn n5_the_carrier_of_an_interface_with_queues_is_noted_too() {
    in_namespace(|| {
        let interface = MultiQueue::open(&OpenRequest::new(Mode::Ethernet, Unit::Number(3))).unwrap();
        let mut queues = [interface.queue().unwrap(), interface.queue().unwrap()];
        run("ip address add 192.0.2.1/24 dev tap3");
        run("ip link set tap3 up");
        for _ in 0..3 {
            for queue in &mut queues {
                queue.set_carrier(true).unwrap();
            }
            run("ip neighbour replace 192.0.2.2 lladdr 02:00:00:00:00:02 nud reachable dev tap3");
            queues[0].set_carrier(false).unwrap();
            assert!(queues[0].carrier_is_noted(), "the other has carrier");
            assert!(run("ip neighbour show dev tap3").contains("REACHABLE"));
            queues[1].carrier_switch().unwrap().set(false).unwrap();
            wait_until("the kernel has noted it", || queues[1].carrier_is_noted());
            assert!(!run("ip neighbour show dev tap3").contains("REACHABLE"));
        }
    });
}

#[test]
fn n5_an_interface_that_is_down_or_gone_has_nothing_to_note() {
    in_namespace(|| {
        let mut device = device(Mode::Ethernet, Unit::Number(3));
        device.set_carrier(false).unwrap();
        assert!(device.carrier_is_noted(), "down");
        run("ip link set tap3 name elsewhere");
        run("ip link set elsewhere up");
        device.set_carrier(true).unwrap();
        device.set_carrier(false).unwrap();
        wait_until("the kernel has noted it under the new name", || device.carrier_is_noted());
        run("ip link delete elsewhere");
        assert!(device.carrier_is_noted(), "gone");
    });
}

/// Hides `/dev/net` under an empty file system that this thread alone sees.
fn cover_dev_net() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    mount(Some("tmpfs"), "/dev/net", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
}

/// The device node with these permissions, whatever the host's are.
fn provide_node(permissions: &str) {
    cover_dev_net();
    run(&format!("mknod -m {permissions} /dev/net/tun c 10 200"));
}

/// Gives up root in this thread alone; glibc's function would do so in every thread of the test program.
#[allow(unsafe_code)]
fn become_nobody() {
    // SAFETY: the call changes the thread's credentials and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
    assert_eq!(result, 0);
}
