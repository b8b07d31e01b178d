use super::*;

fn remedy(settings: Settings, step: Step, errno: i32) -> String {
    let remedy = settings.remedy(step, &io::Error::from_raw_os_error(errno));
    assert_eq!(remedy.lines().count(), 1, "{remedy}");
    assert!(!remedy.contains("  "), "{remedy}");
    remedy
}

#[test]
fn n19_each_obstacle_has_its_own_remedy() {
    let open = Settings {
        max_user_namespaces: Some(15_000),
        max_net_namespaces: Some(15_000),
        max_mnt_namespaces: Some(15_000),
        ..Settings::default()
    };
    let none = Settings { max_user_namespaces: Some(0), ..open };
    let debian = Settings { unprivileged_userns_clone: Some(0), ..open };
    let ubuntu = Settings { apparmor_restrict_unprivileged_userns: Some(1), ..open };
    for (settings, step, errno, says) in [
        (none, Step::UserNamespace, libc::ENOSPC, "`sysctl -w user.max_user_namespaces=15000`"),
        (
            Settings { max_net_namespaces: Some(0), ..open },
            Step::UserNamespace,
            libc::ENOSPC,
            "raise it with `sysctl -w user.max_net_namespaces=15000`",
        ),
        (open, Step::UserNamespace, libc::ENOSPC, "user.max_mnt_namespaces"),
        (debian, Step::UserNamespace, libc::EPERM, "kernel.unprivileged_userns_clone=1"),
        (ubuntu, Step::UserNamespace, libc::EACCES, "kernel.apparmor_restrict_unprivileged_userns=0"),
        (ubuntu, Step::Map, libc::EPERM, "profile with `userns,`"),
        (ubuntu, Step::Mounts, libc::EACCES, "AppArmor"),
        (open, Step::UserNamespace, libc::EINVAL, "CONFIG_USER_NS"),
        (open, Step::UserNamespace, libc::EUSERS, "within each other"),
        (open, Step::UserNamespace, libc::EPERM, "seccomp"),
        (open, Step::Map, libc::EPERM, "map the user there"),
        (open, Step::Mounts, libc::EPERM, "allows mount"),
        (Settings::default(), Step::Mounts, libc::EACCES, "CAP_SYS_ADMIN"),
    ] {
        let remedy = remedy(settings, step, errno);
        assert!(remedy.contains(says), "{step:?}, {errno}: {remedy}");
    }
    assert!(
        !remedy(none, Step::UserNamespace, libc::ENOSPC).contains("max_net"),
        "the one that is in the way"
    );
}
