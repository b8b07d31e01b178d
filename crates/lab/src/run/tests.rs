use super::*;

#[test]
fn n19_a_missing_tun_device_is_said_with_its_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(find_tun(&file).is_ok());
    let missing = find_tun(&directory.path().join("tun")).unwrap_err();
    assert!(matches!(missing, LabError::NoTun), "{missing}");
    assert!(missing.to_string().contains("modprobe tun"));
    let nowhere = find_tun(&file.join("net/tun")).unwrap_err();
    assert!(matches!(nowhere, LabError::NoTun), "{nowhere}");
    let directory = find_tun(directory.path()).unwrap_err();
    assert!(matches!(directory, LabError::Tun(_)), "{directory}");
    for error in [missing, nowhere, directory, LabError::TunPermission] {
        assert_eq!(error.to_string().lines().count(), 1);
    }
}
