//! SIGHUP: what has changed in the configuration changes, and the rest is not disturbed.

use nix::sys::signal::Signal;
use tapline_tests::{are_met, eventually};

use crate::kernel_state::{Interface, KernelState, has_carrier};
use crate::sites::{Daemon, Sites, fails, says};

#[test]
fn a_link_that_is_unchanged_stays_up_while_others_come_and_go() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = KernelState::of(&sites.leipzig);
    let server = sites.server();
    let kept = sites.link(", tunnel-device: 3, bridge: br-lab");
    let other = |unit| {
        format!(
            "{{host: 192.0.2.99, identity-file: /nonexistent, tunnel-device: {unit}, addresses: [10.9{unit}.0.1/24]}}"
        )
    };
    let bridges = |address: &str| format!("bridges:\n  br-lab: {{addresses: [{address}]}}\n");
    let daemon = Daemon::start(
        &sites.leipzig,
        &format!("links:\n  kept: {kept}\n  goes: {}\n{}", other(4), bridges("10.77.0.2/24")),
    );
    eventually("the kept link", || sites.leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
    let tap = Interface::of(&sites.leipzig, "tap3").identity();
    let ups = daemon.process.count(": up device=");
    assert!(sites.leipzig.has_interface("tap4"));

    sites.leipzig.write(
        "tapline.yaml",
        &format!("links:\n  kept: {kept}\n  comes: {}\n{}", other(5), bridges("10.77.0.5/24")),
    );
    daemon.process.signal(Signal::SIGHUP);
    eventually("the removed link's device goes", || !sites.leipzig.has_interface("tap4"));
    eventually("the new link's device comes", || sites.leipzig.has_interface("tap5"));
    eventually("the new address", || Interface::of(&sites.leipzig, "tap5").addresses() == ["10.95.0.1/24"]);
    assert_eq!(Interface::of(&sites.leipzig, "tap3").identity(), tap);
    eventually("the bridge's new address", || {
        Interface::of(&sites.leipzig, "br-lab").addresses() == ["10.77.0.5/24"]
    });
    assert!(has_carrier(&sites.leipzig, "tap3"));
    eventually("the kept link", || sites.leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
    assert_eq!(daemon.process.count(": up device="), ups, "the kept link was not opened again");

    daemon.stop();
    before.is_back(&sites.leipzig);
    server.stop();
}

#[test]
fn a_configuration_with_mistakes_changes_nothing() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = KernelState::of(&sites.leipzig);
    let mut daemon = Daemon::start(&sites.leipzig, "bridges:\n  br-lab: {addresses: [10.77.0.2/24]}\n");
    let running = KernelState::of(&sites.leipzig);
    sites.leipzig.write("tapline.yaml", "bridges:\n  br-lab: {adresses: [10.77.0.5/24]}\n");
    daemon.process.signal(Signal::SIGHUP);
    daemon.process.wait_for("tapline.yaml:2:12: unknown key `adresses`");
    running.is_back(&sites.leipzig);
    assert!(daemon.process.is_running());
    assert_eq!(daemon.process.terminate().code(), Some(0));
    before.is_back(&sites.leipzig);
}

#[test]
fn the_server_section_is_read_again() {
    if !are_met(&[]) {
        return;
    }
    let sites = Sites::new();
    let before = KernelState::of(&sites.berlin);
    // Another key at first, so that leipzig is a stranger.
    let stranger = sites
        .server_section("addresses: [10.77.0.1/24]")
        .replace(&sites.keys.public("id"), &sites.keys.public("stranger"));
    let server = Daemon::start(&sites.berlin, &stranger);
    let connect = || {
        let mut command = sites.connect("id", &["StrictHostKeyChecking=accept-new"], "root@192.0.2.1");
        command.args(["--address", "10.77.0.2/24"]);
        command
    };
    let line = fails(&sites.leipzig, 255, &mut connect());
    says(&line, &["permission denied"]);

    sites.berlin.write("tapline.yaml", &sites.server_section("addresses: [10.77.0.1/24]"));
    server.process.signal(Signal::SIGHUP);
    let mut link = None;
    eventually("leipzig is let in", || {
        let mut attempt = sites.leipzig.start("tapline connect", &mut connect());
        eventually("a link or an error", || {
            has_carrier(&sites.leipzig, "tap0") && attempt.has_said(": up device=") || !attempt.is_running()
        });
        let is_up = attempt.is_running();
        link = Some(attempt);
        is_up
    });
    eventually("a ping through the link", || sites.leipzig.succeeds("ping -c1 -W1 10.77.0.1"));
    drop(link);
    server.stop();
    before.is_back(&sites.berlin);
}
