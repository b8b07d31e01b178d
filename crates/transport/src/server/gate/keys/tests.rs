use proptest::prelude::*;

use super::*;

const fn id(number: u64) -> SessionId {
    SessionId(number)
}

fn enter_many(budget: &mut KeyBudget, key: &str, from: u64, count: u64, room: usize, per_key: usize) {
    for number in from..from + count {
        budget.enter(key, id(number), room, per_key);
    }
}

#[test]
fn t4_a_key_at_its_limit_loses_its_oldest_session_without_a_tunnel() {
    let mut budget = KeyBudget::default();
    enter_many(&mut budget, "greedy", 1, 4, 100, 4);
    budget.set_has_tunnel("greedy", id(1), true);
    assert_eq!(budget.enter("greedy", id(5), 100, 4), Admission::Instead(id(2)));
    assert_eq!(budget.enter("other", id(6), 100, 4), Admission::Welcome);
}

#[test]
fn t4_a_key_whose_sessions_all_carry_gets_no_more() {
    let mut budget = KeyBudget::default();
    enter_many(&mut budget, "greedy", 1, 4, 100, 4);
    for number in 1..=4 {
        budget.set_has_tunnel("greedy", id(number), true);
    }
    assert_eq!(budget.enter("greedy", id(5), 100, 4), Admission::Refused(NoRoom::Key(4)));
    budget.leave("greedy", id(3));
    assert_eq!(budget.enter("greedy", id(6), 100, 4), Admission::Welcome);
}

#[test]
fn t4_a_full_server_takes_from_whoever_has_most() {
    let mut budget = KeyBudget::default();
    enter_many(&mut budget, "greedy", 1, 8, 10, 8);
    enter_many(&mut budget, "modest", 9, 2, 10, 8);
    for number in 1..=10 {
        for key in ["greedy", "modest"] {
            budget.set_has_tunnel(key, id(number), true);
        }
    }
    // Tunnels of the greedy one go last come, first gone.
    assert_eq!(budget.enter("other", id(11), 10, 8), Admission::Instead(id(8)));
    assert_eq!(budget.enter("modest", id(12), 10, 8), Admission::Instead(id(7)));
}

#[test]
fn t4_a_full_server_of_equals_refuses() {
    let mut budget = KeyBudget::default();
    for number in 0..10 {
        assert_eq!(budget.enter(&number.to_string(), id(number), 10, 8), Admission::Welcome);
    }
    assert_eq!(budget.enter("new", id(11), 10, 8), Admission::Refused(NoRoom::Server));
    assert_eq!(budget.enter("3", id(12), 10, 8), Admission::Refused(NoRoom::Server));
}

#[test]
fn t4_who_has_left_makes_room_once() {
    let mut budget = KeyBudget::default();
    enter_many(&mut budget, "a", 1, 2, 2, 2);
    budget.leave("a", id(1));
    budget.leave("a", id(1));
    budget.leave("b", id(2));
    assert_eq!(budget.sessions, 1);
    assert_eq!(budget.enter("a", id(3), 2, 2), Admission::Welcome);
}

proptest! {
    #[test]
    fn t4_the_count_is_right_and_a_key_with_one_session_keeps_it(
        steps in prop::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 1..300)
    ) {
        let mut budget = KeyBudget::default();
        budget.enter("modest", id(0), 12, 5);
        for (number, (key, leaves, has_tunnel)) in (1u64..).zip(steps) {
            let key = format!("hostile {key}");
            if leaves {
                let first = budget.of.get(&key).and_then(|sessions| sessions.keys().next().copied());
                if let Some(first) = first {
                    budget.leave(&key, first);
                }
            } else {
                budget.enter(&key, id(number), 12, 5);
                budget.set_has_tunnel(&key, id(number), has_tunnel);
            }
            prop_assert_eq!(budget.sessions, budget.of.values().map(BTreeMap::len).sum::<usize>());
            prop_assert!(budget.sessions <= 12);
            prop_assert!(budget.of.values().all(|sessions| (1..=5).contains(&sessions.len())));
            prop_assert!(budget.of.contains_key("modest"));
        }
    }
}
