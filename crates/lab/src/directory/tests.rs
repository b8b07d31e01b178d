use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn t13_a_labs_directory_is_in_nobody_elses_hands() {
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("kept");
    Directory::kept(&kept).unwrap();
    for mode in [0o777, 0o775, 0o1777, 0o702] {
        fs::set_permissions(&kept, fs::Permissions::from_mode(mode)).unwrap();
        let error = Directory::kept(&kept).unwrap_err();
        assert!(matches!(error, DirectoryError::Hands(_)), "{mode:o}: {error}");
    }
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o755)).unwrap();
    Directory::kept(&kept).unwrap();
    // Files are made anew, whatever link has their name.
    symlink(place.path().join("nowhere"), kept.join("id")).unwrap();
    assert!(write(&kept.join("id"), "key").is_err());
    assert!(!place.path().join("nowhere").exists());
    assert!(Directory::kept(&kept).is_err(), "it is in use");
}
