use tapline_transport::server::load_host_certificate;
use tokio::process::Command;

use crate::harness::{AUTHORITY, CLIENT, STRANGER, Site, Ssh, in_namespace, line};

/// Signs a public key of the site with its authority; the certificate is beside the key.
async fn sign(site: &Site, arguments: &[&str], key: &str) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(site.path("authority"))
        .args(arguments)
        .arg(site.path(&format!("{key}.pub")))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn users_with_a_certificate_of_a_trusted_authority_log_in() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options("");
        site.write("authorities", &line(AUTHORITY));
        options.trusted_user_ca_keys = vec![site.path("authorities")];
        options.permit_users = Some(vec!["tapline".to_owned(), "somebody".to_owned()]);
        options.per_source_penalties = None;
        let mut server = site.serve(options);

        site.ssh(&server).tap("any:any").refused_with("Permission denied (publickey)").await;

        sign(&site, &["-I", "leipzig", "-n", "tapline,root"], "client").await;
        let ssh = site.ssh(&server).tap("any:any");
        let peer = server.authenticated().await;
        assert_eq!(peer.name, "leipzig");
        server.tunnel().await;
        ssh.kill().await;
        server.disconnected().await;
        site.ssh(&server).user("somebody").tap("any:any").refused_with("Permission denied (publickey)").await;

        for refused in [
            ["-I", "old", "-n", "tapline", "-V", "20200101:20200102"].as_slice(),
            &["-I", "elsewhere", "-n", "tapline", "-O", "source-address=192.0.2.0/24"],
            &["-I", "forced", "-n", "tapline", "-O", "force-command=true"],
            &["-I", "host", "-n", "tapline", "-h"],
            &["-I", "nobody"],
        ] {
            sign(&site, refused, "client").await;
            site.ssh(&server).tap("any:any").refused_with("Permission denied (publickey)").await;
        }
    });
}

#[test]
fn an_authority_of_authorized_keys_names_its_principals_and_tunnel() {
    in_namespace(|| async {
        let site = Site::new();
        let authority = line(AUTHORITY);
        let mut server =
            site.serve(site.options(&format!(
                "cert-authority,principals=\"lab,spare\",tunnel=\"7\" {authority} the lab"
            )));
        sign(&site, &["-I", "leipzig", "-n", "lab"], "client").await;
        let ssh = site.ssh(&server).tap("any:any");
        let opened = server.opened().await;
        assert_eq!(opened.peer.name, "leipzig");
        assert_eq!(server.devices.asked()[0].unit, tapline_device::Unit::Number(7));
        ssh.kill().await;
        server.disconnected().await;
        sign(&site, &["-I", "leipzig", "-n", "tapline"], "client").await;
        site.ssh(&server).tap("any:any").refused_with("Permission denied (publickey)").await;
    });
}

#[test]
fn the_host_proves_itself_with_its_certificate() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(CLIENT));
        site.write("host.pub", &line(crate::harness::HOST));
        sign(&site, &["-I", "berlin", "-n", "127.0.0.1", "-h"], "host").await;
        options.host_certificates = vec![load_host_certificate(&site.path("host-cert.pub")).unwrap()];
        let mut server = site.serve(options);
        site.write("known_hosts", &format!("@cert-authority * {}\n", line(AUTHORITY)));
        let _ssh = site.ssh(&server).tap("any:any");
        server.opened().await;
    });
}

/// What the server answers to each offer, until it has refused all.
async fn answers(ssh: Ssh) -> Vec<String> {
    let (code, said) = ssh.tap("any:any").ended().await;
    assert_eq!(code, Some(255), "{said}");
    let is_answer = |line: &&str| {
        ["Authentications that can continue", "Server accepts key", "Permission denied", "closed by"]
            .iter()
            .any(|words| line.contains(words))
    };
    let without_user =
        |line: &str| line.trim().rsplit_once(": ").map_or(String::new(), |(_, rest)| rest.to_owned());
    said.lines().filter(is_answer).map(without_user).collect()
}

