//! Words of netplan, OpenSSH and others that have no key here, and what to write in their place.

use crate::document::Node;
use crate::nearest::folded;
use crate::schema::json_schema;

/// What to write in the place of a key that is none of `known`, if the word is known from elsewhere.
pub(crate) fn replacement(name: &str, value: &Node, known: &[&str]) -> Option<String> {
    let word: String = folded(name).into_iter().collect();
    let has = |key: &str| known.contains(&key);
    let fits =
        |(words, needs, _): &&Entry| words.contains(&word.as_str()) && (needs.is_empty() || has(needs));
    if let Some((.., hint)) = WORDS.iter().find(fits) {
        let value = value.text().filter(|text| !text.is_empty() && !text.contains(char::is_whitespace));
        return Some(hint.replace("VALUE", value.unwrap_or("...")));
    }
    elsewhere(&word, known)
}

/// Where the key belongs, if it is one of another section.
fn elsewhere(word: &str, known: &[&str]) -> Option<String> {
    let is_meant = |key: &str| folded(key).into_iter().eq(word.chars());
    if known.iter().any(|key| is_meant(key)) {
        return None;
    }
    let schema = json_schema();
    let mut found = SECTIONS.iter().filter_map(|(section, place)| {
        let keys = schema.get("$defs")?.get(section)?.get("properties")?.as_object()?;
        keys.keys().find(|key| is_meant(key)).map(|key| (key.clone(), *place))
    });
    let (key, first) = found.next()?;
    let places = found.fold(first.to_owned(), |places, (_, place)| format!("{places} or {place}"));
    Some(format!("`{key}` belongs in {places}"))
}

/// Sections of the schema in words.
const SECTIONS: [(&str, &str); 7] = [
    ("Config", "the top level, at the left margin"),
    ("Server", "`server`"),
    ("Accept", "an entry of `accept`, in `server`"),
    ("Link", "an entry of `links`"),
    ("Bridge", "an entry of `bridges`"),
    ("BridgeParameters", "`parameters` of a bridge"),
    ("RouteKeys", "an entry of `routes`"),
];

/// Words without their joints and in lower case, a key that the section must have for the hint, or none, and the hint.
type Entry = (&'static [&'static str], &'static str, &'static str);

