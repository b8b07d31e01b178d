use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::diagnostic::Report;
use crate::document::read;
use crate::schema::{Element, OneOrMany, Scalar};

fn scalar<T: Scalar>(text: &str) -> Result<T, String> {
    T::from_text(text).map_err(|error| error.to_string())
}

/// What is wrong with `text` as a `T`; every message must come with a hint.
fn refusal<T: Scalar + std::fmt::Debug>(text: &str) -> String {
    let InvalidValue { message, hint } = T::from_text(text).expect_err(text);
    assert!(!message.is_empty() && !hint.is_empty() && !message.contains('\n'), "{text}: {message} {hint}");
    format!("{message}: {hint}")
}

fn element<T: Element>(text: &str) -> Option<T> {
    let mut report = Report::default();
    let value = T::parse(&read(text, &mut report)?, &mut report);
    value.filter(|_| report.is_empty())
}

#[test]
fn tunnel_devices_are_those_of_openssh() {
    let device = |text: &str| text.parse::<TunnelDevice>().map(|device| device.to_string());
    assert_eq!(device("any").as_deref(), Ok("any:any"));
    assert_eq!(device("7").as_deref(), Ok("7:any"));
    assert_eq!(device("any:0").as_deref(), Ok("any:0"));
    assert_eq!(device("0:2147483645").as_deref(), Ok("0:2147483645"));
    for text in
        ["", ":", "1:", ":1", "1:2:3", "2147483646", "2147483647", "-1", "+1", "0x1", "tap0", "Any", " 1"]
    {
        assert!(device(text).is_err(), "{text}");
    }
}

#[test]
fn yes_is_openssh_for_point_to_point() {
    assert_eq!("yes".parse(), Ok(Tunnel::PointToPoint));
    assert_eq!("ethernet".parse(), Ok(Tunnel::Ethernet));
    assert!("no".parse::<Tunnel>().is_err());
}

#[test]
fn switches_and_words_survive_yaml_1_1() {
    assert_eq!(scalar("true"), Ok(PermitTunnel::Yes));
    assert_eq!(scalar("false"), Ok(StrictHostKeyChecking::No));
    assert_eq!(scalar("yes"), Ok(true));
    assert_eq!(scalar("off"), Ok(false));
    assert!(refusal::<Native>("onyl").ends_with("did you mean `only`?"));
    assert!(refusal::<AddressFamily>("true").contains("any, inet, inet6"));
    assert!(refusal::<bool>("1").contains("neither true nor false"));
}

