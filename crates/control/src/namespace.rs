//! Network namespaces for labs and tests, made without `ip`. See `namespaces(7)`, `network_namespaces(7)`.
//!
//! A namespace lives as long as something holds it: a [`Namespace`], a process in it, or its name. Interfaces that
//! were made in it go with it.

use std::{
    fs::{self, File},
    future::Future,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};

use crate::{Controller, Desired, Interface, Journal, Outcome, ReconcileError};

mod obstacle;
mod private;
mod wire;

pub use private::{IsolationError, enter_user_namespace, isolate, join_process};
pub use wire::{WireEnd, wire};

/// A network namespace, held open.
#[derive(Debug)]
pub struct Namespace {
    handle: OwnedFd,
    name: Option<Name>,
}

/// A namespace cannot be made, entered or set up.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    #[error("cannot create a network namespace: {}; {}", .0, hint(.0))]
    Create(io::Error),
    #[error("cannot enter the network namespace: {0}; run as root or in a user namespace (unshare -Urn)")]
    Enter(io::Error),
    #[error("cannot name the network namespace {}: {source}", path.display())]
    Name { path: PathBuf, source: io::Error },
    #[error("cannot set up the network namespace: {0}")]
    SetUp(#[from] Box<ReconcileError>),
    #[error("cannot lay a wire between network namespaces: {0}")]
    Wire(io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(nix::libc::ENOSPC) => "raise the limit with `sysctl -w user.max_net_namespaces=15000`",
        Some(nix::libc::EINVAL) => "the kernel has none (CONFIG_NET_NS)",
        _ => "run as root or in a user namespace (unshare -Urn)",
    }
}

impl Namespace {
    /// Where `ip netns` looks for names.
    pub const NAMES: &str = "/run/netns";

    /// A fresh namespace in which the loopback interface is up.
    ///
    /// # Errors
    /// `CAP_SYS_ADMIN` is missing, or a limit is reached.
    pub fn new() -> Result<Self, NamespaceError> {
        let made = thread::scope(|scope| {
            join(scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open(THREAD_NAMESPACE)
            }))
        });
        let namespace = Self { handle: made.map_err(NamespaceError::Create)?.into(), name: None };
        let mut desired = Desired::default();
        if let Ok(loopback) = "lo".parse() {
            desired.interfaces.insert(loopback, Interface::default());
        }
        namespace.configure(&desired)?;
        Ok(namespace)
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn current() -> io::Result<Self> {
        Self::open(THREAD_NAMESPACE)
    }

    /// The namespace behind a file: one in [`Self::NAMES`], or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { handle: File::open(path)?.into(), name: None })
    }

    /// Gives it a name, so that `ip netns exec NAME` finds it. The name goes when `self` is dropped.
    ///
    /// # Errors
    /// The name is taken or not the name of a file, or the caller may not mount.
    pub fn with_name(mut self, name: &str) -> Result<Self, NamespaceError> {
        let path = Path::new(Self::NAMES).join(name);
        let failed = |source| NamespaceError::Name { path: path.clone(), source };
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
        }
        fs::create_dir_all(Self::NAMES).map_err(failed)?;
        File::create_new(&path).map_err(failed)?;
        let name = Name { path: path.clone() };
        let source = Path::new(THREAD_NAMESPACE);
        let bind = || Ok(mount(Some(source), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?);
        self.run(bind)?.map_err(failed)?;
        self.name = Some(name);
        Ok(self)
    }

    /// The name given with [`Self::with_name`].
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().and_then(|name| name.path.file_name()).and_then(|name| name.to_str())
    }

    /// Runs `work` on a thread of its own inside the namespace and waits for it. A panic in it goes on here.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        let inside = || {
            self.enter()?;
            Ok(work())
        };
        thread::scope(|scope| join(scope.spawn(inside))).map_err(NamespaceError::Enter)
    }

    /// Runs the future that `work` makes inside the namespace, as [`Self::run`], on a tokio runtime of its own.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub fn block_on<T: Send, F: Future<Output = T>>(
        &self,
        work: impl FnOnce() -> F + Send,
    ) -> Result<T, NamespaceError> {
        let result = self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async { work().await }))
        })?;
        result.map_err(NamespaceError::Enter)
    }

    /// Brings about the desired state inside, without a record: it goes when the namespace goes.
    ///
    /// # Errors
    /// As [`Controller::reconcile`].
    pub fn configure(&self, desired: &Desired) -> Result<Outcome, NamespaceError> {
        let outcome = self.block_on(|| async {
            let mut controller = Controller::new(Journal::in_memory()).map_err(ReconcileError::Watch)?;
            controller.reconcile(desired).await
        })?;
        outcome.map_err(|error| NamespaceError::SetUp(Box::new(error)))
    }

    /// Moves the calling thread into the namespace, for good. Threads that exist already stay where they are.
    ///
    /// # Errors
    /// `CAP_SYS_ADMIN` is missing.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.handle, CloneFlags::CLONE_NEWNET)?)
    }

    /// Makes `command` run inside. Also for `tokio::process::Command`, which is made from a command of the standard
    /// library.
    ///
    /// The process sees the files of the caller; of them `/sys/class/net` shows the caller's namespace. See
    /// [`Self::enter_with_sysfs`].
    ///
    /// # Errors
    /// No file descriptor is left.
    #[allow(unsafe_code)]
    pub fn enter_on_exec(&self, command: &mut Command) -> io::Result<()> {
        let handle = self.handle.try_clone()?;
        let enter = move || Ok(setns(&handle, CloneFlags::CLONE_NEWNET)?);
        // SAFETY: between fork and exec the hook only calls setns(2), which is async-signal-safe; it allocates nothing
        // and takes no lock. It owns the descriptor that it uses.
        unsafe { command.pre_exec(enter) };
        Ok(())
    }

    /// As [`Self::enter_on_exec`], in a mount namespace of its own where `/sys` shows the namespace, as
    /// `ip netns exec` has it.
    ///
    /// # Errors
    /// No file descriptor is left.
    #[allow(unsafe_code)]
    pub fn enter_with_sysfs(&self, command: &mut Command) -> io::Result<()> {
        self.enter_on_exec(command)?;
        let mount_sysfs = || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
            mount(None::<&str>, c"/", None::<&str>, slave, None::<&str>)?;
            Ok(mount(Some(c"sysfs"), c"/sys", Some(c"sysfs"), MsFlags::empty(), None::<&str>)?)
        };
        // SAFETY: between fork and exec the hook only makes system calls with constant C strings; it allocates nothing
        // and takes no lock.
        unsafe { command.pre_exec(mount_sysfs) };
        Ok(())
    }

    /// Starts `command` inside.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.enter_on_exec(command)?;
        command.spawn()
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// The namespace of the thread that opens it; `/proc/self` would be the process's first thread's.
const THREAD_NAMESPACE: &str = "/proc/thread-self/ns/net";

fn join<T>(thread: thread::ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A file in [`Namespace::NAMES`] on which a namespace is mounted.
#[derive(Debug)]
struct Name {
    path: PathBuf,
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        let _ = fs::remove_file(&self.path);
    }
}
