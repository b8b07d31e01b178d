use tapline_control::{
    Bridge, BridgeParameters, Controller, Desired, Interface, Journal, JournalError, Owned, ReconcileError,
    Route,
};

use crate::{controlled, essence, eth0, hosts, link, name, net, nets};

/// A bridge with `eth0` in it and all that a link may bring.
fn much() -> Desired {
    let settings = Interface {
        addresses: nets(&["10.77.0.1/24", "fd77::1/64"]),
        routes: vec![Route::new(net("198.51.100.0/24")).via("10.77.0.254".parse().unwrap())],
        accept_ra: Some(false),
        ..Interface::default()
    };
    let parameters = BridgeParameters { priority: Some(4096), ..BridgeParameters::default() };
    let bridge = Bridge { interfaces: [name("eth0")].into(), parameters, settings, created_with: None };
    let port = Interface { mtu: Some(1400), link_local_ipv6: Some(false), ..Interface::default() };
    Desired { interfaces: [(name("eth0"), port)].into(), bridges: [(name("br-lab"), bridge)].into() }
}

#[test]
fn a_failure_half_way_takes_everything_back() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        // Wait for the kernel's own address, which would else come in between.
        controller
            .reconcile(&eth0(Interface { link_local_ipv6: Some(true), ..Interface::default() }))
            .await
            .unwrap();
        let before = controller.observe().await.unwrap();
        let mut desired = much();
        let bridge = desired.bridges.get_mut(&name("br-lab")).unwrap();
        bridge.settings.routes.push(Route::new(net("192.0.2.0/24")).via("203.0.113.1".parse().unwrap()));
        let error = controller.reconcile(&desired).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("cannot add route 192.0.2.0/24 via 203.0.113.1 metric 0 to br-lab: "),
            "{text}"
        );
        assert!(text.contains("Nexthop has invalid gateway"), "the kernel's own words: {text}");
        assert!(
            text.ends_with("check that an address of the interface covers the next hop, or set on-link"),
            "{text}"
        );
        let ReconcileError::Operation { rollback, .. } = error else { panic!("{error:?}") };
        assert!(rollback.is_empty());
        assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before));
        assert_eq!(controller.owned(), &Owned::default());
    });
}

#[test]
fn a_killed_process_s_state_is_adopted() {
    let Some(hosts) = hosts() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    hosts.here.configure(&eth0(Interface { link_local_ipv6: Some(true), ..Interface::default() })).unwrap();

    let open = || Controller::new(Journal::open(&path).unwrap()).unwrap();
    let before = hosts.here.block_on(|| async {
        let mut controller = open();
        let before = controller.observe().await.unwrap();
        controller.reconcile(&much()).await.unwrap();
        before
    });
    assert!(path.exists());
    hosts
        .here
        .block_on(|| async {
            let mut controller = open();
            assert_eq!(controller.reconcile(&much()).await.unwrap().changes, [], "already as desired");
            // Less is desired now than what the first process left.
            let less = Desired { interfaces: much().interfaces, ..Desired::default() };
            controller.reconcile(&less).await.unwrap();
            assert!(!controller.observe().await.unwrap().links.contains_key(&name("br-lab")));
        })
        .unwrap();
    hosts
        .here
        .block_on(|| async {
            let mut controller = open();
            controller.remove_all().await.unwrap();
            assert_eq!(essence(&controller.observe().await.unwrap()), essence(&before.unwrap()));
        })
        .unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing owned, no file");
}

#[test]
fn a_record_of_another_namespace_is_not_believed() {
    let Some(hosts) = hosts() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let desired = eth0(Interface { addresses: nets(&["10.77.0.1/24"]), ..Interface::default() });
    hosts
        .here
        .block_on(|| async {
            Controller::new(Journal::open(&path).unwrap()).unwrap().reconcile(&desired).await.unwrap();
        })
        .unwrap();
    hosts.there.configure(&desired).unwrap();
    hosts
        .there
        .block_on(|| async {
            let mut controller = Controller::new(Journal::open(&path).unwrap()).unwrap();
            controller.remove_all().await.unwrap();
            assert!(link(&controller, "eth0").await.address(net("10.77.0.1/24")).is_some());
        })
        .unwrap();
}

#[test]
fn two_processes_cannot_share_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let _first = Journal::open(&path).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Busy { .. }));
    let said = error.to_string();
    assert!(said.contains("is in use by another process"), "{said}");
    assert!(said.ends_with("; stop that or give this one another file"), "{said}");
}

