use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind, send, socket,
};

use crate::namespace::Namespace;
use crate::process::Process;

/// Puts raw frames on an interface, as if the host's own stack sent them.
#[derive(Debug)]
pub struct FrameSender {
    socket: OwnedFd,
}

impl FrameSender {
    pub fn open(host: &Namespace, interface: &str) -> Self {
        let socket = host.enter(|| {
            let socket =
                socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                    .unwrap();
            let address = getifaddrs()
                .unwrap()
                .filter(|address| address.interface_name == interface)
                .find_map(|address| address.address?.as_link_addr().copied())
                .unwrap_or_else(|| panic!("no interface {interface}"));
            assert_eq!(address.family(), Some(AddressFamily::Packet));
            bind(socket.as_raw_fd(), &address).unwrap();
            socket
        });
        Self { socket }
    }

    pub fn send(&self, frame: &[u8]) {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty()).unwrap();
        assert_eq!(sent, frame.len());
    }
}

/// Frames that an interface receives, seen by tcpdump, which puts VLAN tags back where the kernel took them off.
#[derive(Debug)]
pub struct Capture {
    file: PathBuf,
    _tcpdump: Process,
}

impl Capture {
    /// Captures from now on what matches `filter`, in tcpdump's words.
    pub fn start(host: &Namespace, interface: &str, filter: &str) -> Self {
        let file =
            host.path(&format!("{interface}-{}.pcap", filter.replace(|c: char| !c.is_alphanumeric(), "_")));
        let mut tcpdump = Command::new("tcpdump");
        tcpdump
            .args([
                "-Z",
                "root",
                "-n",
                "-p",
                "-U",
                "--immediate-mode",
                "-s",
                "0",
                "-Q",
                "in",
                "-i",
                interface,
                "-w",
            ])
            .arg(&file)
            .args(filter.split_whitespace());
        let mut tcpdump = host.start("tcpdump", &mut tcpdump);
        tcpdump.wait_for("listening on");
        Self { file, _tcpdump: tcpdump }
    }

    /// What has come until now.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        // See pcap-savefile(5): a header of 24 bytes, then a header of 16 for each frame with its length at 8.
        let bytes = fs::read(&self.file).unwrap_or_default();
        let mut rest = bytes.get(24..).unwrap_or_default();
        let mut frames = Vec::new();
        while let Some((header, after)) = rest.split_at_checked(16) {
            let len = u32::from_ne_bytes(header[8..12].try_into().unwrap()) as usize;
            let Some((frame, after)) = after.split_at_checked(len) else { break };
            frames.push(frame.to_vec());
            rest = after;
        }
        frames
    }

    pub fn count(&self, frame: &[u8]) -> usize {
        self.frames().iter().filter(|seen| *seen == frame).count()
    }
}
