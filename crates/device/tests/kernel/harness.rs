//! A thread in a fresh network namespace, and what a test does there.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use tapline_device::{Device, FrameRef, FrameSink, KernelDevice, OpenRequest, Unit};
use tapline_frame::{Mode, NetHeader};
use tokio::runtime::{Builder, Runtime};

/// How long a condition may take that a loaded machine delays.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Ethernet type for local experiments (IEEE 802), so that no other frame is taken for one of the test's.
pub(crate) const EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];

/// Runs `test` on a thread of its own in a new network namespace, which ends with the thread and its descriptors.
///
/// One at a time: a child process that another test is just starting has every descriptor until it executes its
/// program, so a device closed in that moment lives on for a while.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => test(),
        Err(error) => skip(&format!("no new network namespace: {error}; run as root")),
    });
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// Moves the thread on to another new namespace; the descriptors it has keep the former one alive.
pub(crate) fn next_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
}

pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("SKIPPED: {reason}");
}

/// Runs a command line, split at spaces, in the thread's namespaces and returns what it printed.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn exists(interface: &str) -> bool {
    Command::new("ip").args(["link", "show", interface]).output().unwrap().status.success()
}

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

pub(crate) fn device(mode: Mode, unit: Unit) -> KernelDevice {
    tapline_device::open(&OpenRequest::new(mode, unit)).unwrap()
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn plain(bytes: &[u8]) -> FrameRef<'_> {
    FrameRef { header: NetHeader::default(), bytes }
}

/// An Ethernet frame to everyone of [`EXPERIMENTAL`] type, `length` bytes long.
pub(crate) fn experimental_frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 9]);
    frame.extend(EXPERIMENTAL);
    frame.extend((frame.len()..length).map(|index| index.to_le_bytes()[0]));
    frame
}

pub(crate) fn is_experimental(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&EXPERIMENTAL)
}

/// The frames of a batch, at most as many as wanted.
pub(crate) struct Collected {
    pub(crate) frames: Vec<(NetHeader, Vec<u8>)>,
    wanted: usize,
}

impl Collected {
    pub(crate) fn up_to(wanted: usize) -> Self {
        Self { frames: Vec::new(), wanted }
    }
}

impl FrameSink for Collected {
    fn push(&mut self, header: &NetHeader, frame: &[u8]) -> bool {
        self.frames.push((*header, frame.to_vec()));
        self.frames.len() < self.wanted
    }
}

pub(crate) async fn readable(device: &mut dyn Device) -> io::Result<()> {
    tokio::time::timeout(PATIENCE, poll_fn(|cx| device.poll_readable(cx)))
        .await
        .expect("device became readable")
}

/// Reads until a frame meets the condition.
pub(crate) fn read_until(
    device: &mut dyn Device,
    mut condition: impl FnMut(&NetHeader, &[u8]) -> bool,
) -> (NetHeader, Vec<u8>) {
    let found = runtime().block_on(async {
        loop {
            readable(device).await.unwrap();
            let mut batch = Collected::up_to(usize::MAX);
            device.read_batch(&mut batch).unwrap();
            if let Some(found) = batch.frames.into_iter().find(|(header, frame)| condition(header, frame)) {
                return found;
            }
        }
    });
    device.detach();
    found
}

/// An AF_PACKET socket: what the kernel's network stack sees and sends.
pub(crate) struct PacketSocket {
    socket: OwnedFd,
    address: Option<LinkAddr>,
}

impl PacketSocket {
    pub(crate) fn on_all() -> Self {
        let socket =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                .unwrap();
        let patience = TimeVal::seconds(i64::try_from(PATIENCE.as_secs()).unwrap());
        setsockopt(&socket, sockopt::ReceiveTimeout, &patience).unwrap();
        Self { socket, address: None }
    }

    /// For interfaces with a hardware address.
    pub(crate) fn on(interface: &str) -> Self {
        let address = getifaddrs()
            .unwrap()
            .filter(|entry| entry.interface_name == interface)
            .filter_map(|entry| entry.address)
            .find_map(|address| address.as_link_addr().copied())
            .unwrap();
        let Self { socket, .. } = Self::on_all();
        bind(socket.as_raw_fd(), &address).unwrap();
        Self { socket, address: Some(address) }
    }

    pub(crate) fn receive_until(&self, condition: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut buffer = vec![0; 70_000];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
            if condition(&buffer[..length]) {
                return buffer[..length].to_vec();
            }
        }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let sent = sendto(self.socket.as_raw_fd(), frame, self.address.as_ref().unwrap(), MsgFlags::empty())
            .unwrap();
        assert_eq!(sent, frame.len());
    }
}
