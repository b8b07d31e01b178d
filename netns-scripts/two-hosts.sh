#!/usr/bin/env bash
# Two hosts that can reach each other by IPv4 only. Try Tapline, or anything else, between them.
#
#   +---- tapline-left -----+                +---- tapline-right ----+
#   |                       |      veth      |                       |
#   |  eth0  192.0.2.1/24   |================|  eth0  192.0.2.2/24   |
#   |        no IPv6        |                |        no IPv6        |
#   +-----------------------+                +-----------------------+
#
#   two-hosts.sh up        build it
#   two-hosts.sh down      take it away, with every process in it
#   two-hosts.sh show      what is there
#
# Then, as root: ip netns exec tapline-left ping 192.0.2.2
# Without root:  unshare -Urnm bash, in it mount -t tmpfs tmpfs /run, and all of the above works.
set -euo pipefail
source "$(dirname "$0")/hosts.bash"

left=tapline-left
right=tapline-right

up() {
    down
    trap down EXIT # a half-built network is none
    host "$left"
    host "$right"
    wire "$left" eth0 "$right" eth0
    address "$left" eth0 192.0.2.1/24
    address "$right" eth0 192.0.2.2/24
    no_ipv6 "$left" eth0
    no_ipv6 "$right" eth0
    reachable "$left" 192.0.2.2
    trap - EXIT
}

down() {
    remove "$left" "$right"
}

show() {
    describe "$left" "$right"
}

verb "$@"
