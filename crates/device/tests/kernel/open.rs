//! Names, units, persistent interfaces and privileges.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tapline_device::{Device, MultiQueue, OffloadPolicy, OpenError, OpenRequest, Unit, open};
use tapline_frame::Mode;

use crate::harness::{device, exists, in_namespace, run};

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
fn a_multi_queue_interface_is_named_as_such() {
    in_namespace(|| {
        run("ip tuntap add dev tap3 mode tap multi_queue");
        let error = error(Mode::Ethernet, Unit::Number(3));
        assert!(matches!(&error, OpenError::MultiQueue { interface, .. } if interface == "tap3"), "{error}");
        assert!(exists("tap3"));
    });
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
