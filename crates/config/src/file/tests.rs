use std::path::PathBuf;
use std::{env, fs};

use proptest::prelude::*;

use super::*;
use crate::{Bounded, InterfaceName, Link, LinkLocal, Name, Native, Route, Server, TunnelDevice, Unit};

fn deployed(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)
}

#[test]
fn samples_load_and_render() {
    for file in ["tapline.yaml", "examples/site-to-site-berlin.yaml", "examples/site-to-site-leipzig.yaml"] {
        let config = Config::load(deployed(file)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            Config::from_str("again", &config.to_yaml()).as_ref(),
            Ok(&config),
            "{}",
            config.to_yaml()
        );
    }
}

#[test]
fn the_lab_of_the_first_command_loads() {
    let lab = Lab::load(deployed("examples/two-sites.yaml")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((lab.networks.len(), lab.hosts.len(), lab.checks.len()), (1, 2, 6));
    let yaml = render::document(&lab.to_json());
    assert_eq!(Lab::from_str("again", &yaml).as_ref(), Ok(&lab), "{yaml}");
}

/// Ten mistakes of ten kinds give ten diagnostics, word for word those committed beside the file.
#[test]
fn ten_mistakes_are_told_in_one_run() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = fs::read_to_string(directory.join("ten-mistakes.yaml")).expect("the file");
    let found = Config::from_str("ten-mistakes.yaml", &text).expect_err("mistakes");
    assert_eq!(found.iter().len(), 10, "{found}");
    assert!(found.iter().all(|mistake| mistake.hint.is_some()), "{found}");
    let told = directory.join("ten-mistakes.txt");
    if env::var_os("TAPLINE_UPDATE").is_some() {
        fs::write(&told, format!("{found}\n")).expect("written");
    }
    assert_eq!(format!("{found}\n"), fs::read_to_string(told).expect("the snapshot"));
}

#[test]
fn empty_files_are_told_so() {
    for text in ["", "# nothing\n", "---\n"] {
        let found = Config::from_str("f.yaml", text).expect_err("nothing in it");
        assert!(found.to_string().starts_with("f.yaml:1:1: the file is empty"), "{found}");
    }
    assert_eq!(Config::from_str("f", "{}"), Ok(Config::default()));
    assert_eq!(Config::from_str("f", "server:\n").map(|config| config.server), Ok(Some(Server::default())));
}

#[test]
fn mistakes_before_a_syntax_error_are_told_too() {
    let text = "links:\n  a:\n    host: b\n    mtu: big\n  c:\n    port: 22\n\tuser: x\n";
    let found = Config::from_str("f", text).expect_err("mistakes");
    let lines: Vec<usize> = found.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [4, 7], "{found}");
}

