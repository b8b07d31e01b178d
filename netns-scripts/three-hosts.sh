#!/usr/bin/env bash
# Three hosts behind one router, each in a network of its own, IPv4 only. No two of them share a link, so whatever
# Ethernet they see of each other came through a tunnel.
#
#   +-- tapline-berlin ---+     +-- tapline-leipzig --+     +-- tapline-hamburg --+
#   | eth0 192.0.2.2/26   |     | eth0 192.0.2.66/26  |     | eth0 192.0.2.130/26 |
#   +----------+----------+     +----------+----------+     +----------+----------+
#              | veth                      | veth                      | veth
#   +----------+---------------------------+---------------------------+----------+
#   | berlin 192.0.2.1/26       leipzig 192.0.2.65/26      hamburg 192.0.2.129/26 |
#   |                               tapline-router                                |
#   +-----------------------------------------------------------------------------+
#
#   three-hosts.sh up      build it
#   three-hosts.sh down    take it away, with every process in it
#   three-hosts.sh show    what is there
#
# Then, as root: ip netns exec tapline-berlin ping 192.0.2.66
# Without root:  unshare -Urnm bash, in it mount -t tmpfs tmpfs /run, and all of the above works.
set -euo pipefail
source "$(dirname "$0")/hosts.bash"

router=tapline-router
sites=(berlin leipzig hamburg)

up() {
    down
    trap down EXIT # a half-built network is none
    host "$router"
    ip netns exec "$router" sysctl -qw net.ipv4.ip_forward=1
    local number=0 site
    for site in "${sites[@]}"; do
        host "tapline-$site"
        wire "tapline-$site" eth0 "$router" "$site"
        address "$router" "$site" "192.0.2.$((number * 64 + 1))/26"
        address "tapline-$site" eth0 "192.0.2.$((number * 64 + 2))/26"
        ip -n "tapline-$site" route add default via "192.0.2.$((number * 64 + 1))"
        no_ipv6 "tapline-$site" eth0
        no_ipv6 "$router" "$site"
        number=$((number + 1))
    done
    reachable tapline-berlin 192.0.2.66
    reachable tapline-leipzig 192.0.2.130
    trap - EXIT
}

down() {
    remove "${sites[@]/#/tapline-}" "$router"
}

show() {
    describe "${sites[@]/#/tapline-}" "$router"
}

verb "$@"
