# Sourced by the runners. Installs from Debian what is missing.
#
# install_missing PACKAGE:PROGRAM...    a package, and a program by which to see that it is there
install_missing() {
    local pair missing=()
    for pair; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair#*:}" >/dev/null || missing+=("${pair%%:*}")
    done
    if ((${#missing[@]} == 0)); then
        return
    fi
    echo "== installing ${missing[*]}" >&2
    if ((EUID != 0)); then
        echo "${missing[*]} missing; run as root, or: apt-get install ${missing[*]}" >&2
        return 1
    fi
    (
        # Nothing that comes with a package is to start on this host.
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e $policy ]]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    )
}
