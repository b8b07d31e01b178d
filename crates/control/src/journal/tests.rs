use super::*;
use crate::Operation;

fn something() -> Owned {
    let mut owned = Owned::default();
    owned.claim(&Operation::SetMtu { interface: "tap0".parse().unwrap(), from: 1500, to: 9000 }, Some(3));
    owned
}

#[test]
fn the_record_outlives_the_journal_and_an_empty_one_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tapline").join("state.json");
    let mut journal = Journal::open(&path).unwrap();
    journal.store(something()).unwrap();
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.owned(), &something());
    journal.store(Owned::default()).unwrap();
    drop(journal);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let journal = Journal::open(&path).unwrap();
    let refused = Journal::open(&path).unwrap_err();
    assert!(matches!(refused, JournalError::Busy { holder, .. } if holder == Some(std::process::id())));
    drop(journal);
    Journal::open(&path).unwrap();
}

#[test]
fn a_record_of_another_boot_or_namespace_counts_as_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let mut journal = Journal::open(&path).unwrap();
    journal.store(something()).unwrap();
    drop(journal);
    let text = fs::read_to_string(&path).unwrap();
    let boot = Scope::current().unwrap().boot;
    fs::write(&path, text.replace(&boot, "00000000-0000-0000-0000-000000000000")).unwrap();
    assert!(Journal::open(&path).unwrap().owned().is_empty());
}

#[test]
fn damage_is_reported_with_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    for text in ["", "{", "[]", r#"{"version":1}"#, "\u{0}\u{0}"] {
        fs::write(&path, text).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("state.json is damaged"), "{error}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_an_error() {
    let error = Journal::open("/proc/tapline/state.json").unwrap_err();
    assert!(error.to_string().starts_with("cannot write /proc/tapline/state.json: "), "{error}");
}

/// A place for a journal, and a file of root's that nobody should touch.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("state")).unwrap();
        fs::write(place.path("precious"), "precious").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    fn link(&self, name: &str) {
        std::os::unix::fs::symlink(self.path("precious"), self.path(name)).unwrap();
    }

    fn open(&self) -> Result<Journal, JournalError> {
        Journal::open(self.path("state/state.json"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        assert_eq!(fs::read_to_string(self.path("precious")).unwrap(), "precious");
    }
}

#[test]
fn t13_links_in_the_state_directory_lead_nowhere() {
    let place = Place::new();
    // What a killed process left behind, or somebody put there.
    place.link("state/state.json.new");
    let mut journal = place.open().unwrap();
    journal.store(something()).unwrap();
    assert!(fs::symlink_metadata(place.path("state/state.json")).unwrap().is_file());
    fs::write(place.path("state/state.json.new"), "half").unwrap();
    journal.store(Owned::default()).unwrap();
    drop(journal);

    for name in ["state/state.json", "state/state.json.lock"] {
        let place = Place::new();
        place.link(name);
        assert!(place.open().is_err(), "{name}");
    }
    let place = Place::new();
    fs::create_dir(place.path("state/state.json.new")).unwrap();
    assert!(place.open().unwrap().store(something()).is_err());
}

#[test]
fn t13_a_state_directory_in_others_hands_is_refused() {
    let place = Place::new();
    for (name, mode) in [("state", 0o777), ("state", 0o775), ("state", 0o1777), ("", 0o777), ("", 0o722)] {
        place.mode(name, mode);
        let error = place.open().unwrap_err().to_string();
        assert!(error.contains("chmod go-w") && error.contains("--state-dir"), "{name} {mode:o}: {error}");
        place.mode(name, 0o755);
        place.open().unwrap();
    }
    place.mode("", 0o1777);
    place.open().unwrap().store(something()).unwrap();
    place.mode("state/state.json", 0o666);
    assert!(matches!(place.open(), Err(JournalError::Hands(InOtherHands::Writable { .. }))));
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    place.mode("state/state.json", 0o600);
    for name in ["state/state.json", "state", ""] {
        std::os::unix::fs::chown(place.path(name), Some(4711), None).unwrap();
        let error = place.open().unwrap_err();
        assert!(
            matches!(error, JournalError::Hands(InOtherHands::Owner { owner: 4711, .. })),
            "{name}: {error}"
        );
        std::os::unix::fs::chown(place.path(name), Some(0), None).unwrap();
    }
    place.open().unwrap();
}

#[test]
fn u4_a_record_of_another_namespace_is_left_to_it_while_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let mut journal = Journal::open(&path).unwrap();
    journal.store(something()).unwrap();
    drop(journal);
    assert_eq!(Journal::open_here(&path).unwrap().map(|journal| journal.owned().clone()), Some(something()));
    let text = fs::read_to_string(&path).unwrap();
    let here = format!("\"namespace\":{}", Scope::current().unwrap().namespace);
    let boot = Scope::current().unwrap().boot;
    // Of a namespace that is gone, and of another boot.
    for (from, to) in [(&here, "\"namespace\":1"), (&boot, "00000000-0000-0000-0000-000000000000")] {
        fs::write(&path, text.replace(from.as_str(), to)).unwrap();
        let found = Journal::open_here(&path).unwrap().map(|journal| journal.owned().clone());
        assert_eq!(found, Some(Owned::default()));
    }
    assert!(!namespace_is_there(1));
    assert!(namespace_is_there(Scope::current().unwrap().namespace));
}
