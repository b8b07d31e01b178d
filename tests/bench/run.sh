#!/usr/bin/env bash
# Measures the data path: Tapline, Debian's OpenSSH, and what bounds both, in network namespaces of its own. Installs
# what it needs from Debian when it is missing. Run as root.
#
# tests/bench/run.sh            everything, three rounds
# tests/bench/run.sh --help     what can be chosen
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")

. "$root/tests/packages.bash"
install_missing openssh-server:/usr/sbin/sshd openssh-client:ssh iproute2:ip iputils-ping:ping iperf3:iperf3

echo "== build" >&2
target=$(cd "$root" && realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$target
(
    cd "$root"
    cargo build --quiet --release --locked -p tapline -p tapline-tests --bins
    cargo build --quiet --release --locked -p tapline-device --example ceiling
)

# The arguments' paths are relative to where this was started.
exec "$target/release/tapline-bench" "$@"
