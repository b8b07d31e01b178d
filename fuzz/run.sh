#!/usr/bin/env bash
# Builds the fuzz targets with the stable compiler and runs each from its corpus. What makes one fail is left in
# fuzz/artifacts/; give it to the target's corpus, where the tests replay it on every run.
#
# fuzz/run.sh                        all for 5 s each
# fuzz/run.sh SECONDS [TARGET]...    longer, or only these
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-5}
shift || true
targets=("$@")
if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(cd fuzz/fuzz_targets && ls -- *.rs | sed 's/\.rs$//')
fi

export RUSTC_WORKSPACE_WRAPPER=$PWD/fuzz/instrument.sh
cargo build --quiet --locked --package tapline-fuzz --features libfuzzer "${targets[@]/#/--bin=}"

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir -p fuzz/artifacts
for target in "${targets[@]}"; do
    mkdir "$new/$target"
    # What it finds new goes to the first folder; the committed corpus stays as it is.
    if ! "${CARGO_TARGET_DIR:-target}/debug/$target" "$new/$target" "fuzz/corpus/$target" -max_total_time="$seconds" \
        -artifact_prefix="fuzz/artifacts/$target-" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
        >"$new/log" 2>&1; then
        tail -n 60 "$new/log" >&2
        echo "fuzz target $target failed; the input is in fuzz/artifacts/" >&2
        exit 1
    fi
    awk -v target="$target" '/number_of_executed_units/ { printf "   %s: %d inputs\n", target, $2 }' "$new/log" >&2
done
