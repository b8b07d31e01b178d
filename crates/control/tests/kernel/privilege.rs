use std::{
    env,
    process::{Command, Stdio},
};

use tapline_control::{Controller, Interface, Journal};

use crate::{essence, eth0, hosts};

const INSIDE: &str = "TAPLINE_TEST_WITHOUT_PRIVILEGE";

#[test]
fn a_missing_privilege_is_one_clear_error_and_changes_nothing() {
    let Some(hosts) = hosts() else { return };
    let observe = || async { Controller::new(Journal::in_memory()).unwrap().observe().await.unwrap() };
    let before = hosts.here.block_on(observe).unwrap();
    // In a user namespace of its own, which this network namespace does not belong to, a process has no rights here.
    let mut command = Command::new("unshare");
    command.arg("--user").arg(env::current_exe().unwrap());
    command.args(["--exact", "privilege::inside", "--nocapture"]).env(INSIDE, "1").stdout(Stdio::piped());
    let output = hosts.here.spawn(&mut command).unwrap().wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(
            "error: cannot change network interfaces: CAP_NET_ADMIN is missing; run as root or in a user namespace \
             (unshare -Urn)"
        ),
        "{text}"
    );
    assert_eq!(essence(&hosts.here.block_on(observe).unwrap()), essence(&before));
}

/// The part of the test above that runs in the other process.
#[tokio::test]
async fn inside() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let mut controller = Controller::new(Journal::in_memory()).unwrap();
    let desired = eth0(Interface { mtu: Some(1400), ..Interface::default() });
    println!("error: {}", controller.reconcile(&desired).await.unwrap_err());
    assert!(controller.check_privilege().await.is_err());
    assert!(controller.owned().is_empty());
}
