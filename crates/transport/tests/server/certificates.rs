use tapline_transport::server::load_host_certificate;
use tokio::process::Command;

use crate::harness::{AUTHORITY, CLIENT, Site, in_namespace, line};

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
