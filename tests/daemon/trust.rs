//! Who may log in: files that decide it, in every state, with one key that is let in and one that means no good.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use tapline_tests::{Process, are_met, eventually};

use crate::kernel_state::has_carrier;
use crate::sites::{Daemon, Sites, fails, says};

/// Berlin accepts `id` as leipzig's key and `stranger` as hostile's; `keys` is its file of authorized keys.
fn server_section(sites: &Sites, keys: &Path, more: &str) -> String {
    format!(
        "server:\n  listen: [192.0.2.1:2222]\n  host-keys: [{}]\n  permit-tunnel: ethernet\n  per-source-penalties: \
         false\n  authorized-keys-files: [{}]\n{more}  accept:\n    leipzig: {{public-key: {}}}\n    hostile: \
         {{public-key: {}}}\n",
        sites.keys.path("host").display(),
        keys.display(),
        sites.keys.public("id"),
        sites.keys.public("stranger"),
    )
}

fn is_refused(sites: &Sites, key: &str) {
    let line = fails(&sites.leipzig, 255, &mut once(sites, key));
    says(&line, &["permission denied"]);
}

fn once(sites: &Sites, key: &str) -> Command {
    sites.connect(key, &["StrictHostKeyChecking=accept-new"], "root@192.0.2.1")
}

fn is_let_in(sites: &Sites, key: &str) {
    let mut link = sites.leipzig.start("tapline connect", &mut once(sites, key));
    link.wait_for(": up device=");
    link.terminate();
}

/// A link of leipzig's that stays up.
fn stays(sites: &Sites) -> Process {
    let daemon =
        Daemon::start(&sites.leipzig, &format!("links:\n  berlin: {}\n", sites.link(", tunnel-device: 5")));
    eventually("the link of the good key", || has_carrier(&sites.leipzig, "tap5"));
    daemon.process
}

#[test]
fn t1_limits_stay_when_their_file_cannot_be_read() {
    if !are_met(&["setsid"]) {
        return;
    }
    let sites = Sites::new();
    let limited = format!("restrict,from=\"192.0.2.99\" {}\n", sites.keys.public("stranger"));
    let directory = sites.berlin.path("trust");
    fs::create_dir(&directory).unwrap();
    let file = directory.join("authorized_keys");
    let write = || {
        fs::write(&file, &limited).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    };
    write();
    let mut server = Daemon::start(&sites.berlin, &server_section(&sites, &file, ""));
    server.process.wait_for("Server listening");
    let mut good = stays(&sites);
    let ups = good.count(": up device=");
    is_refused(&sites, "stranger");

    let remove = || {
        let _ = fs::remove_file(&file);
        let _ = fs::remove_dir(&file);
    };
    let spoil: [(&str, &dyn Fn()); 6] = [
        ("can be written by others", &|| fs::set_permissions(&file, Permissions::from_mode(0o620)).unwrap()),
        ("was there and is gone", &|| fs::rename(&file, directory.join("elsewhere")).unwrap()),
        ("cannot read", &|| {
            remove();
            symlink("authorized_keys", &file).unwrap();
        }),
        ("is no regular file", &|| {
            remove();
            fs::create_dir(&file).unwrap();
        }),
        ("leads to no file", &|| {
            remove();
            symlink("nowhere", &file).unwrap();
        }),
        ("can be written by others", &|| {
            fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap()
        }),
    ];
    for (words, spoil) in spoil {
        let said = server.process.count(words);
        spoil();
        is_refused(&sites, "stranger");
        assert!(server.process.count(words) > said, "{words}: {}", server.process.log());
        remove();
        write();
        // As soon as it can be read again, all is as before.
        is_refused(&sites, "stranger");
    }
    assert!(good.is_running() && has_carrier(&sites.leipzig, "tap5"));
    assert_eq!(good.count(": up device="), ups, "the link of the other key was never down");
    good.terminate();
    is_let_in(&sites, "id");

    // Nor does a reload set it free.
    fs::remove_file(&file).unwrap();
    server.process.signal(Signal::SIGHUP);
    server.becomes_ready();
    is_refused(&sites, "stranger");
    write();
    is_refused(&sites, "stranger");
    is_let_in(&sites, "id");
    server.process.terminate();
}

