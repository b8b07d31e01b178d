//! Numbers of devices: no peer gets one that the configuration has not given it.
//!
//! The keys: `id` is leipzig's, which asks for whatever it likes; `stranger` is dresden's, which has number 7.

use nix::sys::signal::Signal;
use tapline_tests::{Namespace, Process, Ssh, are_met, eventually};

use crate::kernel_state::Interface;
use crate::sites::{Daemon, Sites};

/// What `ssh -v` prints of a refusal.
const NO_DEVICE: &str = "Failed to open the tunnel device.";

/// Berlin's configuration: leipzig with `of_leipzig`, dresden with number 7.
fn configuration(sites: &Sites, of_leipzig: &str) -> String {
    format!(
        "{}    dresden: {{public-key: {}, tunnel-device: 7}}\nlinks:\n  nowhere: {{host: 192.0.2.99, tunnel-device: 3, \
         identity-file: /nonexistent}}\n",
        sites.server_section(of_leipzig),
        sites.keys.public("stranger"),
    )
}

fn ssh(sites: &Sites, key: &str, remote: &str) -> Process {
    Ssh::new(&sites.leipzig, &sites.keys.path(key))
        .option("Port=2222")
        .option("Tunnel=ethernet")
        .option("ExitOnForwardFailure=yes")
        .start(&format!("-w any:{remote} root@192.0.2.1"))
}

/// Stock ssh with leipzig's key gets `tap`N, which goes or stays with it.
fn gets(sites: &Sites, remote: &str, device: &str) -> Process {
    let ssh = ssh(sites, "id", remote);
    eventually(&format!("{device} for {remote}"), || sites.berlin.has_interface(device));
    ssh
}

#[track_caller]
fn is_refused(sites: &Sites, key: &str, remote: &str, why: &str) {
    let mut ssh = ssh(sites, key, remote);
    assert_eq!(ssh.ended().code(), Some(255), "{remote}: {}", ssh.log());
    assert!(ssh.has_said(NO_DEVICE) && ssh.has_said(why), "{remote}: {}", ssh.log());
}

/// Taps of somebody else's: in a bridge of his, and one that nobody has.
fn others_taps(host: &Namespace) {
    for line in [
        "ip link add br-other type bridge",
        "ip tuntap add dev tap9 mode tap",
        "ip link set tap9 master br-other",
        "ip tuntap add dev tap10 mode tap",
        "ip tuntap add dev tap11 mode tap multi_queue",
        "ip link add tap12 type bridge",
        "ip tuntap add dev tap0 mode tap",
    ] {
        host.run(line);
    }
}

#[test]
fn t2_a_peer_gets_no_device_that_exists_or_is_anothers() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    others_taps(&sites.berlin);
    let server = Daemon::start(&sites.berlin, &configuration(&sites, "addresses: [10.77.0.1/24]"));
    let before = sites.berlin.interfaces();
    for unit in ["9", "10", "11", "12", "0"] {
        is_refused(&sites, "id", unit, &format!("tap{unit} is there already"));
    }
    for unit in ["7", "3"] {
        is_refused(&sites, "id", unit, &format!("number {unit} is another link's here"));
    }
    assert_eq!(sites.berlin.interfaces(), before);
    assert_eq!(Interface::of(&sites.berlin, "tap9").bridge(), Some("br-other"));

    // A number that is free and that nothing names is given, as by sshd; dresden has its own meanwhile.
    let first = gets(&sites, "5", "tap5");
    let mut dresden = ssh(&sites, "stranger", "any");
    eventually("tap7 for dresden", || sites.berlin.has_interface("tap7"));
    is_refused(&sites, "stranger", "6", "tunnel-device 7");
    assert!(dresden.is_running());
    drop((first, dresden));
    server.stop();
}

#[test]
fn t2_any_gives_no_number_and_takes_none_that_is_reserved() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let configuration = configuration(&sites, "tunnel-device: any")
        .replace("tunnel-device: 7", "tunnel-device: 0")
        .replace("tunnel-device: 3", "tunnel-device: 1");
    let server = Daemon::start(&sites.berlin, &configuration);
    for unit in ["0", "1", "2", "5"] {
        is_refused(&sites, "id", unit, "Failed");
    }
    let _leipzig = gets(&sites, "any", "tap2");
    let _dresden = ssh(&sites, "stranger", "any");
    eventually("tap0 for dresden", || sites.berlin.has_interface("tap0"));
    server.stop();
}

#[test]
fn t2_a_device_that_the_configuration_names_may_be_there() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    sites.berlin.run("ip tuntap add dev tap7 mode tap");
    let tap7 = sites.berlin.index("tap7");
    let server = Daemon::start(&sites.berlin, &configuration(&sites, "tunnel-device: any"));
    let dresden = ssh(&sites, "stranger", "any");
    eventually("tap7 has carrier", || sites.berlin.run("ip link show tap7").contains("LOWER_UP"));
    assert_eq!(sites.berlin.index("tap7"), tap7);
    is_refused(&sites, "id", "7", "number 7 is another link's here");
    drop(dresden);
    server.stop();
    assert_eq!(sites.berlin.index("tap7"), tap7);
}

#[test]
fn t2_the_unit_is_judged_at_each_lease() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    let mut server = Daemon::start(
        &sites.berlin,
        &configuration(&sites, "addresses: [10.77.0.1/24]").replace("tunnel-device: 7", "tunnel-device: any"),
    );
    let mut leipzig = gets(&sites, "7", "tap7");

    // The number is dresden's from now on: leipzig's link ends, with a word, and does not come back on it.
    sites.berlin.write("tapline.yaml", &configuration(&sites, "addresses: [10.77.0.1/24]"));
    server.process.signal(Signal::SIGHUP);
    server.becomes_ready();
    assert_eq!(leipzig.ended().code(), Some(255));
    assert!(leipzig.has_said("tunnel-device is another now"), "{}", leipzig.log());
    eventually("tap7 goes", || !sites.berlin.has_interface("tap7"));
    is_refused(&sites, "id", "7", "number 7 is another link's here");
    let _dresden = ssh(&sites, "stranger", "7");
    eventually("tap7 for dresden", || sites.berlin.has_interface("tap7"));
    server.stop();
}

#[test]
fn n13_another_number_is_another_device_or_none() {
    if !are_met(&["ssh"]) {
        return;
    }
    let sites = Sites::new();
    others_taps(&sites.berlin);
    let server = Daemon::start(&sites.berlin, &configuration(&sites, "addresses: [10.77.0.1/24]"));
    drop(gets(&sites, "6", "tap6"));
    // It stays for the peer, who gets it again when it asks for any.
    let ssh = gets(&sites, "any", "tap6");
    eventually("tap6 has carrier", || sites.berlin.run("ip link show tap6").contains("LOWER_UP"));
    drop(ssh);

    for (unit, device, former) in [("8", "tap8", "tap6"), ("5", "tap5", "tap8"), ("4", "tap4", "tap5")] {
        drop(gets(&sites, unit, device));
        eventually(&format!("{former} goes"), || !sites.berlin.has_interface(former));
        eventually("its address", || {
            sites.berlin.run(&format!("ip address show {device}")).contains("10.77.0.1/24")
        });
    }
    // What cannot be had leaves what there is.
    for unit in ["9", "7", "12"] {
        is_refused(&sites, "id", unit, "number");
        assert!(sites.berlin.has_interface("tap4"));
    }
    server.stop();
}
