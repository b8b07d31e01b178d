use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use tapline_control::namespace::Namespace;

use crate::{hosts, namespace};

fn output(namespace: &Namespace, command: &mut Command) -> String {
    let child = namespace.spawn(command.stdout(Stdio::piped())).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_command_runs_inside() {
    let Some(hosts) = hosts() else { return };
    let text = output(&hosts.here, Command::new("cat").arg("/proc/self/net/dev"));
    let mut interfaces: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    interfaces.sort_unstable();
    assert_eq!(interfaces, ["eth0", "lo"]);
}

#[test]
fn sysfs_shows_the_namespace() {
    let Some(hosts) = hosts() else { return };
    let mut command = Command::new("ls");
    command.arg("/sys/class/net");
    hosts.here.enter_with_sysfs(&mut command).unwrap();
    match command.output() {
        Ok(output) => assert_eq!(String::from_utf8(output.stdout).unwrap(), "eth0\nlo\n"),
        Err(error) => eprintln!("SKIPPED: sysfs cannot be mounted here ({error})"),
    }
}

#[test]
fn the_caller_stays_outside() {
    let Some(inside) = namespace() else { return };
    let own = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let before = own();
    let there = inside.run(own).unwrap();
    assert_ne!(before, there);
    assert_eq!(before, own());
}

#[test]
fn a_panic_inside_goes_on_outside() {
    let Some(inside) = namespace() else { return };
    let panic = std::panic::catch_unwind(|| inside.run(|| panic!("within")));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"within"));
}

#[test]
fn a_name_is_there_for_as_long_as_the_value() {
    let Some(inside) = namespace() else { return };
    let name = format!("tapline-test-{}", std::process::id());
    let path = Path::new(Namespace::NAMES).join(&name);
    let named = match inside.with_name(&name) {
        Ok(named) => named,
        Err(error) => return eprintln!("SKIPPED: {error}"),
    };
    assert_eq!(named.name(), Some(name.as_str()));
    let second = Namespace::open(&path).unwrap();
    let number = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    assert_eq!(named.run(number).unwrap(), second.run(number).unwrap());
    assert!(namespace().unwrap().with_name(&name).is_err(), "taken");
    drop(named);
    assert!(!path.exists());
}

#[test]
fn names_stay_in_their_directory() {
    for name in ["", ".", "..", "a/b", "../a", "a\0b"] {
        let Some(inside) = namespace() else { return };
        assert!(inside.with_name(name).is_err(), "{name:?}");
    }
}
