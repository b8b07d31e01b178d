use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn v4(last: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, last), 22).into()
}

fn v6(last: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), 22).into()
}

#[test]
fn families_take_turns_and_the_first_keeps_its_place() {
    let order: Vec<_> = interleaved([v6(1), v6(2), v6(1), v6(3), v4(1)]).into();
    assert_eq!(order, [v6(1), v4(1), v6(2), v6(3)]);
    let order: Vec<_> = interleaved([v4(1), v4(2), v6(1)]).into();
    assert_eq!(order, [v4(1), v6(1), v4(2)]);
}

#[test]
fn attempts_are_staggered() {
    let start = Instant::now();
    let mut race = Race::new([v6(1), v4(1)]);
    assert_eq!(race.step(start), Step::Start(v6(1)));
    assert_eq!(race.step(start), Step::Wait(Some(start + STAGGER)));
    let early = start + STAGGER - Duration::from_millis(1);
    assert_eq!(race.step(early), Step::Wait(Some(start + STAGGER)));
    assert_eq!(race.step(start + STAGGER), Step::Start(v4(1)));
    assert_eq!(race.step(start + STAGGER), Step::Wait(None));
}

#[test]
fn a_failure_hastens_the_next_attempt() {
    let start = Instant::now();
    let mut race = Race::new([v6(1), v4(1)]);
    assert_eq!(race.step(start), Step::Start(v6(1)));
    race.failed();
    assert_eq!(race.step(start), Step::Start(v4(1)));
    race.failed();
    assert_eq!(race.step(start), Step::Lost);
}

#[test]
fn nothing_to_try_is_lost_at_once() {
    assert_eq!(Race::new([]).step(Instant::now()), Step::Lost);
}

proptest! {
    #[test]
    fn every_address_is_tried_once_before_all_is_lost(
        addresses in proptest::collection::vec(
            prop_oneof![any::<u8>().prop_map(v4), any::<u16>().prop_map(v6)],
            0..20,
        ),
        fails in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let mut now = Instant::now();
        let mut race = Race::new(addresses.clone());
        let mut tried = Vec::new();
        let mut under_way = 0;
        let mut fails = fails.into_iter();
        loop {
            match race.step(now) {
                Step::Start(address) => {
                    prop_assert!(!tried.contains(&address));
                    prop_assert!(addresses.contains(&address));
                    tried.push(address);
                    under_way += 1;
                }
                Step::Wait(Some(until)) => {
                    prop_assert!(under_way > 0 && until > now);
                    if fails.next().unwrap_or(true) {
                        race.failed();
                        under_way -= 1;
                    } else {
                        now = until;
                    }
                }
                Step::Wait(None) => {
                    prop_assert!(under_way > 0);
                    race.failed();
                    under_way -= 1;
                }
                Step::Lost => break,
            }
        }
        prop_assert_eq!(under_way, 0);
        prop_assert!(addresses.iter().all(|address| tried.contains(address)));
    }
}
