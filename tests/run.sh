#!/usr/bin/env bash
# Runs every check and every test: format, lints, documentation, what the program is made of, the rules between crates,
# unit and property tests, whole programs in fresh network namespaces, fuzz targets for some seconds each, and the build on
# a machine that has never built anything. Installs what it needs from Debian when it is missing. Ends with one line:
#   N passed, N failed
#
# tests/run.sh            everything
# tests/run.sh NAME...    format, lints, and the tests whose names contain one of the words (as cargo test does)
#
# What cannot be checked here is said at the end, and with CI=true it is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*" >&2; }

unchecked=()
not_checked() {
    say "NOT CHECKED: $*"
    unchecked+=("$*")
}
# The same of what CI has to have.
not_checked_here() {
    not_checked "$@"
    [[ ${CI:-} != true ]]
}

. tests/packages.bash
. tests/supply_chain.bash
. tests/fresh_machine.bash
install_missing openssh-server:/usr/sbin/sshd openssh-client:ssh iproute2:ip iputils-ping:ping radvd:radvd \
    iperf3:iperf3 tcpdump:tcpdump ethtool:ethtool nftables:nft procps:sysctl g++:g++ python3-pip:pip3
export PATH=$PATH:/usr/sbin:/sbin

if cargo fmt --version >/dev/null 2>&1; then
    say "format"
    cargo fmt --all --check
else
    not_checked_here "format: \`rustup component add rustfmt\` brings it"
fi

declared=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if [[ $(rustc --version) != "rustc $declared."* ]]; then
    not_checked_here "the declared rust-version $declared: this is $(rustc --version)"
fi

if (($# == 0)); then
    supply_chain
fi

if cargo clippy --version >/dev/null 2>&1; then
    say "lints"
    cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
else
    not_checked_here "lints: \`rustup component add clippy\` brings them"
fi

if (($# == 0)); then
    say "documentation"
    # That of russh-channels is russh's.
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --exclude russh-channels --no-deps --locked
fi

say "build"
cargo build --quiet --workspace --locked

say "tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# Whoever runs this in the background has SIGINT ignored, and tests that send it would wait for ever.
env --default-signal=INT,QUIT cargo test --workspace --locked --no-fail-fast -- "$@" 2>&1 | tee "$log" || status=$?

if (($# == 0)); then
    say "fuzz targets"
    fuzz/run.sh 5 || status=$?
    fresh_machine || status=$?
fi

for what in "${unchecked[@]}"; do
    say "NOT CHECKED: $what"
done
# The runner's own counts, one line for each test binary, summed.
awk -v status="$status" '
    /^test result:/ { passed += $4; failed += $6 }
    END {
        # What could not be built, was killed or is no test has no line of its own.
        if (status != 0 && failed == 0) failed = 1
        printf "%d passed, %d failed\n", passed, failed
        exit (failed > 0 || passed == 0) ? 1 : 0
    }' "$log"
