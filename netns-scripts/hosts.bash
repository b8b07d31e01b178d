# Hosts as network namespaces, wires as veth pairs. Sourced by the scripts beside it, which draw what they build.
# Needs iproute2 and CAP_SYS_ADMIN; never touches an interface of the namespace it runs in.

host() {
    ip netns add "$1"
    ip -n "$1" link set lo up
}

# wire HOST INTERFACE HOST INTERFACE
wire() {
    ip link add name "$2" netns "$1" type veth peer name "$4" netns "$3"
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
}

# address HOST INTERFACE ADDRESS/LENGTH
address() {
    ip -n "$1" address add "$3" dev "$2"
}

# no_ipv6 HOST INTERFACE: only on this interface, so that a tap beside it still has IPv6
no_ipv6() {
    ip netns exec "$1" sysctl -qw "net.ipv6.conf.$2.disable_ipv6=1"
}

# reachable HOST ADDRESS
reachable() {
    if ! ip netns exec "$1" ping -q -c 1 -w 5 "$2" >/dev/null; then
        echo "$1 cannot reach $2; look with: $0 show" >&2
        return 1
    fi
}

# remove HOST...: those that are there, with every process in them
remove() {
    local name pids
    for name in "$@"; do
        [[ -e /run/netns/$name ]] || continue
        pids=$(ip netns pids "$name")
        # One that ended by itself in the meantime is no failure.
        [[ -z $pids ]] || xargs -r kill <<<"$pids" || true
        ip netns delete "$name"
    done
}

# describe HOST...
describe() {
    local name
    for name in "$@"; do
        echo "== $name"
        ip -brief -n "$name" address
        ip -n "$name" route
    done
}

# verb up|down|show
verb() {
    case ${1-} in
    up | down | show) "$1" ;;
    *)
        echo "usage: $0 up|down|show" >&2
        exit 2
        ;;
    esac
}
