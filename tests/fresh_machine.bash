# Sourced by run.sh. Whether the first command of README goes through on a machine that has never built anything: with
# nothing downloaded, and with nothing but vendored sources. What can fail there and nowhere else is what cargo has to
# find, and russh-channels' build script, which looks for the source of russh; so the build ends once that has run.

# Each step says by itself what becomes of a failure: `set -e` means nothing to whom `||` follows.
fresh_machine() (
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    # A copy, for the sources of the second half are configured in it.
    mkdir "$place/tree"
    git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from - --ignore-failed-read 2>/dev/null |
        tar -x -C "$place/tree"
    cd "$place/tree" || exit 1

    say "a fresh machine, online"
    until_russh_is_found "$place/online" || exit 1
    du -sm "$place/online/registry/cache" | awk '{ printf "   %d MB downloaded\n", $1 }' >&2

    say "a fresh machine, offline, with vendored sources"
    mkdir .cargo
    CARGO_HOME=$place/online cargo vendor --locked "$place/vendor" >.cargo/config.toml 2>/dev/null || exit 1
    until_russh_is_found "$place/offline" --offline
)

# until_russh_is_found CARGO_HOME [OPTION]...: cargo's own messages say when the build script has run.
until_russh_is_found() {
    local home=$1 found=no line began=$SECONDS
    shift
    # In a group of its own, to end with all that it started. Nothing of it is run, so that nothing need be fast.
    exec 3< <(CARGO_HOME=$home CARGO_TARGET_DIR=$home/target exec setsid cargo check --locked --package russh-channels \
        --config 'profile.dev.package."*".opt-level=0' --message-format json "$@" 2>"$home.log")
    local cargo=$!
    while read -r line <&3; do
        case $line in
            *'"reason":"build-script-executed"'*russh-channels*)
                found=yes
                break
                ;;
        esac
    done
    kill -- "-$cargo" 2>/dev/null || true
    wait "$cargo" 2>/dev/null || true
    exec 3<&-
    if [[ $found != yes ]]; then
        tail -n 40 "$home.log" >&2
        return 1
    fi
    printf '   %d s\n' $((SECONDS - began)) >&2
}
