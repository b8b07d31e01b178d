#![allow(clippy::unwrap_used)]

use std::{
    fs::Permissions,
    os::unix::fs::{PermissionsExt, chown, symlink},
};

use super::*;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("keys")).unwrap();
        fs::set_permissions(place.path("keys"), Permissions::from_mode(0o755)).unwrap();
        place.write("keys/file", b"text");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Distrust> {
        read(&self.path(name))
    }
}

const ABSENT: Result<Option<Vec<u8>>, Distrust> = Ok(None);

fn text() -> Result<Option<Vec<u8>>, Distrust> {
    Ok(Some(b"text".to_vec()))
}

#[test]
fn t1_only_a_file_that_is_nowhere_is_absent() {
    let place = Place::new();
    assert_eq!(place.read("keys/file"), text());
    assert_eq!(place.read("keys/none"), ABSENT);
    assert_eq!(place.read("none/none"), ABSENT);
    // A file where a directory should be, links to nothing and in a circle, and what is no file.
    assert!(matches!(place.read("keys/file/below"), Err(Distrust::Unreadable { .. })));
    symlink("nowhere", place.path("keys/dangling")).unwrap();
    assert_eq!(place.read("keys/dangling"), Err(Distrust::Dangling(place.path("keys/dangling"))));
    symlink("circle", place.path("keys/circle")).unwrap();
    assert!(place.read("keys/circle").is_err());
    symlink("nowhere", place.path("gone")).unwrap();
    assert_eq!(place.read("gone/file"), Err(Distrust::Dangling(place.path("gone/file"))));
    assert_eq!(place.read("keys"), Err(Distrust::NoFile(place.path("keys"))));
    nix::unistd::mkfifo(&place.path("keys/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(place.read("keys/pipe"), Err(Distrust::NoFile(place.path("keys/pipe"))));
    assert_eq!(read(Path::new("/dev/zero")), Err(Distrust::NoFile("/dev/zero".into())));
    let long = File::create(place.path("keys/long")).unwrap();
    long.set_len(MAX_SIZE + 1).unwrap();
    assert_eq!(place.read("keys/long"), Err(Distrust::TooLong(place.path("keys/long"))));
}

#[test]
fn t1_a_file_that_others_can_write_is_not_read() {
    let place = Place::new();
    for mode in [0o620, 0o602, 0o666, 0o777, 0o664] {
        place.mode("keys/file", mode);
        assert_eq!(place.read("keys/file"), Err(Distrust::Writable(place.path("keys/file"))), "{mode:o}");
    }
    for mode in [0o600, 0o644, 0o755, 0o400] {
        place.mode("keys/file", mode);
        assert_eq!(place.read("keys/file"), text(), "{mode:o}");
    }
}

#[test]
fn t13_a_directory_that_others_can_write_holds_nothing_trusted() {
    let place = Place::new();
    fs::create_dir_all(place.path("a/b")).unwrap();
    place.write("a/b/file", b"text");
    symlink(place.path("a/b/file"), place.path("keys/link")).unwrap();
    symlink("../a/b", place.path("keys/directory")).unwrap();
    for (directory, mode) in [("a", 0o777), ("a", 0o775), ("a/b", 0o757), ("a/b", 0o722)] {
        place.mode(directory, mode);
        let refused = Err(Distrust::Writable(place.path(directory)));
        // Nor is it believed that there is no file, and links lead around nothing.
        for file in ["a/b/file", "a/b/none", "keys/link", "keys/directory/file", "keys/../a/b/file"] {
            assert_eq!(place.read(file), refused, "{file} {directory} {mode:o}");
        }
        place.mode(directory, 0o755);
        assert_eq!(place.read("keys/link"), text());
    }
    // A link in a bad place says nothing about a file in a good one.
    place.mode("a", 0o777);
    symlink(place.path("keys/file"), place.path("a/link")).unwrap();
    assert_eq!(place.read("a/link"), Err(Distrust::Writable(place.path("a"))));
    place.mode("a", 0o1777);
    assert_eq!(place.read("a/link"), text(), "nobody else can replace it");
}

#[test]
fn t13_what_belongs_to_others_is_not_trusted() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    const OTHER: u32 = 4711;
    let place = Place::new();
    let give =
        |name: &str, owner: u32| std::os::unix::fs::lchown(place.path(name), Some(owner), None).unwrap();
    let refused = |name: &str| Err(Distrust::Owner { path: place.path(name), owner: OTHER, wanted: 0 });
    give("keys/file", OTHER);
    assert_eq!(place.read("keys/file"), refused("keys/file"));
    give("keys/file", 0);
    give("keys", OTHER);
    assert_eq!(place.read("keys/file"), refused("keys"));
    assert_eq!(place.read("keys/none"), refused("keys"));
    give("keys", 0);
    // A stranger's link in a directory like /tmp to a file that is in order.
    fs::create_dir(place.path("tmp")).unwrap();
    place.mode("tmp", 0o1777);
    symlink("../keys/file", place.path("tmp/link")).unwrap();
    assert_eq!(place.read("tmp/link"), text());
    give("tmp/link", OTHER);
    assert_eq!(place.read("tmp/link"), refused("tmp/link"));
    chown(place.path("tmp"), Some(OTHER), None).unwrap();
    assert_eq!(place.read("tmp/link"), refused("tmp"));
}
