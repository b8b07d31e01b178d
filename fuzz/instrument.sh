#!/bin/sh
# cargo's wrapper for the compiler of the workspace's own crates: counts which way their code takes, as libFuzzer wants it.
# Crates of others are not looked into, and are those of every other build. None of this needs a nightly compiler.
for argument; do
    case $argument in
    # Programs that run while building, and without libFuzzer.
    build_script_* | --print*) exec "$@" ;;
    esac
done
exec "$@" --cfg fuzzing -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares
