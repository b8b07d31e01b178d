use std::fs;
use std::io;

use tapline_tests::Namespace;

const SYSCTL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// TCP's congestion control for the namespaces of a run.
#[derive(Debug)]
pub(crate) struct Congestion {
    name: String,
    /// Only where namespaces may not choose for themselves.
    host: Option<HostSetting>,
}

impl Congestion {
    /// # Errors
    /// The kernel has no such algorithm.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let trial = Namespace::new("trial");
        let host = match trial.enter(|| fs::write(SYSCTL, name)) {
            Ok(()) => None,
            // Not in net.ipv4.tcp_allowed_congestion_control: new namespaces take the host's.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Some(HostSetting::replace(name)?)
            }
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("congestion control {name}: {error}")));
            }
        };
        Ok(Self { name: name.to_owned(), host })
    }

    /// A new namespace with this congestion control.
    pub(crate) fn namespace(&self, name: &str) -> Namespace {
        let namespace = Namespace::new(name);
        if self.host.is_none() {
            namespace.set_sysctl("net/ipv4/tcp_congestion_control", &self.name);
        }
        assert_eq!(namespace.sysctl("net/ipv4/tcp_congestion_control"), self.name);
        namespace
    }
}

/// The host's own setting, changed while namespaces are made that inherit it, and put back when dropped.
#[derive(Debug)]
struct HostSetting {
    former: String,
}

impl HostSetting {
    fn replace(name: &str) -> io::Result<Self> {
        let former = fs::read_to_string(SYSCTL)?.trim().to_owned();
        let setting = Self { former };
        fs::write(SYSCTL, name)?;
        Ok(setting)
    }
}

impl Drop for HostSetting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SYSCTL, &self.former) {
            eprintln!("cannot set {SYSCTL} back to {}: {error}", self.former);
        }
    }
}
