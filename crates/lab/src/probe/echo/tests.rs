use proptest::prelude::*;

use super::{Echo, checksum};

/// An IPv4 header of this many words before the message.
fn packet(words: u8, message: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; usize::from(words) * 4];
    packet[0] = 0x40 | words;
    packet.extend(message);
    packet
}

fn reply(request: &[u8], kind: u8) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[0] = kind;
    (reply[2], reply[3]) = (0, 0);
    let sum = checksum(&reply).to_be_bytes();
    (reply[2], reply[3]) = (sum[0], sum[1]);
    reply
}

#[test]
fn checksum_of_the_example_in_rfc_1071() {
    assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    assert_eq!(checksum(&[]), 0xffff);
    assert_eq!(checksum(&[0x12]), !0x1200);
}

#[test]
fn a_request_is_an_echo_request_of_64_bytes() {
    let request = Echo { identifier: 0x1234, sequence: 7 }.v4_request();
    assert_eq!(request.len(), 64);
    assert_eq!(request[..2], [8, 0]);
    assert_eq!(request[4..8], [0x12, 0x34, 0, 7]);
    assert_eq!(checksum(&request), 0);
    let request = Echo { identifier: 0x1234, sequence: 7 }.v6_request();
    assert_eq!(request[..8], [128, 0, 0, 0, 0x12, 0x34, 0, 7]);
}

#[test]
fn a_request_is_no_reply() {
    let echo = Echo { identifier: 1, sequence: 1 };
    assert_eq!(Echo::from_v4_reply(&packet(5, &echo.v4_request())), None);
    assert_eq!(Echo::from_v6_reply(&echo.v6_request()), None);
}

proptest! {
    #[test]
    fn replies_read_back(identifier: u16, sequence: u16, words in 5u8..16) {
        let echo = Echo { identifier, sequence };
        let v4 = packet(words, &reply(&echo.v4_request(), 0));
        prop_assert_eq!(Echo::from_v4_reply(&v4), Some(echo));
        prop_assert_eq!(Echo::from_v6_reply(&reply(&echo.v6_request(), 129)), Some(echo));
    }

    #[test]
    fn a_damaged_reply_is_none(identifier: u16, sequence: u16, at in 20usize..84, bit in 0u32..8) {
        let mut packet = packet(5, &reply(&Echo { identifier, sequence }.v4_request(), 0));
        packet[at] ^= 1 << bit;
        prop_assert_eq!(Echo::from_v4_reply(&packet), None);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Echo::from_v4_reply(&bytes);
        let _ = Echo::from_v6_reply(&bytes);
    }
}
