use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{PinError, Pins, is_null};
use crate::trust::fixtures::{key, text};
use crate::trust::known_hosts::Host;

const BERLIN: Host<'static> = Host { name: "berlin.example.org", port: 22, alias: None };

#[test]
fn t5_the_memory_holds_a_host_to_its_first_key() {
    let pins = Pins::in_memory();
    assert_eq!(pins.held(&BERLIN), None);
    pins.hold(&BERLIN, &key(1)).unwrap();
    pins.hold(&BERLIN, &key(1)).unwrap();
    assert!(matches!(pins.hold(&BERLIN, &key(2)), Err(PinError::Contradicted { .. })));
    let shouted = Host { name: "BERLIN.example.org", ..BERLIN };
    assert_eq!(pins.held(&shouted), Some(key(1)));
    assert_eq!(pins.held(&Host { port: 2222, ..BERLIN }), None);
    assert!(matches!(pins.store(&BERLIN, &key(1)), Err(PinError::Nowhere)));
}

#[test]
fn t5_the_file_of_pins_is_a_known_hosts_file() {
    let directory = tempfile::tempdir().unwrap();
    let pins = Pins::in_directory(&directory.path().join("state"));
    assert_eq!(pins.file().unwrap(), None);
    let file = pins.store(&BERLIN, &key(1)).unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), format!("berlin.example.org {}\n", text(1)));
    assert_eq!(pins.file().unwrap(), Some(file));
    let refused = pins.store(&BERLIN, &key(2)).unwrap_err();
    assert!(refused.is_contradiction(), "{refused}");
}

#[test]
fn t5_pins_in_other_hands_are_not_believed() {
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    type Spoil = fn(&Path, &dyn Fn(&Path, u32));
    let spoiled: [(&str, Spoil); 4] = [
        ("a directory that others may write", |state, mode| mode(state, 0o777)),
        ("a directory that a group may write", |state, mode| mode(state, 0o770)),
        ("a file that others may write", |state, mode| mode(&state.join("known_hosts"), 0o666)),
        ("a link to elsewhere", |state, _| {
            fs::rename(state.join("known_hosts"), state.join("elsewhere")).unwrap();
            symlink(state.join("elsewhere"), state.join("known_hosts")).unwrap();
        }),
    ];
    for (what, spoil) in spoiled {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let pins = Pins::in_directory(&state);
        pins.store(&BERLIN, &key(1)).unwrap();
        spoil(&state, &set_mode);
        assert!(matches!(pins.file(), Err(PinError::NotOurs { .. })), "{what}");
        let leipzig = Host { name: "leipzig.example.org", ..BERLIN };
        assert!(matches!(pins.store(&leipzig, &key(2)), Err(PinError::NotOurs { .. })), "{what}");
    }
}

#[test]
fn t5_dev_null_is_told_from_other_devices() {
    assert!(is_null(Path::new("/dev/null")));
    for other in ["/dev/zero", "/dev/full", "/dev", "/nonexistent", "/proc/self/stat"] {
        assert!(!is_null(Path::new(other)), "{other}");
    }
}
