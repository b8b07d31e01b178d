use super::*;

const ATTEMPTS: u32 = 3;
const ALL: [MethodKind; 3] = [MethodKind::Password, MethodKind::PublicKey, MethodKind::KeyboardInteractive];

fn plan(methods: Methods, interactive: bool, accepted: &[MethodKind]) -> Plan {
    let mut plan = Plan::new(methods, interactive, ATTEMPTS);
    plan.failed(&accepted.into(), false);
    plan
}

#[test]
fn keys_come_first_then_answers() {
    let mut plan = plan(Methods::default(), true, &ALL);
    assert_eq!(plan.next(true), Some(Method::PublicKey));
    assert_eq!(plan.next(true), Some(Method::PublicKey));
    for method in [Method::KeyboardInteractive, Method::Password] {
        for _ in 0..ATTEMPTS {
            assert_eq!(plan.next(false), Some(method));
        }
    }
    assert_eq!(plan.next(false), None);
}

#[test]
fn nobody_to_ask_means_keys_only() {
    let mut plan = plan(Methods::default(), false, &ALL);
    assert_eq!(plan.next(true), Some(Method::PublicKey));
    assert_eq!(plan.next(false), None);
}

#[test]
fn what_is_not_allowed_is_not_tried() {
    let methods = Methods { public_key: false, keyboard_interactive: false, password: true };
    assert_eq!(plan(methods, true, &ALL).next(true), Some(Method::Password));
    assert_eq!(plan(methods, true, &[MethodKind::PublicKey]).next(true), None);
}

#[test]
fn the_server_may_want_more() {
    let mut plan = plan(Methods::default(), true, &[MethodKind::PublicKey]);
    assert_eq!(plan.next(true), Some(Method::PublicKey));
    plan.failed(&[MethodKind::Password].as_slice().into(), true);
    assert!(plan.is_partial());
    assert_eq!(plan.next(true), Some(Method::Password));
    assert_eq!(plan.accepted(), ["password"]);
}

#[test]
fn who_gives_up_is_not_asked_again() {
    let mut plan = plan(Methods::default(), true, &ALL);
    plan.give_up(Method::KeyboardInteractive);
    assert_eq!(plan.next(false), Some(Method::Password));
    plan.give_up(Method::Password);
    assert_eq!(plan.next(false), None);
}

#[test]
fn s2_preferred_authentications_decide_order_and_choice() {
    let preferring = |names: &[&str], accepted: &[MethodKind]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut plan = Plan::new(Methods::default(), true, 1).preferring(&names);
        plan.failed(&accepted.into(), false);
        std::iter::from_fn(|| plan.next(false)).collect::<Vec<_>>()
    };
    assert_eq!(
        preferring(&["password", "keyboard-interactive"], &ALL),
        [Method::Password, Method::KeyboardInteractive]
    );
    assert_eq!(preferring(&["hostbased", "password"], &ALL), [Method::Password]);
    assert_eq!(preferring(&["publickey"], &ALL), []);
    assert_eq!(preferring(&["keyboard-interactive"], &[MethodKind::Password]), []);
    let mut keys =
        Plan::new(Methods::default(), true, 1).preferring(&["password".into(), "publickey".into()]);
    keys.failed(&ALL.as_slice().into(), false);
    assert_eq!((keys.next(true), keys.next(true)), (Some(Method::Password), Some(Method::PublicKey)));
}
