//! Namespaces of the whole process, for programs that must not touch what they find and need no root.

use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    unistd::{getegid, geteuid},
};

use super::{
    Namespace,
    obstacle::{Settings, Step},
};

/// The process cannot get namespaces of its own.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    #[error("namespaces can be entered only before the process starts threads; {0} run already")]
    Threads(usize),
    #[error("cannot create user, network and mount namespaces: {source}; {remedy}")]
    UserNamespace { source: io::Error, remedy: String },
    #[error("cannot map user and group into the user namespace: {source}; {remedy}")]
    Map { source: io::Error, remedy: String },
    #[error("cannot make mounts private: {source}; {remedy}")]
    Mounts { source: io::Error, remedy: String },
    #[error("cannot enter the namespaces of process {process}: {source}")]
    Join { process: u32, source: io::Error },
}

impl IsolationError {
    fn at(step: Step, source: io::Error) -> Self {
        let remedy = Settings::here().remedy(step, &source);
        match step {
            Step::UserNamespace => Self::UserNamespace { source, remedy },
            Step::Map => Self::Map { source, remedy },
            Step::Mounts => Self::Mounts { source, remedy },
        }
    }
}

/// Moves the process into fresh network and mount namespaces: of root with root's own rights, of anyone else inside a
/// fresh user namespace. What it does to interfaces and mounts from here on ends with it and its children.
///
/// To be called first thing in `main`.
///
/// # Errors
/// Threads run already, or the system allows no user namespaces.
pub fn isolate() -> Result<(), IsolationError> {
    check_single_thread()?;
    if geteuid().is_root() && unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).is_ok() {
        return private_mounts();
    }
    enter_user_namespace()
}

/// Moves the process into fresh user, network and mount namespaces, in which it is root. User and group outside are
/// the caller's, alone: what is done to files is done as the caller, and no other user exists inside.
///
/// To be called first thing in `main`.
///
/// # Errors
/// Threads run already, or the system allows no user namespaces.
pub fn enter_user_namespace() -> Result<(), IsolationError> {
    check_single_thread()?;
    let (user, group) = (geteuid(), getegid());
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    unshare(flags).map_err(|error| IsolationError::at(Step::UserNamespace, error.into()))?;
    // The kernel lets an unprivileged process map its group only after it gave up setgroups(2); user_namespaces(7).
    let map = |file: &str, text: String| {
        fs::write(file, text).map_err(|error| IsolationError::at(Step::Map, error))
    };
    map("/proc/self/setgroups", "deny".to_owned())?;
    map("/proc/self/uid_map", format!("0 {user} 1"))?;
    map("/proc/self/gid_map", format!("0 {group} 1"))?;
    private_mounts()
}

/// Moves the process into the user, mount and network namespaces of another, where they differ from its own.
///
/// To be called first thing in `main`, as for a command that is to run inside a lab.
///
/// # Errors
/// Threads run already, the process is gone, or the caller has no rights over it.
pub fn join_process(process: u32) -> Result<(), IsolationError> {
    check_single_thread()?;
    // The user namespace first: the others can be entered with the rights that it gives.
    let kinds = [
        ("user", CloneFlags::CLONE_NEWUSER),
        ("mnt", CloneFlags::CLONE_NEWNS),
        ("net", CloneFlags::CLONE_NEWNET),
    ];
    let failed = |source| IsolationError::Join { process, source };
    let mut entries = Vec::new();
    for (kind, flag) in kinds {
        let path = format!("/proc/{process}/ns/{kind}");
        let theirs = fs::metadata(&path).map_err(failed)?.ino();
        let own = fs::metadata(format!("/proc/self/ns/{kind}")).map_err(failed)?.ino();
        if theirs != own {
            entries.push((OwnedFd::from(File::open(&path).map_err(failed)?), flag));
        }
    }
    for (handle, flag) in entries {
        setns(handle, flag).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

fn check_single_thread() -> Result<(), IsolationError> {
    // Without /proc nothing is known, and the kernel itself refuses what it must.
    match fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(threads) if threads > 1 => Err(IsolationError::Threads(threads)),
        _ => Ok(()),
    }
}

fn private_mounts() -> Result<(), IsolationError> {
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(|error| IsolationError::at(Step::Mounts, error.into()))?;
    // Both are for comfort: `/sys/class/net` that fits, and names for `ip netns`. A container may forbid them.
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none);
    let _ = mount(Some("tmpfs"), Namespace::NAMES, Some("tmpfs"), MsFlags::empty(), Some("mode=755"));
    Ok(())
}
