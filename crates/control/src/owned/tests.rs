use super::*;

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn with_link(text: &str, link: Link) -> Observed {
    Observed { links: [(name(text), link)].into(), ..Observed::default() }
}

#[test]
fn the_first_value_found_is_the_one_that_is_kept() {
    let mut owned = Owned::default();
    let set = |from, to| Operation::SetMtu { interface: name("tap0"), from, to };
    for operation in [set(1500, 9000), set(9000, 1400)] {
        owned.claim(&operation, Some(5));
        owned.release(&operation, Some(5));
    }
    assert_eq!(owned.interfaces[&name("tap0")].found.mtu, Some(1500));
    let back = set(1400, 1500);
    owned.claim(&back, Some(5));
    owned.release(&back, Some(5));
    assert!(owned.is_empty());
}

#[test]
fn a_renamed_interface_is_followed_and_a_lost_one_forgotten() {
    let mut owned = Owned::default();
    owned.claim(&Operation::SetUp { interface: name("eth1"), up: true, keep: Vec::new() }, Some(7));
    let link = Link { index: 7, ..Link::default() };
    owned.follow(&with_link("lan0", link.clone()));
    assert_eq!(owned.interfaces.keys().collect::<Vec<_>>(), [&name("lan0")]);
    owned.follow(&with_link("lan0", Link { index: 8, ..link }));
    assert!(owned.is_empty());
}

#[test]
fn a_bridge_whose_creation_was_cut_short_is_adopted() {
    let mut owned = Owned::default();
    owned.claim(&Operation::CreateBridge { interface: name("br0"), macaddress: None }, None);
    let bridge = Link { index: 9, bridge: Some(BridgeParameters::default()), ..Link::default() };
    for alias in [None, Some(BRIDGE_ALIAS.to_owned())] {
        let mut owned = owned.clone();
        owned.follow(&with_link("br0", Link { alias, ..bridge.clone() }));
        assert_eq!(owned.interfaces[&name("br0")].index, Some(9));
    }
    owned.follow(&with_link("br0", Link { alias: Some("uplink".to_owned()), ..bridge }));
    assert!(owned.is_empty());
}

#[test]
fn a_port_of_nothing_is_told_from_one_that_was_not_changed() {
    let found = Found { bridge: Some(None), ..Found::default() };
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(text, r#"{"bridge":null}"#);
    assert_eq!(serde_json::from_str::<Found>(&text).unwrap(), found);
    assert_eq!(serde_json::from_str::<Found>("{}").unwrap(), Found::default());
}

#[test]
fn marks_in_the_kernel_make_a_record() {
    let link = Link {
        index: 4,
        alias: Some(BRIDGE_ALIAS.to_owned()),
        bridge: Some(BridgeParameters::default()),
        ..Link::default()
    };
    let owned = Owned::from_marks(&with_link("br0", link.clone()));
    assert!(owned.interfaces[&name("br0")].created);
    assert!(Owned::from_marks(&with_link("eth0", Link { bridge: None, ..link })).is_empty());
}
