use std::process::Command;

use tapline_control::bridge_filters;

use crate::namespace;

/// With the settings of `br_netfilter` and rules that the kernel itself has, where it has them.
#[test]
fn n18_a_firewall_that_drops_bridged_frames_is_known() {
    let Some(host) = namespace() else { return };
    let has_netfilter = host.run(|| std::path::Path::new("/proc/sys/net/bridge").exists()).unwrap();
    let nft = |rules: &str| {
        host.run(|| Command::new("nft").args(rules.split(' ')).status().is_ok_and(|status| status.success()))
            .unwrap()
    };
    if !nft("add table inet firewall") {
        return eprintln!("SKIPPED: no nft here");
    }
    let set = |setting: &str, value: &str| {
        host.run(|| std::fs::write(format!("/proc/sys/net/bridge/{setting}"), value).unwrap()).unwrap();
    };
    let settings = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"];
    let said = || {
        let filters = host.run(|| bridge_filters().unwrap()).unwrap();
        filters.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    if has_netfilter {
        settings.iter().for_each(|setting| set(setting, "1"));
    }
    assert_eq!(said(), [""; 0], "nothing drops");
    assert!(nft("add chain inet firewall forward { type filter hook forward priority 0 ; policy drop ; }"));
    if has_netfilter {
        let lines = said();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines.iter().all(|line| line.contains("chain forward of table inet firewall")), "{lines:#?}");
        set("bridge-nf-call-iptables", "0");
        assert_eq!(said().len(), 1, "IPv6 alone");
        assert_eq!(
            host.run(|| std::fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-ip6tables").unwrap())
                .unwrap()
                .trim(),
            "1"
        );
        set("bridge-nf-call-ip6tables", "0");
        assert_eq!(said(), [""; 0]);
    }
    if nft("add table bridge filter")
        && nft("add chain bridge filter FORWARD { type filter hook forward priority 0 ; policy drop ; }")
    {
        let lines = said();
        assert!(lines.iter().any(|line| line.contains("table bridge filter")), "{lines:#?}");
    }
}
