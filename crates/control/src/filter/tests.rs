use super::*;

fn attribute_bytes(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn chain(family: u8, table: &str, name: &str, hook: u32, policy: u32) -> Vec<u8> {
    let hook = [attribute_bytes(1, &hook.to_be_bytes()), attribute_bytes(2, &[0; 4])].concat();
    let body = [
        vec![family, 0, 0, 0],
        attribute_bytes(1, format!("{table}\0").as_bytes()),
        attribute_bytes(3, format!("{name}\0").as_bytes()),
        attribute_bytes(4 | 0x8000, &hook),
        attribute_bytes(5, &policy.to_be_bytes()),
    ]
    .concat();
    message(NEW_CHAIN, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat()
}

fn found(datagram: &[u8]) -> Vec<(u8, Chain)> {
    let mut found = Vec::new();
    read(datagram, &mut found).unwrap();
    found
}

#[test]
fn n18_chains_that_drop_what_is_forwarded_are_found() {
    let datagram = [
        chain(NFPROTO_IPV4, "filter", "FORWARD", 2, 0),
        chain(NFPROTO_IPV4, "filter", "INPUT", 1, 0),
        chain(NFPROTO_IPV6, "filter", "FORWARD", 2, 1),
        chain(NFPROTO_INET, "firewall", "forward", 2, 0),
        chain(NFPROTO_BRIDGE, "filter", "FORWARD", 2, 0),
        chain(5, "t", "c", 2, 0),
        message(NLMSG_DONE, &[0; 4]),
        chain(NFPROTO_ARP, "filter", "FORWARD", 2, 0),
    ]
    .concat();
    let families: Vec<u8> = found(&datagram).iter().map(|(family, _)| *family).collect();
    assert_eq!(families, [NFPROTO_IPV4, NFPROTO_INET, NFPROTO_BRIDGE]);
    let said: Vec<String> =
        filters(|_| true, |_| false, &found(&datagram)).iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 4, "{said:#?}");
    assert!(said[0].contains("IPv4 between ports of a bridge goes through the firewall here"), "{}", said[0]);
    assert!(
        said[0].contains("chain FORWARD of table ip filter") && said[0].contains("iptables -I"),
        "{}",
        said[0]
    );
    assert!(said[2].contains("IPv6") && said[2].contains("table inet firewall"), "{}", said[2]);
    assert!(said[3].contains("table bridge filter"), "{}", said[3]);
    assert!(said.iter().all(|line| line.lines().count() == 1 && !line.contains("  ")), "{said:#?}");
}

#[test]
fn n18_what_the_settings_do_not_hand_over_is_not_said() {
    let datagram = [
        chain(NFPROTO_IPV4, "filter", "FORWARD", 2, 0),
        chain(NFPROTO_IPV6, "filter", "FORWARD", 2, 0),
        chain(NFPROTO_ARP, "filter", "FORWARD", 2, 0),
    ]
    .concat();
    let chains = found(&datagram);
    assert_eq!(filters(|_| false, |_| true, &chains), []);
    for (setting, what) in [
        ("bridge-nf-call-iptables", "IPv4"),
        ("bridge-nf-call-ip6tables", "IPv6"),
        ("bridge-nf-call-arptables", "ARP"),
    ] {
        let said = filters(|name| name == setting, |_| false, &chains);
        assert_eq!(said.len(), 1, "{setting}");
        assert!(said[0].to_string().starts_with(what), "{}", said[0]);
        let legacy = filters(|name| name == setting, |_| true, &[]);
        assert!(legacy[0].to_string().contains("-legacy -S FORWARD"), "{}", legacy[0]);
    }
}

#[test]
fn answers_that_are_cut_off_or_errors_are_no_chains() {
    let whole = chain(NFPROTO_IPV4, "filter", "FORWARD", 2, 0);
    for end in 0..whole.len() {
        assert_eq!(found(&whole[..end]), [], "{end}");
    }
    let mut nothing = Vec::new();
    let refused = read(&message(NLMSG_ERROR, &(-1_i32).to_ne_bytes()), &mut nothing).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(1));
}