#[test]
fn times_are_those_of_openssh() {
    for (text, seconds) in
        [("0", 0), ("600", 600), ("10m", 600), ("1h30m", 5400), ("2W", 1_209_600), ("1s1", 2)]
    {
        assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for text in
        ["", "m", "10x", "1.5h", "-1", " 1", "1h ", "99999999999999999999", "2147483648", "3551w", "1ä"]
    {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_keep_to_their_range() {
    assert_eq!(scalar::<Mtu>("68").map(Bounded::get), Ok(68));
    assert_eq!(scalar::<Mtu>("65521").map(Bounded::get), Ok(65521));
    for text in ["67", "65522", "4294967296", "99999999999999999999999"] {
        assert!(refusal::<Mtu>(text).ends_with("out of range: write a number from 68 to 65521"), "{text}");
    }
    for text in ["", "1_500", "+1500", "-1", "1500.0", "0x100", "١٢٣"] {
        assert!(refusal::<Mtu>(text).contains("not a whole number"), "{text}");
    }
    assert_eq!((Mtu::saturating(0).get(), Mtu::saturating(u32::MAX).get(), Mtu::new(0)), (68, 65521, None));
}

#[test]
fn max_startups_is_start_rate_full() {
    assert_eq!(scalar("10:30:100"), Ok(MaxStartups::default()));
    assert_eq!(scalar("5"), Ok(MaxStartups { start: 5, rate: 100, full: 5 }));
    for text in ["", "0", "10:30", "10:0:100", "10:101:100", "100:30:10", "1:2:3:4", "a:b:c"] {
        assert!(refusal::<MaxStartups>(text).contains("start:rate:full"), "{text}");
    }
}

#[test]
fn rekey_limit_is_bytes_and_time() {
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    assert_eq!(scalar("default"), Ok(RekeyLimit::default()));
    assert_eq!(scalar("64M"), Ok(RekeyLimit { bytes: Some(64 << 20), time: None }));
    assert_eq!(scalar("1G 1h"), Ok(RekeyLimit { bytes: Some(1 << 30), time: minutes(60) }));
    assert_eq!(scalar("default 5m"), Ok(RekeyLimit { bytes: None, time: minutes(5) }));
    assert_eq!(scalar("16k none"), Ok(RekeyLimit { bytes: Some(16 << 10), time: None }));
    for text in ["", "15", "1T", "G", "1G 0", "1G 1h 1h", "none", "99999999999G", "+1M"] {
        assert!(refusal::<RekeyLimit>(text).contains("no limit for keys"), "{text}");
    }
}

#[test]
fn window_limit_is_bytes_within_reason() {
    let limit = |text: &str| scalar::<WindowLimit>(text).map(|limit| (limit.get(), limit.to_string()));
    let some = |bytes: u32, text: &str| Ok((bytes, text.to_owned()));
    assert_eq!(WindowLimit::default().to_string(), "64M");
    for (text, bytes, printed) in [
        ("256K", 256 << 10, "256K"),
        ("262144", 256 << 10, "256K"),
        ("262145", (256 << 10) + 1, "262145"),
        ("1024k", 1 << 20, "1M"),
        ("48m", 48 << 20, "48M"),
        ("1g", 1 << 30, "1G"),
    ] {
        assert_eq!(limit(text), some(bytes, printed), "{text}");
    }
    for text in
        ["0", "262143", "255K", "1025M", "1073741825", "2G", "4G", "17179869184G", "99999999999999999999"]
    {
        assert!(refusal::<WindowLimit>(text).ends_with("from 256K to 1G: `64M`"), "{text}");
    }
    for text in ["", "M", "default", "64MB", "64 M", "1T", "-1M", "+1M", "1.5M"] {
        assert!(refusal::<WindowLimit>(text).contains("no limit for a window: write bytes"), "{text}");
    }
}

#[test]
fn congestion_control_has_a_name_of_the_kernel() {
    assert_eq!(scalar("auto"), Ok(Congestion::default()));
    assert_eq!(scalar("system"), Ok(Congestion::System));
    for name in ["cubic", "bbr", "dctcp", "bbr_v3-test", "abcdefghijklmno"] {
        let Ok(Congestion::Named(named)) = scalar(name) else { panic!("{name}") };
        assert_eq!(named.as_str(), name);
    }
    for text in ["", "Auto", "BBR", "abcdefghijklmnop", "a b", "tcp/bbr", "a.b", "bbr,cubic", "ä"] {
        assert!(refusal::<Congestion>(text).contains("write `auto`, `system`, or a name"), "{text}");
    }
}

#[test]
fn an_interface_has_an_address_and_a_prefix() {
    for text in ["10.77.0.1/24", "192.0.2.0/31", "192.0.2.1/32", "fd77::1/64", "fd77::/64", "fe80::1/64"] {
        assert_eq!(scalar::<IpNet>(text).map(|net| net.to_string()).as_deref(), Ok(text));
    }
    for (text, part) in [
        ("10.77.0.1", "add the length of the prefix: `10.77.0.1/24`"),
        ("fd77::1", "add the length of the prefix: `fd77::1/64`"),
        ("10.77.0.1/33", "0 to 32 bits"),
        ("fd77::1/129", "0 to 128 bits"),
        ("10.77.0/24", "write all four numbers: `10.77.0.0/24`"),
        ("berlin/24", "write it like"),
        ("10.77.0.0/24", "the address of the network"),
        ("10.77.0.255/24", "the broadcast address"),
        ("224.0.0.1/24", "a group's address"),
        ("ff02::1/64", "a group's address"),
        ("::/64", "no interface"),
    ] {
        assert!(refusal::<IpNet>(text).contains(part), "{}", refusal::<IpNet>(text));
    }
}

#[test]
fn y5_a_number_with_a_zero_in_front_is_refused() {
    for (text, meant) in [
        ("10.0.0.010/24", "10.0.0.10/24"),
        ("010.0.0.1/24", "10.0.0.1/24"),
        ("10.0.00.1/8", "10.0.0.1/8"),
        ("192.000.002.001/32", "192.0.2.1/32"),
        ("10.0.0.08/24", "10.0.0.8/24"),
    ] {
        let refused = refusal::<IpNet>(text);
        assert!(refused.contains(&format!("did you mean `{meant}`?")), "{refused}");
    }
    for text in ["10.0.0.1/024", "10.0.0.1/+8", "10.0.0.1/ 8", "10.0.0.1/", "10.0.0.256/24", "0x0a.0.0.1/8"] {
        refusal::<IpNet>(text);
    }
    assert!(element::<Route>("{to: 010.0.0.0/8}").is_none());
}

#[test]
fn y6_a_value_of_another_program_gets_its_replacement() {
    for (refused, part) in [
        (refusal::<bool>("On"), "write `true`"),
        (refusal::<bool>("0"), "write `false`"),
        (refusal::<PermitTunnel>("on"), "write `yes`"),
        (refusal::<PermitTunnel>("off"), "write `no`"),
        (refusal::<PermitTunnel>("tap"), "write `ethernet`"),
        (refusal::<StrictHostKeyChecking>("off"), "write `no`"),
        (refusal::<AddressFamily>("ipv6"), "write `inet6`"),
        (refusal::<Tunnel>("no"), "remove the link"),
        (refusal::<TunnelDevice>("tap7"), "write the number alone: `7`"),
        (refusal::<IpNet>("10.1/8"), "write all four numbers: `10.1.0.0/8`"),
        (refusal::<IpNet>("fe80::1%eth0/64"), "leave out the zone"),
        (refusal::<PublicKey>("ssh-ed25519-cert-v01@openssh.com AAAA"), "this is a certificate"),
        (refusal::<PublicKey>("SHA256:abc"), "this is a fingerprint"),
        (refusal::<PublicKey>("restrict,tunnel=\"0\" ssh-ed25519 AAAA"), "options go into"),
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let told = |text: &str| {
        let mut report = Report::default();
        let value = read(text, &mut report).and_then(|node| Route::parse(&node, &mut report));
        assert!(value.is_none(), "{text}");
        report.into_diagnostics("f", text).to_string()
    };
    assert!(told("{to: 0/0}").contains("write 0.0.0.0/0 for IPv4"), "{}", told("{to: 0/0}"));
    assert!(
        told("{to: any, via: 10.0.0.1}").contains("write `default`"),
        "{}",
        told("{to: any, via: 10.0.0.1}")
    );
    assert_eq!((scalar("True"), scalar("FALSE")), (Ok(PermitTunnel::Yes), Ok(PermitTunnel::No)));
}

#[test]
fn a_listener_has_an_address_and_a_port() {
    assert_eq!(scalar("[::]:2222"), Ok(SocketAddr::from(([0u16; 8], 2222))));
    for (text, part) in [
        ("0.0.0.0", "add the port: `0.0.0.0:2222`"),
        ("::", "`\"[::]:2222\"`"),
        ("[::1]", "`\"[::1]:2222\"`"),
        ("2222", "`0.0.0.0:2222`"),
        (":2222", "`0.0.0.0:2222`"),
        ("*:2222", "`0.0.0.0:2222`"),
        ("192.0.2.1:0", "1 to 65535"),
        ("192.0.2.1:65536", "write it like"),
        ("berlin.example.org:22", "names are not looked up"),
    ] {
        assert!(refusal::<SocketAddr>(text).contains(part), "{}", refusal::<SocketAddr>(text));
    }
}

#[test]
fn a_mac_address_is_one_interface() {
    let mac = scalar::<MacAddr>("02:00:5E:77:00:01").expect("valid");
    assert_eq!((mac.octets(), mac.to_string().as_str()), ([2, 0, 0x5e, 0x77, 0, 1], "02:00:5e:77:00:01"));
    for text in [
        "",
        "02:00:5e:77:00",
        "02:00:5e:77:00:01:02",
        "02-00-5e-77-00-01",
        "2:0:5e:77:0:1",
        "02:00:5e:77:00:+1",
    ] {
        refusal::<MacAddr>(text);
    }
    for text in ["01:00:5e:00:00:01", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"] {
        assert!(refusal::<MacAddr>(text).contains("no address of one interface"), "{text}");
    }
}

#[test]
fn names_are_those_the_kernel_takes() {
    for name in ["eth0", "br-lab", "enp3s0f1", "eth0.100", "abcdefghijklmno"] {
        assert_eq!(scalar::<InterfaceName>(name).as_ref().map(InterfaceName::as_str), Ok(name));
    }
    for name in
        ["", ".", "..", "all", "default", "abcdefghijklmnop", "a/b", "a b", "-a", "br:0", "brücke", "a%b"]
    {
        refusal::<InterfaceName>(name);
    }
    for name in ["", "-x", "a/b", "a b", "../x", &"x".repeat(64)] {
        refusal::<Name>(name);
    }
}

#[test]
fn an_address_of_one_link_needs_its_interface() {
    for text in ["192.0.2.1", "fd77::1", "fe80::1%br-lab", "ff02::1%tap0"] {
        assert_eq!(text.parse::<ZonedAddr>().map(|address| address.to_string()).as_deref(), Ok(text));
    }
    for text in ["fe80::1", "ff02::1", "224.0.0.1", "fe80::1%", "x%eth0", "192.0.2.1/24"] {
        refusal::<ZonedAddr>(text);
    }
}

#[test]
fn hosts_are_spelled_as_for_ssh() {
    for text in
        ["berlin", "root@berlin.example.org", "a@b@berlin", "2001:db8::1", "root@fe80::1%eth0", "192.0.2.1"]
    {
        assert_eq!(text.parse::<HostTarget>().map(|target| target.to_string()).as_deref(), Ok(text));
    }
    for (text, part) in [
        ("", "write a name"),
        ("root@", "write a name"),
        ("@berlin", "user's name"),
        ("berlin:2222", "`port: 2222`"),
        ("[2001:db8::1]", "without brackets"),
        ("-oProxyCommand=x", "without brackets, options"),
        ("ssh://berlin", "ssh://"),
        ("a b", "letters, digits"),
        ("a;b", "letters, digits"),
        ("$(x)@berlin", "user's name"),
    ] {
        assert!(refusal::<HostTarget>(text).contains(part), "{}", refusal::<HostTarget>(text));
    }
}

#[test]
fn jumps_are_a_list_or_have_commas() {
    let jumps: ProxyJump = element("gate.example.org,admin@[2001:db8::22]:2022").expect("valid");
    assert_eq!(element::<ProxyJump>("[gate.example.org, 'admin@[2001:db8::22]:2022']"), Some(jumps.clone()));
    let ProxyJump::Through(stations) = jumps else { panic!("{jumps:?}") };
    assert_eq!(
        stations.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["gate.example.org", "admin@[2001:db8::22]:2022"]
    );
    assert_eq!(stations[1].port.map(std::num::NonZero::get), Some(2022));
    assert_eq!("ssh://a:22".parse::<Jump>().map(|jump| jump.to_string()).as_deref(), Ok("a:22"));
    assert_eq!("2001:db8::1".parse::<Jump>().map(|jump| jump.port), Ok(None));
    assert_eq!(element("none"), Some(ProxyJump::None));
    for text in ["''", "'a,'", "',a'", "a:0", "a:x", "'[::1]x:2:3'", "[]", "{a: b}"] {
        assert_eq!(element::<ProxyJump>(text), None, "{text}");
    }
}

#[test]
fn a_public_key_is_whole() {
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f two words";
    let key = scalar::<PublicKey>(line).expect("valid");
    assert_eq!((key.algorithm(), key.blob().len(), key.comment()), ("ssh-ed25519", 51, "two words"));
    assert_eq!(key.to_string(), line);
    let cut = line.get(..line.len() - 20).expect("ASCII");
    for (text, part) in [
        ("", "the line of the .pub file"),
        ("/etc/tapline/id_ed25519.pub", "paste the line of"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("ssh-ed25591 AAAA", "did you mean `ssh-ed25519`?"),
        ("ssh-dss AAAA", "DSA is gone"),
        ("ssh-ed25519", "not a whole"),
        ("ssh-ed25519 AAAA", "not a whole"),
        ("ssh-ed25519 !!!!", "not a whole"),
        ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f", "not a whole"),
        (cut, "not a whole"),
    ] {
        assert!(refusal::<PublicKey>(text).contains(part), "{}", refusal::<PublicKey>(text));
    }
}

#[test]
fn paths_keep_their_tokens() {
    assert_eq!(scalar::<PathPattern>("~/%u/%h/%%").as_ref().map(PathPattern::as_str), Ok("~/%u/%h/%%"));
    for text in ["", "%", "a%", "%z", "%%%"] {
        refusal::<PathPattern>(text);
    }
}

#[test]
fn routes_make_sense() {
    let route = |text| {
        element::<Route>(text).map(|route| (route.to.to_string(), route.via.map(|via| via.to_string())))
    };
    let some = |to: &str, via: &str| Some((to.to_owned(), Some(via.to_owned())));
    assert_eq!(route("{to: default, via: 192.0.2.1}"), some("0.0.0.0/0", "192.0.2.1"));
    assert_eq!(route("{to: default, via: 'fd77::1'}"), some("::/0", "fd77::1"));
    assert_eq!(
        route("{to: 198.51.100.7, via: 'fe80::1', on-link: true}"),
        some("198.51.100.7/32", "fe80::1")
    );
    assert_eq!(route("{to: '2001:db8::/32'}"), Some(("2001:db8::/32".to_owned(), None)));
    for text in [
        "{to: default}",
        "{via: 192.0.2.1}",
        "{to: 10.0.0.1/8, via: 192.0.2.1}",
        "{to: '2001:db8::/32', via: 192.0.2.1}",
        "{to: 10.0.0.0/8, via: 224.0.0.1}",
        "{to: 10.0.0.0/8, via: 0.0.0.0}",
        "{to: 10.0.0.0/8, on-link: true}",
        "{to: 10.0.0.0/8, metric: -1}",
        "{}",
        "10.0.0.0/8",
    ] {
        assert_eq!(route(text), None, "{text}");
    }
}

#[test]
fn link_local_is_a_choice_of_families() {
    assert_eq!(element("[]"), Some(LinkLocal { ipv4: false, ipv6: false }));
    assert_eq!(element("[ipv4, ipv6]"), Some(LinkLocal { ipv4: true, ipv6: true }));
    assert_eq!(element::<LinkLocal>("[ipv5]"), None);
    assert_eq!(element::<LinkLocal>("ipv6"), None);
}

#[test]
fn one_value_is_a_list_of_one() {
    let one: OneOrMany<PathPattern> = element("a").expect("valid");
    assert_eq!(element("[a]"), Some(one));
    assert_eq!(element::<OneOrMany<PathPattern>>("{}"), None);
    assert_eq!(element::<OneOrMany<PathPattern>>("[a, a]"), None);
}

fn prints_what_it_read<T: Scalar + PartialEq + std::fmt::Debug>(text: &str) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_text(text) {
        let printed = match Scalar::to_json(&value) {
            serde_json::Value::String(string) => string,
            other => other.to_string(),
        };
        prop_assert_eq!(T::from_text(&printed), Ok(value), "{} became {}", text, printed);
    }
    Ok(())
}

proptest! {
    /// Words over an alphabet in which many are valid.
    #[test]
    fn every_value_prints_as_itself(text in "(any|none|default|fe80::|ssh-rsa |[0-9a-f:./%@\\[\\],kMsmh -]){0,12}") {
        prints_what_it_read::<AddressFamily>(&text)?;
        prints_what_it_read::<Congestion>(&text)?;
        prints_what_it_read::<Duration>(&text)?;
        prints_what_it_read::<HostTarget>(&text)?;
        prints_what_it_read::<InterfaceName>(&text)?;
        prints_what_it_read::<IpAddr>(&text)?;
        prints_what_it_read::<IpNet>(&text)?;
        prints_what_it_read::<Jump>(&text)?;
        prints_what_it_read::<MacAddr>(&text)?;
        prints_what_it_read::<MaxStartups>(&text)?;
        prints_what_it_read::<Mtu>(&text)?;
        prints_what_it_read::<Name>(&text)?;
        prints_what_it_read::<PathPattern>(&text)?;
        prints_what_it_read::<ProxyCommand>(&text)?;
        prints_what_it_read::<PublicKey>(&text)?;
        prints_what_it_read::<RekeyLimit>(&text)?;
        prints_what_it_read::<SocketAddr>(&text)?;
        prints_what_it_read::<TunnelDevice>(&text)?;
        prints_what_it_read::<Unit>(&text)?;
        prints_what_it_read::<UserName>(&text)?;
        prints_what_it_read::<ZonedAddr>(&text)?;
    }

    #[test]
    fn every_window_limit_prints_as_itself(number in any::<u32>(), bits in 0u8..31, unit in "[kKmMgG]?") {
        prints_what_it_read::<WindowLimit>(&format!("{}{unit}", number >> bits))?;
    }

    #[test]
    fn every_mac_address_prints_as_itself(octets in any::<[u8; 6]>()) {
        if let Some(mac) = MacAddr::new(octets) {
            prop_assert_eq!(mac.to_string().parse(), Ok(mac));
        }
    }

    #[test]
    fn every_prefix_prints_as_itself(address in any::<IpAddr>(), length in 0u8..=128) {
        prints_what_it_read::<IpNet>(&format!("{address}/{length}"))?;
    }
}

#[test]
fn t9_blocks_are_those_of_openssh() {
    let read = |text: &str| text.parse::<NetBlockSize>().ok().map(|size| (size.ipv4, size.ipv6));
    for (text, size) in [
        ("32:64", Some((32, 64))),
        ("24", Some((24, 64))),
        ("0:0", Some((0, 0))),
        ("32:128", Some((32, 128))),
        ("33:64", None),
        ("32:129", None),
        ("32:", None),
        (":64", None),
        ("/24", None),
        ("32:64:1", None),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(read(text), size, "{text}");
    }
}

#[test]
fn t9_exempt_are_addresses_and_networks() {
    for (text, shown) in [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::7", "2001:db8::7"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ] {
        assert_eq!(text.parse::<AddressBlock>().unwrap().to_string(), shown);
    }
    for text in ["192.0.2.7/24", "192.0.2", "2001:db8::1/64", "example.org", "192.0.2.*", "!192.0.2.1", ""] {
        assert!(text.parse::<AddressBlock>().is_err(), "{text}");
    }
}

#[test]
fn s11_a_uri_is_no_host_and_the_hint_takes_it_apart() {
    for (text, hint) in [
        ("ssh://root@berlin:2222", "write `host: root@berlin` and `port: 2222`"),
        ("ssh://root@berlin", "write `host: root@berlin`"),
        ("ssh://berlin", "write `host: berlin`"),
        ("SSH://berlin:22/", "write `host: berlin` and `port: 22`"),
        ("ssh://root@[2001:db8::1]:22", "write `host: root@2001:db8::1` and `port: 22`"),
        ("scp://berlin", "write the bare name"),
        ("ssh://", "write the bare name"),
        ("root@ssh://berlin", "write the bare name"),
    ] {
        assert!(refusal::<HostTarget>(text).contains(hint), "{}", refusal::<HostTarget>(text));
    }
}

#[test]
fn u18_a_kind_of_tunnel_is_no_device() {
    for text in ["ethernet", "point-to-point", "yes"] {
        let refusal = refusal::<TunnelDevice>(text);
        assert!(refusal.contains(&format!("`tunnel: {text}`")), "{refusal}");
    }
    assert!(refusal::<TunnelDevice>("ethernet:7").contains("any:any"));
}
