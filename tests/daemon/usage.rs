//! Wrong command lines and configurations: exit status 2, and nothing is begun.

use std::path::Path;

use tapline_tests::{Namespace, are_met, tapline};

use crate::kernel_state::KernelState;
use crate::sites::{calm, fails, says};

/// Ends with status 2; what it printed on stderr.
fn refused(host: &Namespace, arguments: &[&str], directory: &Path) -> String {
    let before = KernelState::of(host);
    let output = host.output(tapline().args(arguments).current_dir(directory));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty());
    calm(&said);
    before.is_back(host);
    said
}

#[test]
fn ten_mistakes_in_one_file_are_told_at_once() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/config/tests");
    let expected = std::fs::read_to_string(samples.join("ten-mistakes.txt")).unwrap();
    for command in ["check", "run"] {
        let said = refused(&host, &[command, "-c", "ten-mistakes.yaml"], &samples);
        assert_eq!(said.trim_end(), expected.trim_end());
        let places = said.lines().filter(|line| line.starts_with("ten-mistakes.yaml:")).map(|line| {
            let mut numbers = line.split(':').skip(1).map_while(|number| number.parse::<usize>().ok());
            (numbers.next().unwrap(), numbers.next().unwrap())
        });
        assert_eq!(places.count(), 10);
    }
}

#[test]
fn a_configuration_that_is_missing_or_no_text_is_named() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let missing = host.path("missing.yaml");
    let binary = host.path("binary.yaml");
    std::fs::write(&binary, [0xff; 64]).unwrap();
    for command in ["check", "run"] {
        for (file, word) in [(&missing, "No such file"), (&binary, "UTF-8")] {
            let file = file.to_str().unwrap();
            let said = refused(&host, &[command, "-c", file], Path::new("/"));
            says(&said, &[file, word]);
        }
    }
}

#[test]
fn a_command_line_that_means_nothing_is_explained() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let long_bridge = ["connect", "--bridge", "a-name-too-long-for-linux", "berlin.example.org"];
    for (arguments, word) in [
        (["run", "--nonsense"].as_slice(), "--nonsense"),
        (&["frobnicate"], "frobnicate"),
        (&["connect"], "HOST"),
        (&["connect", "-w", "tap5", "berlin.example.org"], "tap5"),
        (&["connect", "-p", "70000", "berlin.example.org"], "70000"),
        (&["connect", "--address", "10.77.0.300/24", "berlin.example.org"], "10.77.0.300/24"),
        (&["connect", "-F", "/missing/ssh_config", "berlin.example.org"], "/missing/ssh_config"),
        (&["connect", "-F", "none", "-o", "Tunnel=sideways", "berlin.example.org"], "sideways"),
        (&["connect", "-F", "none", "-o", "Tunel=ethernet", "berlin.example.org"], "Tunel"),
        (&long_bridge, "a-name-too-long-for-linux"),
        (&["lab", "run"], "FILE"),
        (&["lab", "run", "/missing/lab.yaml"], "/missing/lab.yaml"),
    ] {
        let said = refused(&host, arguments, Path::new("/"));
        says(&said, &[word]);
    }
}

#[test]
fn a_bridge_of_packets_is_refused() {
    if !are_met(&[]) {
        return;
    }
    let host = Namespace::new("berlin");
    let mut command = tapline();
    command.args(["connect", "-F", "none", "--bridge", "br-lab", "-o", "Tunnel=point-to-point", "192.0.2.1"]);
    let line = fails(&host, 2, &mut command);
    says(&line, &["--bridge needs Ethernet frames", "Tunnel=ethernet"]);
}
