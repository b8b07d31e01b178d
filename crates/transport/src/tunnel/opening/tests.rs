use super::*;

fn told(reason: ChannelOpenFailure, description: &str, debug: Option<&str>) -> String {
    refusal(&reason, description, debug.map(str::to_owned)).to_string()
}

#[test]
fn n16_the_reason_of_a_refusal_is_named_with_the_peers_words() {
    let other = |code| ChannelOpenFailure::Other { code, reason: String::new() };
    for (reason, name) in [
        (ChannelOpenFailure::AdministrativelyProhibited, "(administratively prohibited)"),
        (ChannelOpenFailure::ConnectFailed, "(connect failed)"),
        (ChannelOpenFailure::UnknownChannelType, "(unknown channel type)"),
        (ChannelOpenFailure::ResourceShortage, "(resource shortage)"),
        (other(0), "(reason 0)"),
        (other(99), "(reason 99)"),
        (other(u32::MAX), "(reason 4294967295)"),
    ] {
        let told = |description| refusal(&reason, description, None).to_string();
        let message = told("not today\n\x1b[2J");
        assert!(
            message.starts_with(&format!("the peer refuses the tunnel {name}: not today[2J; ")),
            "{message}"
        );
        let message = told("");
        assert!(message.starts_with(&format!("the peer refuses the tunnel {name}; ")), "{message}");
        assert!(told(&"x".repeat(1000)).len() < 500);
    }
}

#[test]
fn n16_what_openssh_says_beside_it_tells_what_to_do() {
    let failed = ChannelOpenFailure::ConnectFailed;
    for (debug, hint) in [
        ("Server has rejected tunnel device forwarding", "set PermitTunnel"),
        ("Failed to open the tunnel device.", "ip tuntap add"),
        ("Unsupported tunnel device mode.", "set Tunnel to that"),
        ("something else", "see the peer's log"),
    ] {
        let message = told(failed.clone(), "open failed", Some(debug));
        assert!(
            message.starts_with(&format!("the peer refuses the tunnel (connect failed): {debug}; ")),
            "{message}"
        );
        assert!(message.contains(hint), "{message}");
    }
}