/// The first that fits counts.
const WORDS: &[Entry] = &[
    // netplan: the top.
    (
        &["network"],
        "links",
        "there is no `network:` here; write `links:`, `bridges:` and `server:` at the left margin",
    ),
    (&["version", "renderer"], "links", "netplan's; remove it"),
    (
        &[
            "ethernets",
            "wifis",
            "modems",
            "bonds",
            "vlans",
            "vrfs",
            "nmdevices",
            "dummydevices",
            "virtualethernets",
            "openvswitch",
            "sriov",
        ],
        "links",
        "other interfaces stay in netplan; those that become ports stand here by their names: `bridges: {br0: {interfaces: [eth1]}}`",
    ),
    (
        &["tunnels", "connections", "connection", "peers", "clients", "vpn", "interfaces"],
        "links",
        "what this host opens stands in `links:`, what it accepts in `server: {accept: ...}`",
    ),
    // netplan: interfaces.
    (&["gateway4", "gateway6", "gateway"], "routes", "write `routes: [{to: default, via: VALUE}]`"),
    (&["gateway", "nexthop", "gw", "nexthops"], "via", "write `via: VALUE`"),
    (
        &["dhcp4", "dhcp6", "dhcp", "dhcp4overrides", "dhcp6overrides", "dhcpidentifier", "dhcpserver"],
        "addresses",
        "Tapline asks no DHCP server; write `addresses: [...]`, use `accept-ra: true` for IPv6, or run a DHCP client on the interface",
    ),
    (
        &["nameservers", "dns", "search", "nameserver", "domains"],
        "addresses",
        "Tapline sets no name servers; use `resolvectl dns INTERFACE ADDRESS`, or /etc/resolv.conf",
    ),
    (
        &["address", "ip", "ips", "ipv4", "ipv6", "inet", "inet6", "cidr"],
        "addresses",
        "write `addresses: [VALUE]`, with the length of the prefix",
    ),
    (
        &["pointopoint", "pointtopoint", "dstaddr", "peer", "remoteaddress"],
        "addresses",
        "the other end's address stands at the own one: `addresses: [{\"10.77.4.1/32\": {peer: VALUE}}]`",
    ),
    (&["lifetime", "label"], "peer", "an address has no such setting here; remove it"),
    (
        &["mac", "hwaddr", "hwaddress", "lladdr", "ether", "macaddr"],
        "macaddress",
        "write `macaddress: VALUE`",
    ),
    (
        &["ifname", "interfacename", "devicename", "dev", "device", "interface", "name"],
        "set-name",
        "write `set-name: VALUE` for a name of one's own, or `tunnel-device` for a number",
    ),
    (&["match"], "addresses", "interfaces are named here, not matched; remove it"),
    (
        &["optional", "ignorecarrier", "critical", "activationmode", "autoconnect", "restart", "persist"],
        "addresses",
        "links wait and come back by themselves; remove it",
    ),
    (
        &[
            "wakeonlan",
            "emitlldp",
            "infinibandmode",
            "openvswitch",
            "neighsuppress",
            "hairpin",
            "portmaclearning",
            "optionaladdresses",
            "txqueuelen",
        ],
        "addresses",
        "netplan's, and not set here; remove it",
    ),
    (
        &[
            "receivechecksumoffload",
            "transmitchecksumoffload",
            "tcpsegmentationoffload",
            "tcp6segmentationoffload",
            "genericsegmentationoffload",
            "genericreceiveoffload",
            "largereceiveoffload",
        ],
        "addresses",
        "offloads are used where both sides have them; remove it",
    ),
    (
        &["ipv6privacy", "ipv6addressgeneration", "ipv6addresstoken"],
        "addresses",
        "not set here: addresses are those of `addresses`, and of router advertisements with `accept-ra: true`",
    ),
    (&["ipv6mtu"], "mtu", "write `mtu: VALUE`; IPv6 has no other here"),
    (
        &["routingpolicy", "vrf", "table"],
        "addresses",
        "routes go into the main table; use `ip rule` for others",
    ),
    (
        &[
            "table",
            "type",
            "scope",
            "from",
            "mtu",
            "congestionwindow",
            "advertisedreceivewindow",
            "advertisedmss",
            "src",
            "source",
        ],
        "via",
        "a route has `to`, `via`, `metric` and `on-link` here, and goes into the main table; remove it",
    ),
    (&["destination", "dest", "prefix", "network", "dst"], "via", "write `to: VALUE`"),
    (
        &["dev", "device", "interface"],
        "via",
        "a route stands under its interface, and goes out of that; remove it",
    ),
    (&["onlink"], "via", "write `on-link: VALUE`"),
    (
        &["ports", "members", "slaves", "bridgeports", "port"],
        "interfaces",
        "write `interfaces: [...]`; links name their bridge themselves: `bridge: NAME`",
    ),
    (
        &[
            "forwarddelay",
            "hellotime",
            "maxage",
            "stp",
            "priority",
            "ageingtime",
            "agingtime",
            "mcastsnooping",
            "multicastsnooping",
        ],
        "parameters",
        "this stands in `parameters:` of the bridge",
    ),
    (
        &["pathcost", "portpriority", "vlanfiltering", "groupfwdmask"],
        "stp",
        "not set here; use `ip link` or `bridge link` for it",
    ),
    (&["agingtime"], "stp", "write `ageing-time: VALUE`"),
    (&["multicastsnooping"], "stp", "write `mcast-snooping: VALUE`"),
    (&["master", "controller", "brctl", "bridgename"], "bridge", "write `bridge: VALUE`"),
    // netplan's tunnels, WireGuard, OpenVPN and the like.
    (
        &["mode", "tunnelmode", "layer", "devtype"],
        "tunnel",
        "write `tunnel: ethernet`, or `tunnel: point-to-point` for IP packets alone",
    ),
    (
        &["remote", "endpoint", "hostname", "address", "server", "destination", "remotehost", "peer"],
        "host",
        "write `host: VALUE`",
    ),
    (&["local"], "host", "the address to connect from is `bind-address: VALUE`"),
    (&["allowedips"], "routes", "write `routes: [{to: VALUE}]`"),
    (
        &["keepalive", "persistentkeepalive", "ping"],
        "server-alive-interval",
        "write `server-alive-interval: VALUE`",
    ),
    (&["keepalive", "clientalive"], "client-alive-interval", "write `client-alive-interval: VALUE`"),
    (
        &["key", "keys", "keyfile", "privatekey", "identity", "sshkey", "privatekeyfile"],
        "identity-file",
        "write `identity-file: PATH`; the file stays where it is",
    ),
    (
        &["password", "passphrase", "secret", "psk", "presharedkey", "sshpass"],
        "identity-file",
        "no secrets stand in this file; log in with a key: `identity-file: PATH`",
    ),
    (
        &["key", "keys", "publickeys", "pubkey", "authorizedkey", "sshkey"],
        "public-key",
        "write `public-key: ssh-ed25519 AAAA...`, the line of the peer's .pub file",
    ),
    (&["username", "login", "account", "remoteuser"], "user", "write `user: VALUE`"),
    (&["ttl", "tos", "dscp"], "host", "the TCP connection has the system's own; remove it"),
    (
        &["proto", "protocol", "cipher", "auth", "ca", "cert"],
        "host",
        "trust and ciphers are SSH's own: `certificate-file`, `identity-file`, and ssh_config",
    ),
    // sshd_config.
    (
        &["listenaddress", "address", "bind", "bindaddress", "addresses"],
        "listen",
        "write `listen: [\"0.0.0.0:2222\", \"[::]:2222\"]`",
    ),
    (
        &["port", "ports"],
        "listen",
        "the port stands beside the address: `listen: [\"0.0.0.0:VALUE\", \"[::]:VALUE\"]`",
    ),
    (&["hostkey"], "listen", "write `host-keys: [VALUE]`"),
    (&["hostcertificate", "hostcert"], "listen", "write `host-certificates: [VALUE]`"),
    (&["authorizedkeysfile", "authorizedkeys"], "listen", "write `authorized-keys-files: [VALUE]`"),
    (&["trustedusercakey", "ca"], "listen", "write `trusted-user-ca-keys: VALUE`"),
    (&["allowusers", "users", "user", "permitusers"], "listen", "write `permit-user: [VALUE]`"),
    (
        &["allowgroups", "denygroups", "denyusers"],
        "listen",
        "names carry no Unix identity here; list those that may log in: `permit-user: [...]`",
    ),
    (
        &["permitrootlogin"],
        "listen",
        "names carry no Unix identity here: whose key is accepted logs in, under any name of `permit-user`",
    ),
    (
        &["peers", "clients", "links", "permit"],
        "listen",
        "write `accept:`, with the name of each peer below it",
    ),
    (&["permittun", "tunnel", "allowtunnel"], "listen", "write `permit-tunnel: ethernet`"),
    (&["bridge"], "listen", "the bridge is chosen for each peer: `accept: {PEER: {bridge: VALUE}}`"),
    (
        &[
            "passwordauthentication",
            "kbdinteractiveauthentication",
            "challengeresponseauthentication",
            "usepam",
            "gssapiauthentication",
            "hostbasedauthentication",
            "pubkeyauthentication",
            "permitemptypasswords",
            "authenticationmethods",
        ],
        "listen",
        "the server takes keys and certificates alone; remove it",
    ),
    (
        &[
            "subsystem",
            "x11forwarding",
            "allowtcpforwarding",
            "allowagentforwarding",
            "allowstreamlocalforwarding",
            "permittty",
            "permitopen",
            "permitlisten",
            "forcecommand",
            "gatewayports",
            "printmotd",
            "printlastlog",
            "banner",
            "acceptenv",
            "chrootdirectory",
            "usedns",
            "compression",
            "tcpkeepalive",
            "maxsessions",
            "permituserenvironment",
            "permituserrc",
            "disableforwarding",
            "x11displayoffset",
            "x11uselocalhost",
        ],
        "listen",
        "the server serves tunnels and nothing else; remove it",
    ),
    (
        &[
            "ciphers",
            "macs",
            "kexalgorithms",
            "hostkeyalgorithms",
            "pubkeyacceptedalgorithms",
            "casignaturealgorithms",
            "requiredrsasize",
        ],
        "listen",
        "the server has modern algorithms alone, and no choice of them; remove it",
    ),
    (
        &["loglevel", "syslogfacility", "logverbose"],
        "listen",
        "what is logged says TAPLINE_LOG, or -v of `tapline run`; remove it",
    ),
    (
        &["match", "include"],
        "listen",
        "this file has no blocks and no includes; what holds for one peer stands under `accept`",
    ),
    // ssh_config.
    (&["hostname"], "host", "write `host: VALUE`"),
    (
        &["sshconfig", "configfile", "include"],
        "host",
        "the SSH configuration of the user and the system is read; name one of its blocks with `host: ALIAS`",
    ),
    (&["tunneldevices", "w"], "tunnel-device", "write `tunnel-device: VALUE`"),
    (&["identityfiles"], "identity-file", "write `identity-file:`, with one file or a list"),
    (
        &["knownhosts", "knownhostsfile", "knownhostsfiles"],
        "user-known-hosts-file",
        "write `user-known-hosts-file: VALUE`",
    ),
    (&["jump", "jumphost", "bastion", "proxy", "gateway", "via"], "proxy-jump", "write `proxy-jump: VALUE`"),
    (
        &["stricthostkey", "hostkeychecking"],
        "strict-host-key-checking",
        "write `strict-host-key-checking: accept-new`",
    ),
    (&["timeout", "connecttime"], "connect-timeout", "write `connect-timeout: VALUE`"),
    (
        &["remotecommand", "permitlocalcommand", "postup", "up", "script"],
        "local-command",
        "a command of this host after each up is `local-command: ...`",
    ),
    (
        &[
            "localforward",
            "remoteforward",
            "dynamicforward",
            "forwardagent",
            "forwardx11",
            "forwardx11trusted",
            "requesttty",
            "sendenv",
            "setenv",
            "escapechar",
            "sessiontype",
            "stdinnull",
            "forkafterauthentication",
            "clearallforwardings",
            "gatewayports",
            "exitonforwardfailure",
            "permitremoteopen",
            "xauthlocation",
        ],
        "host",
        "a link carries a tunnel and nothing else; remove it",
    ),
    (
        &["batchmode", "numberofpasswordprompts", "passwordauthentication", "kbdinteractiveauthentication"],
        "host",
        "a link runs unattended: nobody is asked anything; remove it",
    ),
    (
        &[
            "addkeystoagent",
            "bindinterface",
            "canonicaldomains",
            "canonicalizefallbacklocal",
            "canonicalizehostname",
            "canonicalizemaxdots",
            "canonicalizepermittedcnames",
            "casignaturealgorithms",
            "channeltimeout",
            "checkhostip",
            "ciphers",
            "compression",
            "connectionattempts",
            "controlmaster",
            "controlpath",
            "controlpersist",
            "enablesshkeysign",
            "fingerprinthash",
            "globalknownhostsfile",
            "gssapiauthentication",
            "gssapidelegatecredentials",
            "hashknownhosts",
            "hostbasedacceptedalgorithms",
            "hostbasedauthentication",
            "hostkeyalgorithms",
            "hostkeyalias",
            "identitiesonly",
            "identityagent",
            "ignoreunknown",
            "ipqos",
            "kbdinteractivedevices",
            "kexalgorithms",
            "knownhostscommand",
            "loglevel",
            "logverbose",
            "macs",
            "nohostauthenticationforlocalhost",
            "obscurekeystroketiming",
            "pkcs11provider",
            "preferredauthentications",
            "proxyusefdpass",
            "pubkeyacceptedalgorithms",
            "pubkeyauthentication",
            "requiredrsasize",
            "pubkeyacceptedkeytypes",
            "securitykeyprovider",
            "streamlocalbindmask",
            "streamlocalbindunlink",
            "syslogfacility",
            "tag",
            "tcpkeepalive",
            "updatehostkeys",
            "verifyhostkeydns",
            "visualhostkey",
            "refuseconnection",
            "warnweakcrypto",
            "versionaddendum",
            "challengeresponseauthentication",
            "skeyauthentication",
            "tisauthentication",
            "dsaauthentication",
            "exitonforwardfailure",
            "enableescapecommandline",
        ],
        "host",
        "this is ssh_config's: put it in a `Host` block of ~/.ssh/config or /etc/ssh/ssh_config, and name that block with `host:`",
    ),
];

#[cfg(test)]
mod tests;
