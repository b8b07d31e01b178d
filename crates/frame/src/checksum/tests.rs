use proptest::prelude::*;

use super::*;
use crate::samples::naive_checksum;

#[test]
fn example_of_rfc_1071() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(Sum::default().add_bytes(&bytes).fold(), 0xddf2);
    assert_eq!(Sum::default().add_bytes(&bytes).finish(), !0xddf2);
}

#[test]
fn example_of_rfc_1624() {
    // Section 4: HC 0xdd2f, m 0x5555, m' 0x3285 gives 0x0000.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0);
}

#[test]
fn zero_is_sent_as_all_ones() {
    assert_eq!(Sum::default().add_u16(0xffff).finish(), 0);
    assert_eq!(Sum::default().add_u16(0xffff).finish_nonzero(), 0xffff);
}

proptest! {
    #[test]
    fn agrees_with_the_letter_of_rfc_1071(
        head in prop::collection::vec(any::<u8>(), 0..50),
        tail in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let even = head.len() & !1;
        let sum = Sum::default().add_bytes(&head[..even]).add_bytes(&tail);
        prop_assert_eq!(sum.finish(), naive_checksum(&head[..even], &tail));
    }

    #[test]
    fn numbers_add_as_their_bytes_do(a: u16, b: u32) {
        let bytes = [&a.to_be_bytes()[..], &b.to_be_bytes()[..]].concat();
        prop_assert_eq!(
            Sum::default().add_u16(a).add_u32(b).finish(),
            Sum::default().add_bytes(&bytes).finish()
        );
    }

    #[test]
    fn updating_is_summing_anew(mut words in prop::collection::vec(any::<u16>(), 2..20), at in 0_usize..20, new: u16) {
        let at = at % words.len();
        // A header whose sum is zero does not exist: its first word is its version.
        words[0] |= 0x4000;
        prop_assume!(at != 0);
        let sum = |words: &[u16]| words.iter().fold(Sum::default(), |sum, word| sum.add_u16(*word)).finish();
        let before = sum(&words);
        let old = std::mem::replace(&mut words[at], new);
        prop_assert_eq!(update(before, old, new), sum(&words));
    }
}