#[test]
fn t15_a_key_that_is_revoked_logs_in_no_more_and_another_does() {
    if !are_met(&["setsid", "ssh-keygen"]) {
        return;
    }
    let sites = Sites::new();
    let revoked = sites.berlin.write("revoked", "");
    let more = format!("  revoked-keys: {}\n", revoked.display());
    let mut server = Daemon::start(&sites.berlin, &server_section(&sites, Path::new("/nonexistent"), &more));
    server.process.wait_for("Server listening");
    is_let_in(&sites, "stranger");

    sites.berlin.write("revoked", &format!("# stolen\n{}\n", sites.keys.public("stranger")));
    is_refused(&sites, "stranger");
    assert!(server.process.has_said("revoked revokes the key"), "{}", server.process.log());
    is_let_in(&sites, "id");

    fs::remove_file(&revoked).unwrap();
    let list = sites.keys.path("stranger.pub");
    sites.berlin.run(&format!("ssh-keygen -q -k -f {} {}", revoked.display(), list.display()));
    is_refused(&sites, "stranger");
    is_let_in(&sites, "id");

    sites.berlin.write("revoked", "SSHKRL\n\0");
    is_refused(&sites, "id");
    assert!(server.process.has_said("until then nobody is let in"), "{}", server.process.log());
    server.process.terminate();
}

#[test]
fn t6_a_renewed_host_certificate_is_shown_after_a_reload() {
    if !are_met(&["setsid", "ssh-keygen"]) {
        return;
    }
    let sites = Sites::new();
    let certificate = sites.keys.path("host-cert.pub");
    let sign = |principal: &str| {
        let (authority, key) = (sites.keys.path("stranger"), sites.keys.path("host.pub"));
        sites.berlin.run(&format!(
            "ssh-keygen -q -s {} -I berlin -h -n {principal} {}",
            authority.display(),
            key.display()
        ));
    };
    sign("elsewhere.example.org");
    let more = format!("  host-certificates: [{}]\n", certificate.display());
    let mut server = Daemon::start(&sites.berlin, &server_section(&sites, Path::new("/nonexistent"), &more));
    server.process.wait_for("Server listening");
    sites.leipzig.write("known_hosts", &format!("@cert-authority * {}\n", sites.keys.public("stranger")));
    let strictly = || sites.connect("id", &["StrictHostKeyChecking=yes"], "root@192.0.2.1");
    let line = fails(&sites.leipzig, 255, &mut strictly());
    says(&line, &["berlin", "192.0.2.1"]);

    // The same YAML; a reload without a certificate that can be read changes nothing.
    fs::write(&certificate, "no certificate").unwrap();
    server.process.signal(Signal::SIGHUP);
    server.process.wait_for("is no host certificate");
    server.becomes_ready();
    sign("192.0.2.1");
    server.process.signal(Signal::SIGHUP);
    server.becomes_ready();
    eventually("the new certificate is shown", || {
        let mut link = sites.leipzig.start("tapline connect", &mut strictly());
        eventually("a link or an error", || link.has_said(": up device=") || !link.is_running());
        link.is_running()
    });
    server.process.terminate();
}

#[test]
fn t7_an_authority_without_names_is_a_mistake() {
    if !are_met(&["setsid"]) {
        return;
    }
    let sites = Sites::new();
    let authority = sites.berlin.write("user_ca.pub", &sites.keys.public("stranger"));
    let principals = sites.berlin.write("principals", "lab\n");
    let more = format!("  trusted-user-ca-keys: {}\n", authority.display());
    let section = server_section(&sites, Path::new("/nonexistent"), &more);
    for (section, status) in [
        (section.clone(), 2),
        (format!("{section}  permit-user: [root]\n"), 0),
        (format!("{section}  authorized-principals-file: {}\n", principals.display()), 0),
        (format!("{section}  permit-users: [root]\n"), 2),
        (format!("{section}  permit-user: []\n"), 0),
    ] {
        let file = sites.berlin.write("tapline.yaml", &section);
        let output = sites.berlin.output(tapline_tests::tapline().arg("check").arg("-c").arg(file));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{section}{said}");
        if status == 2 && !section.contains("permit-user") {
            says(&said, &["any name may log in", "permit-user", "authorized-principals-file"]);
        }
    }
}
