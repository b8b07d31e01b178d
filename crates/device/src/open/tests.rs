use super::*;

fn target(mode: Mode, unit: Unit) -> Result<Option<String>, OpenError> {
    Target::of(&OpenRequest::new(mode, unit)).map(|target| target.name)
}

#[test]
fn units_become_the_names_of_openssh() {
    assert_eq!(target(Mode::Ethernet, Unit::Number(0)).unwrap().unwrap(), "tap0");
    assert_eq!(target(Mode::PointToPoint, Unit::Number(7)).unwrap().unwrap(), "tun7");
    assert_eq!(target(Mode::Ethernet, Unit::Any).unwrap(), None);
}

#[test]
fn the_highest_unit_still_is_an_interface_name() {
    let name = target(Mode::Ethernet, Unit::Number(Unit::MAX)).unwrap().unwrap();
    assert_eq!(name, "tap2147483645");
    assert!(is_interface_name(&name));
}

#[test]
fn units_beyond_the_highest_are_refused() {
    for unit in [Unit::MAX + 1, 0x7fff_ffff, u32::MAX] {
        let error = target(Mode::Ethernet, Unit::Number(unit)).unwrap_err();
        assert!(matches!(error, OpenError::UnitOutOfRange(given) if given == unit), "{error}");
    }
}

#[test]
fn a_name_takes_the_place_of_the_unit() {
    let request = OpenRequest {
        name: Some("lab-a".into()),
        ..OpenRequest::new(Mode::Ethernet, Unit::Number(u32::MAX))
    };
    assert_eq!(Target::of(&request).unwrap().name.unwrap(), "lab-a");
}

#[test]
fn names_that_the_kernel_refuses_or_rewrites_are_refused() {
    for name in ["", ".", "..", "a/b", "a b", "a:b", "tap%d", "sixteen-letters-", "tab\t", "nul\0"] {
        assert!(!is_interface_name(name), "{name:?}");
    }
    assert!(is_interface_name("fifteen-letters"));
}

#[test]
fn errors_are_one_line() {
    let errors = [
        OpenError::NoDriver,
        OpenError::CreateNotPermitted { what: "tap0".into(), example: "tap0".into(), mode: Mode::Ethernet },
        OpenError::NotOwner { interface: "tun0".into(), mode: Mode::PointToPoint },
        OpenError::SingleQueue { interface: "tap0".into(), mode: Mode::Ethernet },
        OpenError::OtherMode { interface: "tap0".into(), is: Mode::PointToPoint, wanted: Mode::Ethernet },
    ];
    for error in errors {
        assert_eq!(error.to_string().lines().count(), 1);
    }
}