#[test]
fn t11_who_is_not_let_in_gets_one_answer() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options("");
        site.write("authorities", &line(AUTHORITY));
        site.write("revoked", &line(STRANGER));
        options.trusted_user_ca_keys = vec![site.path("authorities")];
        options.permit_users = Some(vec!["tapline".to_owned()]);
        options.revoked_keys = Some(site.path("revoked"));
        options.per_source_penalties = None;
        let server = site.serve(options);

        let refused = answers(site.ssh(&server)).await;
        assert_eq!(refused.len(), 3, "{refused:?}");
        assert!(!refused.iter().any(|answer| answer.contains("ED25519")), "no key is accepted: {refused:?}");
        for user in ["tapline", "somebody", "root", "TAPLINE"] {
            assert_eq!(answers(site.ssh(&server).user(user)).await, refused, "{user}");
            // One that is revoked, limited to elsewhere, or of a line that is damaged.
            for line in
                ["", "from=\"192.0.2.9\" ", "expiry-time=\"20200101Z\" ", "unheard-of ", "command=\"id\" "]
            {
                site.write("authorized_keys", &format!("{line}{}", crate::harness::line(STRANGER)));
                let stranger = site.ssh(&server).user(user).key(&site.path("stranger"));
                assert_eq!(answers(stranger).await, refused, "{user} {line}");
            }
        }
        for arguments in [
            ["-I", "other", "-n", "somebody"].as_slice(),
            &["-I", "old", "-n", "tapline", "-V", "20200101:20200102"],
            &["-I", "forced", "-n", "tapline", "-O", "force-command=true"],
            &["-I", "elsewhere", "-n", "tapline", "-O", "source-address=192.0.2.0/24"],
        ] {
            sign(&site, arguments, "client").await;
            let mut others = None;
            for user in ["tapline", "somebody", "root"] {
                let answers = answers(site.ssh(&server).user(user)).await;
                assert!(
                    !answers.iter().any(|answer| answer.contains("ED25519")),
                    "{arguments:?}: {answers:?}"
                );
                assert_eq!(others.get_or_insert_with(|| answers.clone()), &answers, "{user} {arguments:?}");
            }
        }
    });
}

#[test]
fn t7_a_principal_that_means_nothing_opens_nothing() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options("");
        site.write("authorities", &line(AUTHORITY));
        options.trusted_user_ca_keys = vec![site.path("authorities")];
        options.per_source_penalties = None;
        let server = site.serve(options.clone());
        sign(&site, &["-I", "visitor", "-n", "www,visitor,tapline"], "client").await;
        for user in ["www", "visitor", "tapline", "root"] {
            site.ssh(&server).user(user).tap("any:any").refused_with("Permission denied (publickey)").await;
        }
        crate::harness::logged(&[
            "Failed publickey for visitor",
            "permit-user",
            "authorized-principals-file",
        ])
        .await;

        site.write("principals", "tunnel=\"5\" visitor\n");
        options.authorized_principals_file = Some(site.path("principals"));
        let mut server = site.serve(options);
        let ssh = site.ssh(&server).tap("any:any");
        assert_eq!(server.opened().await.peer.name, "visitor");
        assert_eq!(server.devices.asked()[0].unit, tapline_device::Unit::Number(5));
        ssh.kill().await;
        server.disconnected().await;
        site.write("principals", "tapline2\n");
        site.ssh(&server).tap("any:any").refused_with("Permission denied (publickey)").await;
    });
}

#[test]
fn t15_what_ssh_keygen_revokes_logs_in_no_more() {
    in_namespace(|| async {
        let site = Site::new();
        let mut options = site.options(&line(STRANGER));
        site.write("authorities", &line(AUTHORITY));
        options.trusted_user_ca_keys = vec![site.path("authorities")];
        options.permit_users = Some(vec!["tapline".to_owned()]);
        options.per_source_penalties = None;
        options.revoked_keys = Some(site.path("revoked"));
        sign(&site, &["-I", "leipzig", "-n", "tapline", "-z", "7"], "client").await;
        let mut server = site.serve(options);
        site.ssh(&server).tap("any:any").refused_with("Permission denied").await;

        for (specification, certificate, plain) in [
            ("serial: 8-9\nid: dresden\n", true, true),
            ("serial: 7\n", false, true),
            ("serial: 1-100\n", false, true),
            ("id: leipzig\n", false, true),
            (&format!("key: {}\n", line(CLIENT)), false, true),
            (&format!("sha1: {}\n", line(STRANGER)), true, false),
            (&format!("sha256: {}\nsha256: {}\n", line(STRANGER), line(AUTHORITY)), false, false),
        ] {
            site.write("specification", specification);
            let output = Command::new("ssh-keygen")
                .args(["-q", "-k", "-s"])
                .arg(site.path("authority.pub"))
                .arg("-f")
                .arg(site.path("revoked"))
                .arg(site.path("specification"))
                .output()
                .await
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            for (key, is_in) in [("client", certificate), ("stranger", plain)] {
                let ssh = site.ssh(&server).key(&site.path(key)).tap("any:any");
                match is_in {
                    true => {
                        server.authenticated().await;
                        ssh.kill().await;
                        server.disconnected().await;
                    }
                    false => ssh.refused_with("Permission denied (publickey)").await,
                }
            }
        }
    });
}
