use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::keys::Keys;
use crate::namespace::Namespace;
use crate::process::Process;

/// Debian's server, listening; its log has every debug line of level 1.
pub type Sshd = Process;

/// Starts sshd on port 22 with the host key `host` of `keys`. `authorized` are lines of authorized_keys for root, and
/// `options` further lines of sshd_config.
pub fn sshd(host: &Namespace, keys: &Keys, authorized: &str, options: &str) -> Sshd {
    let authorized = host.write("authorized_keys", &format!("{authorized}\n"));
    // What comes first wins.
    let config = format!(
        "{options}\nPort 22\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
         PermitRootLogin yes\nLogLevel DEBUG1\n",
        keys.path("host").display(),
        authorized.display(),
    );
    let config = host.write("sshd_config", &config);
    let mut server = start(host, &config);
    server.wait_for("Server listening");
    server
}

/// With a `/run` of its own: sshd wants `/run/sshd`, which a host without a running sshd lacks.
fn start(host: &Namespace, config: &Path) -> Process {
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(config);
    host.start_prepared("sshd", &mut command, || {
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(none, "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        std::fs::create_dir("/run/sshd").unwrap();
    })
}

/// Debian's client, about to be started.
#[derive(Debug)]
pub struct Ssh<'a> {
    host: &'a Namespace,
    command: Command,
}

impl<'a> Ssh<'a> {
    /// `ssh -v -N` with no configuration but these options.
    pub fn new(host: &'a Namespace, key: &Path) -> Self {
        let mut command = Command::new("ssh");
        command.args(["-v", "-N", "-F", "none", "-i"]).arg(key).env_remove("SSH_AUTH_SOCK");
        let ssh = Self { host, command };
        let known_hosts = format!("UserKnownHostsFile={}", host.path("known_hosts").display());
        ["StrictHostKeyChecking=accept-new", "BatchMode=yes", "IdentitiesOnly=yes", &known_hosts]
            .iter()
            .fold(ssh, |ssh, option| ssh.option(option))
    }

    pub fn option(mut self, option: &str) -> Self {
        self.command.args(["-o", option]);
        self
    }

    /// `words` are further arguments, split at spaces; the destination comes last.
    pub fn start(mut self, words: &str) -> Process {
        self.command.args(words.split_whitespace());
        self.host.start("ssh", &mut self.command)
    }
}
