use proptest::prelude::*;

use crate::records::{Hello, Open, OpenError, Record, decode, encode_hello};
use crate::{Mode, Offloads};

use super::*;

const ID: BundleId = BundleId(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff");
const DIGITS: &str = "000102030405060708090a0b0c0d0eff";

/// An open message for any tap with this feature list.
fn message(features: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [1, 2, 0x7fff_ffff, u32::try_from(features.len()).unwrap()] {
        out.extend(field.to_be_bytes());
    }
    out.extend(features.as_bytes());
    out.extend(0_u32.to_be_bytes());
    out
}

fn bundle_in(features: &str) -> Result<Option<BundleMember>, OpenError> {
    Open::decode(&message(features)).map(|open| open.bundle)
}

#[test]
fn the_bundle_stands_in_the_feature_list_of_the_open_message() {
    let member = BundleMember::new(ID, 2, 16);
    for (features, list) in [
        (Offloads::ALL, format!("vnet,tso,uso,bundle={DIGITS}/2/16")),
        (Offloads::NONE, format!("bundle={DIGITS}/2/16")),
    ] {
        let open = Open { mode: Mode::Ethernet, unit: None, features, bundle: member, mtu: None };
        let mut out = Vec::new();
        open.encode(&mut out);
        assert_eq!(out, message(&list));
        assert_eq!(Open::decode(&out), Ok(open));
    }
    assert_eq!(bundle_in(&format!("later,bundle={DIGITS}/1/2,vnet")), Ok(BundleMember::new(ID, 1, 2)));
    assert_eq!(bundle_in("vnet,bundle,bundles=1"), Ok(None));
}

#[test]
fn only_one_spelling_is_a_bundle() {
    let upper = DIGITS.to_uppercase();
    for (digits, place) in [
        (DIGITS, ""),
        (DIGITS, "/1"),
        (DIGITS, "/1/"),
        (DIGITS, "/0/2"),
        (DIGITS, "/3/2"),
        (DIGITS, "/1/1"),
        (DIGITS, "/1/17"),
        (DIGITS, "/1/300"),
        (DIGITS, "/01/2"),
        (DIGITS, "/+1/2"),
        (DIGITS, "/1/2/"),
        (DIGITS, "/1/2/3"),
        (upper.as_str(), "/1/2"),
        ("", "/1/2"),
        (DIGITS.get(1..).unwrap(), "/1/2"),
        (DIGITS.get(2..).unwrap(), "/1/2"),
        ("00000102030405060708090a0b0c0d0eff", "/1/2"),
    ] {
        let name = format!("bundle={digits}{place}");
        assert_eq!(bundle_in(&name), Err(OpenError::Bundle), "{name}");
    }
    assert_eq!(bundle_in(&format!("bundle={DIGITS}/1/2,bundle={DIGITS}/1/2")), Err(OpenError::Bundle));
}

#[test]
fn the_acceptor_says_that_it_has_joined_the_channel() {
    for bundled in [false, true] {
        let hello = Hello { version: 1, features: Offloads::ALL, bundled, device: "tap3", mtu: None };
        let mut out = Vec::new();
        encode_hello(&hello, &mut out);
        assert_eq!(out.windows(7).any(|window| window == b",bundle"), bundled);
        let records: Vec<_> = decode(Mode::Ethernet, &out).collect();
        assert_eq!(records, [Ok(Record::Hello(hello))]);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_nothing_else(id: [u8; 16], number: u8, of: u8, text in "\\PC{0,60}") {
        if let Some(member) = BundleMember::new(BundleId(id), number, of) {
            prop_assert_eq!(BundleMember::parse(&member.to_string()), Some(member));
        }
        let name = format!("bundle={text}");
        if let Some(member) = BundleMember::parse(&name) {
            prop_assert_eq!(member.to_string(), name);
        }
    }
}
