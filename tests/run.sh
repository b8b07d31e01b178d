#!/usr/bin/env bash
# Runs every test: format, lints, the rules between crates, unit and property tests, and whole programs in fresh
# network namespaces. Installs what it needs from Debian when it is missing. Ends with one line:
#   N passed, N failed
#
# tests/run.sh            everything
# tests/run.sh NAME...    only the tests whose names contain one of the words (as cargo test does)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*" >&2; }

. tests/packages.bash
install_missing openssh-server:/usr/sbin/sshd openssh-client:ssh iproute2:ip iputils-ping:ping radvd:radvd \
    iperf3:iperf3 tcpdump:tcpdump ethtool:ethtool nftables:nft procps:sysctl
export PATH=$PATH:/usr/sbin:/sbin

if cargo fmt --version >/dev/null 2>&1; then
    say "format"
    cargo fmt --all --check
fi
if cargo clippy --version >/dev/null 2>&1; then
    say "lints"
    cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
fi

say "build"
cargo build --quiet --workspace --locked

say "tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# Whoever runs this in the background has SIGINT ignored, and tests that send it would wait for ever.
env --default-signal=INT,QUIT cargo test --workspace --locked --no-fail-fast -- "$@" 2>&1 | tee "$log" || status=$?

# The runner's own counts, one line for each test binary, summed.
awk -v status="$status" '
    /^test result:/ { passed += $4; failed += $6 }
    END {
        # A test binary that could not be built or was killed has no line of its own.
        if (status != 0 && failed == 0) failed = 1
        printf "%d passed, %d failed\n", passed, failed
        exit (failed > 0 || passed == 0) ? 1 : 0
    }' "$log"
