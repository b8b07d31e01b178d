//! The whole process in namespaces of its own. That must happen before any thread starts, so this test has no harness:
//! it runs itself once for each case.

#![expect(clippy::expect_used, reason = "a test, although without the harness by which clippy knows one")]

use std::{
    env, fs,
    process::{Command, ExitCode},
};

use tapline_control::{
    Bridge, Controller, Desired, Journal,
    namespace::{IsolationError, Namespace, WireEnd, enter_user_namespace, isolate, wire},
};

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("user") => inside(enter_user_namespace),
        Some("any") => inside(isolate),
        Some("threads") => with_threads(),
        Some("limited") => limited(),
        _ => all(),
    }
    ExitCode::SUCCESS
}

fn all() {
    let outside = interfaces();
    for case in ["user", "any", "threads", "limited"] {
        let this = env::current_exe().expect("the test's own path");
        let status = Command::new(this).arg(case).status().expect("the test starts");
        assert!(status.success(), "case {case}: {status}");
        println!("isolation: {case} ok");
    }
    assert_eq!(interfaces(), outside);
}

fn inside(enter: fn() -> Result<(), IsolationError>) {
    match enter() {
        Err(error) if env::var_os("CI").is_none() => return eprintln!("SKIPPED: {error}"),
        result => result.expect("namespaces can be made"),
    }
    assert_eq!(interfaces(), ["lo"]);
    // A lab within: hosts on a wire, and a bridge, made with the rights that the user namespace gives.
    let hosts = [Namespace::new().expect("a host"), Namespace::new().expect("another")];
    let end = |host| WireEnd::new(host, "eth0".parse().expect("a name"));
    wire(&end(&hosts[0]), &end(&hosts[1])).expect("a wire");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut controller = Controller::new(Journal::in_memory()).expect("a controller");
        let bridge = "br0".parse().expect("a name");
        let desired = Desired { bridges: [(bridge, Bridge::default())].into(), ..Desired::default() };
        controller.reconcile(&desired).await.expect("a bridge");
        assert_eq!(interfaces(), ["br0", "lo"]);
        controller.remove_all().await.expect("no bridge");
    });
}

fn with_threads() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    let error = isolate().expect_err("a thread runs");
    assert!(matches!(error, IsolationError::Threads(2)), "{error}");
    drop(stop);
    let _ = thread.join();
}

/// N19: a user namespace that allows none within it names the setting that has to change.
fn limited() {
    match enter_user_namespace() {
        Err(error) if env::var_os("CI").is_none() => return eprintln!("SKIPPED: {error}"),
        result => result.expect("namespaces can be made"),
    }
    fs::write("/proc/sys/user/max_user_namespaces", "0").expect("the namespace's own limit");
    let said = enter_user_namespace().expect_err("no more of them").to_string();
    assert!(said.contains("`sysctl -w user.max_user_namespaces=15000`"), "{said}");
    fs::write("/proc/sys/user/max_net_namespaces", "0").expect("the namespace's own limit");
    let said = Namespace::new().expect_err("no more of those").to_string();
    assert!(said.contains("`sysctl -w user.max_net_namespaces=15000`"), "{said}");
}

fn interfaces() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").expect("/proc is mounted");
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .collect();
    names.sort_unstable();
    // The kernel can be told to make these in every namespace.
    names.retain(|name| !["tunl0", "sit0", "ip6tnl0", "gre0"].contains(&name.as_str()));
    names
}