#[test]
fn without_its_file_nothing_is_begun_but_everything_is_removed() {
    let Some(hosts) = hosts() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    hosts
        .here
        .block_on(|| async {
            let mut controller = Controller::new(Journal::open(&path).unwrap()).unwrap();
            controller.reconcile(&much()).await.unwrap();
            directory.close().unwrap();

            let mut more = much();
            more.interfaces.get_mut(&name("eth0")).unwrap().accept_ra = Some(false);
            let error = controller.reconcile(&more).await.unwrap_err();
            assert!(error.to_string().contains("check the directory and its permissions"), "{error}");
            assert_eq!(link(&controller, "eth0").await.ipv6.unwrap().accept_ra, 1);

            controller.remove_all().await.unwrap();
            assert!(!controller.observe().await.unwrap().links.contains_key(&name("br-lab")));
            assert_eq!(link(&controller, "eth0").await.mtu, 1500);
        })
        .unwrap();
}

#[test]
fn a_lost_record_is_made_again_from_the_marks() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        controller.reconcile(&much()).await.unwrap();
        let marked = Owned::from_marks(&controller.observe().await.unwrap());
        let bridge = &marked.interfaces[&name("br-lab")];
        assert!(bridge.created);
        assert_eq!(bridge.addresses, nets(&["10.77.0.1/24", "fd77::1/64"]));
        assert_eq!(bridge.routes.len(), 1);
    });
}

#[test]
fn an_interface_that_appears_later_is_set_up_then() {
    let Some(hosts) = hosts() else { return };
    controlled(&hosts.here, async |mut controller| {
        let mut desired = eth0(Interface::default());
        let tap = Interface { addresses: nets(&["10.77.0.2/24"]), ..Interface::default() };
        desired.interfaces.insert(name("tap7"), tap);
        let outcome = controller.reconcile(&desired).await.unwrap();
        assert_eq!(outcome.missing, [name("tap7")]);
        let bridge = [(name("tap7"), Bridge::default())].into();
        Controller::new(Journal::in_memory())
            .unwrap()
            .reconcile(&Desired { bridges: bridge, ..Desired::default() })
            .await
            .unwrap();
        let outcome = controller.reconcile(&desired).await.unwrap();
        assert_eq!(outcome.missing, []);
        assert!(link(&controller, "tap7").await.address(net("10.77.0.2/24")).is_some());
    });
}

#[test]
fn n14_taps_of_others_that_we_were_attached_to_are_known_after_a_crash() {
    let Some(hosts) = hosts() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let tuntap = |words: &str| {
        let words = format!("tuntap {words}");
        let done = hosts.here.run(|| std::process::Command::new("ip").args(words.split(' ')).status());
        assert!(done.unwrap().unwrap().success(), "{words}");
    };
    for device in ["tap3 mode tap", "tap4 mode tap multi_queue", "tun5 mode tun", "tap6 mode tap"] {
        tuntap(&format!("add dev {device}"));
    }
    let wanted = || Desired {
        interfaces: ["tap3", "tap4", "tun5", "eth0", "tap9"].map(|i| (name(i), Interface::default())).into(),
        ..Desired::default()
    };
    let open = || Controller::new(Journal::open(&path).unwrap()).unwrap();
    let names = |attached: Vec<(tapline_control::InterfaceName, tapline_control::Tun)>| {
        assert!(attached.iter().all(|(_, tun)| tun.persistent && !tun.header));
        attached.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    hosts
        .here
        .block_on(async || {
            let mut controller = open();
            controller.reconcile(&wanted()).await.unwrap();
            assert_eq!(names(controller.attached().await.unwrap()), ["tap3", "tap4", "tun5"]);
        })
        .unwrap();
    tuntap("del dev tap4 mode tap multi_queue");
    hosts
        .here
        .block_on(async || {
            let mut controller = open();
            assert_eq!(names(controller.attached().await.unwrap()), ["tap3", "tun5"]);
            controller.reconcile(&Desired::default()).await.unwrap();
            assert_eq!(names(controller.attached().await.unwrap()), ["tap3", "tun5"], "others may still be");
            controller.remove_all().await.unwrap();
            assert_eq!(names(controller.attached().await.unwrap()), [""; 0]);
        })
        .unwrap();
    assert!(!path.exists());
}
