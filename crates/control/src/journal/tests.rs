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
    assert!(matches!(Journal::open(&path), Err(JournalError::Busy { .. })));
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
