#!/usr/bin/env bash
# Counts the instructions of the hot path's operations under callgrind: figures that do not depend on what else the
# machine does. Each operation runs a few times and many times; the difference is free of start-up.
#
# tests/bench/instructions.sh           all operations
# tests/bench/instructions.sh NAME...   those whose names contain one of the words
set -euo pipefail
cd "$(dirname "$0")/../.."

few=100
many=1100

. tests/packages.bash
install_missing valgrind:valgrind

echo "== build" >&2
cargo build --quiet --release --locked -p tapline-frame --example operations
operations=${CARGO_TARGET_DIR:-target}/release/examples/operations
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# instructions NAME COUNT
instructions() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$scratch/out" "$operations" "$1" "$2" >&2
    awk '$1 == "totals:" || $1 == "summary:" { print $2; exit }' "$scratch/out"
}

printf '%-14s %16s %18s\n' operation 'instructions/run' 'instructions/frame'
while read -r name frames; do
    wanted=$((!$#))
    for word; do
        [[ $name != *"$word"* ]] || wanted=1
    done
    ((wanted)) || continue
    difference=$(($(instructions "$name" "$many") - $(instructions "$name" "$few")))
    awk -v name="$name" -v run="$((difference / (many - few)))" -v frames="$frames" \
        'BEGIN { printf "%-14s %16d %18.1f\n", name, run, run / frames }'
done < <("$operations")
