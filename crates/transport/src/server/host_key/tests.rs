#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::*;

#[test]
fn a_missing_key_is_created_for_its_owner_alone_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ssh_host_ed25519_key");
    let created = create_host_key(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(create_host_key(&path).unwrap(), created);
    assert_eq!(load_host_key(&path).unwrap(), created);
    let public = fs::read_to_string(directory.path().join("ssh_host_ed25519_key.pub")).unwrap();
    assert!(public.starts_with("ssh-ed25519 "));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "a draft is left behind");
}

#[test]
fn creators_that_meet_agree_on_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let keys: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| create_host_key(&path).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for key in &keys {
        assert_eq!(Some(key), keys.first());
    }
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    create_host_key(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = load_host_key(&path).unwrap_err();
    assert!(matches!(error, HostKeyError::Permissions { mode: 0o640, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
    // Not replaced either.
    assert!(create_host_key(&path).is_err());
}

#[test]
fn what_is_no_key_is_refused_with_a_way_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    write_draft(&path, b"-----BEGIN RSA PRIVATE KEY-----\n", 0o600).unwrap();
    let error = load_host_key(&path).unwrap_err().to_string();
    assert!(error.contains("ssh-keygen"), "{error}");
    fs::remove_file(&path).unwrap();
    write_draft(&path, &vec![b'x'; 70_000], 0o600).unwrap();
    assert!(matches!(load_host_key(&path), Err(HostKeyError::Size { .. })));
    assert!(matches!(
        create_host_key(&directory.path().join("missing/key")),
        Err(HostKeyError::Create { .. })
    ));
}

#[test]
fn t13_a_host_key_in_others_hands_is_not_used_and_links_are_not_written_through() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let precious = directory.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    // A link where the public half goes, and one to nothing where the key goes.
    std::os::unix::fs::symlink(&precious, directory.path().join("key.pub")).unwrap();
    create_host_key(&path).unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    let dangling = directory.path().join("dangling");
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &dangling).unwrap();
    assert!(create_host_key(&dangling).is_err());
    assert!(!directory.path().join("nowhere").exists());
    assert!(matches!(load_host_key(directory.path()), Err(HostKeyError::NoFile { .. })));
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(matches!(load_host_key(&pipe), Err(HostKeyError::NoFile { .. })));
    assert!(matches!(load_host_certificate(&pipe), Err(HostKeyError::NoFile { .. })));
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
        let error = load_host_key(&path).unwrap_err();
        assert!(matches!(error, HostKeyError::Owner { owner: 4711, .. }), "{error}");
        assert!(error.to_string().contains("chown 0"), "{error}");
    }
}