#[test]
fn a_file_that_cannot_be_read_says_so_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    for path in [directory.path().join("none.yaml"), directory.path().to_owned()] {
        let error = Config::load(&path).expect_err("unreadable");
        assert!(matches!(error, LoadError::Read { .. }));
        assert!(
            !error.to_string().contains('\n') && error.to_string().starts_with("cannot read /"),
            "{error}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_have_their_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("latin1.yaml");
    fs::write(&path, b"links:\n  m\xfcnchen: {}\n").expect("written");
    let LoadError::Invalid(found) = Config::load(&path).expect_err("no text") else { panic!("read") };
    assert_eq!(found.iter().map(|d| (d.line, d.column)).collect::<Vec<_>>(), [(2, 4)]);
}

#[test]
fn a_file_that_is_too_large_is_not_read_whole() {
    let error = Config::load("/dev/zero").expect_err("too large");
    assert!(error.to_string().contains("more than the 1048576 allowed"), "{error}");
}

fn any_link() -> impl Strategy<Value = Link> {
    let host = prop_oneof!["([a-z]{1,8}@)?[a-z]{1,12}\\.example\\.org", Just("2001:db8::1".to_owned())];
    let unit = || prop_oneof![Just(Unit::Any), (0..=Unit::MAX).prop_map(Unit::Number)];
    let route = (any::<std::net::Ipv6Addr>(), 0u8..=128, any::<Option<u32>>()).prop_map(
        |(address, length, metric)| {
            let to = ipnet::Ipv6Net::new(address, length).expect("a length").trunc().into();
            Route { to, via: Some("fe80::1".parse().expect("an address")), metric, on_link: metric.is_some() }
        },
    );
    let file = "(~/|/)[ -$&-~]{1,20}";
    (
        host,
        (unit(), unit()),
        proptest::collection::vec(file, 0..3),
        proptest::option::of((68u32..=1279, 0u32..0x1_0000)),
        proptest::option::of(route),
        (1u32..=16, any::<Option<bool>>(), any::<Option<u16>>(), any::<(bool, bool)>()),
    )
        .prop_map(
            |(host, (local, remote), files, mtu, route, (connections, accept_ra, port, (ipv4, ipv6)))| {
                let mut link = Link::new(host.parse().expect("a host"));
                link.tunnel_device = TunnelDevice { local, remote };
                let mut files: Vec<_> = files.iter().filter_map(|file| file.parse().ok()).collect();
                files.dedup();
                link.identity_file = files.into_iter().take(2).collect::<Vec<_>>().into();
                link.mtu = mtu.map(|(mtu, more)| Bounded::saturating(mtu.max(1280) + more));
                link.routes = route.into_iter().collect();
                link.connections = Bounded::saturating(connections);
                link.native = if connections > 1 { Native::Only } else { Native::No };
                link.accept_ra = accept_ra;
                link.port = port.and_then(std::num::NonZeroU16::new);
                link.link_local = accept_ra.map(|_| LinkLocal { ipv4, ipv6 });
                link.server_alive_interval =
                    port.map(|seconds| std::time::Duration::from_secs(seconds.into()));
                link
            },
        )
}

proptest! {
    #[test]
    fn what_is_rendered_parses_as_the_same(
        links in proptest::collection::btree_map("[a-z][a-z0-9_.-]{0,9}", any_link(), 0..4),
        bridges in proptest::collection::btree_set("[a-z][a-z0-9-]{0,9}", 0..3),
    ) {
        let mut config = Config::new();
        let mut seen = std::collections::HashSet::new();
        for (name, mut link) in links {
            if !seen.insert(link.tunnel_device.local) {
                link.tunnel_device.local = Unit::Any;
            }
            config.links.insert(name.parse::<Name>().expect("a name"), link);
        }
        for name in bridges.iter().filter(|name| *name != "all" && *name != "default") {
            config.bridges.insert(name.parse::<InterfaceName>().expect("a name"), crate::Bridge::new());
        }
        let yaml = config.to_yaml();
        let again = Config::from_str("f", &yaml);
        prop_assert_eq!(again.as_ref().map_err(ToString::to_string), Ok(&config), "{}", yaml);
    }

    #[test]
    fn any_text_gives_a_value_or_mistakes(text in "(?s).{0,200}") {
        if let Err(found) = Config::from_str("f", &text) {
            prop_assert!(found.count() > 0 && !found.to_string().is_empty());
        }
    }

    /// A valid file with one piece cut out, so that most keys still stand where they belong.
    #[test]
    fn a_damaged_sample_gives_a_value_or_mistakes(from in any::<prop::sample::Index>(), length in 1usize..40) {
        let text = fs::read_to_string(deployed("examples/two-sites.yaml")).expect("the sample");
        let from = from.index(text.len());
        let to = (from + length).min(text.len());
        prop_assume!(text.is_char_boundary(from) && text.is_char_boundary(to));
        let damaged = format!("{}{}", &text[..from], &text[to..]);
        if let Err(found) = Lab::from_str("f", &damaged) {
            let lines = damaged.lines().count();
            for mistake in &found {
                prop_assert!((1..=lines + 1).contains(&mistake.line) && mistake.column >= 1, "{found}");
            }
        }
    }
}
