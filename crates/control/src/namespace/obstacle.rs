//! Why a system lets no program have namespaces of its own, and what to do about it. Pure but for [`Settings::here`].

use std::{fs, io};

use nix::libc;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// `unshare(2)` of user, network and mount namespaces.
    UserNamespace,
    /// Writing `/proc/self/uid_map` and its like.
    Map,
    Mounts,
}

/// The settings of a system that decide; `None` where it does not have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) max_user_namespaces: Option<u64>,
    pub(super) max_net_namespaces: Option<u64>,
    pub(super) max_mnt_namespaces: Option<u64>,
    /// Debian's and its relatives'.
    pub(super) unprivileged_userns_clone: Option<u64>,
    /// Ubuntu's since 23.10: a user namespace can be made, and gives no rights.
    pub(super) apparmor_restrict_unprivileged_userns: Option<u64>,
}

impl Settings {
    pub(super) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(format!("/proc/sys/{path}")).ok()?.trim().parse().ok();
        Self {
            max_user_namespaces: read("user/max_user_namespaces"),
            max_net_namespaces: read("user/max_net_namespaces"),
            max_mnt_namespaces: read("user/max_mnt_namespaces"),
            unprivileged_userns_clone: read("kernel/unprivileged_userns_clone"),
            apparmor_restrict_unprivileged_userns: read("kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// What to do, as the end of a sentence.
    pub(super) fn remedy(&self, step: Step, error: &io::Error) -> String {
        let errno = error.raw_os_error();
        if errno == Some(libc::ENOSPC) {
            return self.raise_limit();
        }
        if step == Step::UserNamespace && matches!(errno, Some(libc::EINVAL | libc::ENOSYS)) {
            return "the kernel has no user namespaces (CONFIG_USER_NS): run as root".to_owned();
        }
        if errno == Some(libc::EUSERS) {
            return "too many user namespaces lie within each other here: run it outside of them".to_owned();
        }
        if self.unprivileged_userns_clone == Some(0) && step == Step::UserNamespace {
            return "run as root, or allow it with `sysctl -w kernel.unprivileged_userns_clone=1`".to_owned();
        }
        if self.apparmor_restrict_unprivileged_userns == Some(1) {
            return "AppArmor takes the rights from programs without a profile here, as Ubuntu has it since 23.10: \
                    run as root, give the program a profile with `userns,` in /etc/apparmor.d, or allow it with \
                    `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
                .to_owned();
        }
        match step {
            Step::UserNamespace => {
                "run as root; in a container, allow it there (seccomp and AppArmor profile unconfined)"
            }
            Step::Map => {
                "run as root; in a container or under a security module, map the user there and allow user namespaces"
            }
            Step::Mounts => {
                "run as root outside of containers, or give the container CAP_SYS_ADMIN and a profile that allows mount"
            }
        }
        .to_owned()
    }

    fn raise_limit(&self) -> String {
        let limits = [
            ("user.max_user_namespaces", self.max_user_namespaces),
            ("user.max_net_namespaces", self.max_net_namespaces),
            ("user.max_mnt_namespaces", self.max_mnt_namespaces),
        ];
        let none_allowed = limits.iter().filter(|(_, limit)| *limit == Some(0)).map(|(name, _)| *name);
        let mut which: Vec<&str> = none_allowed.collect();
        if which.is_empty() {
            which = limits.iter().map(|(name, _)| *name).collect();
        }
        let commands: Vec<String> = which.iter().map(|name| format!("`sysctl -w {name}=15000`")).collect();
        format!("the limit of namespaces is reached: raise it with {}", commands.join(" and "))
    }
}

#[cfg(test)]
mod tests;
