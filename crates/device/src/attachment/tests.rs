use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use super::*;

/// What another program would do: no probing, no setting back.
fn attach_raw(name: &str) -> File {
    let tun = open_node().unwrap();
    ioctl::attach(&tun, name, libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR).unwrap();
    tun
}

#[test]
fn the_header_of_another_program_is_put_back() {
    let test = thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            let reason = format!("no new network namespace: {error}; run as root");
            assert!(std::env::var_os("CI").is_none(), "{reason}");
            eprintln!("SKIPPED: {reason}");
            return;
        }
        let added =
            Command::new("ip").args(["tuntap", "add", "dev", "tap3", "mode", "tap"]).status().unwrap();
        assert!(added.success());
        let other = attach_raw("tap3");
        ioctl::set_vnet_header_size(&other, 12).unwrap();
        let byte_order = ioctl::vnet_little_endian(&other).unwrap();
        drop(other);

        let target = Target { mode: Mode::Ethernet, name: Some("tap3".to_owned()), is_new: false };
        let (attachment, offloads) =
            Attachment::with_offloads(&target, Queueing::Single, OffloadPolicy::Probe).unwrap();
        assert!(offloads.tso);
        assert_eq!(ioctl::vnet_header_size(&attachment.tun).unwrap(), 10);
        assert_eq!(ioctl::vnet_little_endian(&attachment.tun).unwrap(), 1);
        drop(attachment);

        let other = attach_raw("tap3");
        assert_eq!(ioctl::vnet_header_size(&other).unwrap(), 12);
        assert_eq!(ioctl::vnet_little_endian(&other).unwrap(), byte_order);
    });
    test.join().unwrap();
}
