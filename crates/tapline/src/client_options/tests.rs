use std::path::Path;

use tapline_config::Config;
use tapline_transport::Congestion;

use super::*;

fn of(yaml: &str) -> Options {
    let config = Config::from_str("test.yaml", yaml).unwrap();
    let files = SshFiles::read(Path::new("none")).unwrap();
    of_link(&files, config.links.values().next().unwrap()).unwrap()
}

#[test]
fn a_link_that_says_nothing_of_its_path_has_the_default() {
    assert_eq!(of("links: {berlin: {host: berlin.example.org}}").tuning, Tuning::default());
}

#[test]
fn a_link_says_how_its_path_is_used() {
    let options = of("links: {berlin: {host: berlin.example.org, window-limit: 1G, congestion: dctcp}}");
    assert_eq!(
        options.tuning,
        Tuning { window_limit: 1 << 30, congestion: Congestion::Named("dctcp".to_owned()) }
    );
}

#[test]
fn the_first_jump_host_has_the_connection() {
    let options = of(
        "links: {berlin: {host: berlin.example.org, proxy-jump: 'a,b', congestion: system, window-limit: 1M}}",
    );
    let Proxy::Jump(hops) = &options.proxy else { panic!("{:?}", options.proxy) };
    let wanted = Tuning { window_limit: 1 << 20, congestion: Congestion::System };
    assert_eq!(hops.iter().map(|hop| &hop.tuning).collect::<Vec<_>>(), [&wanted, &wanted]);
}

#[test]
fn u2_a_silent_peer_is_asked_and_an_attempt_ends_unless_somebody_says_otherwise() {
    let seconds = |number| Some(Duration::from_secs(number));
    for (more, interval, count, timeout) in [
        ("", seconds(5), 3, seconds(10)),
        (", server-alive-interval: 15", seconds(15), 3, seconds(10)),
        (", server-alive-interval: 0", None, 3, seconds(10)),
        (", server-alive-count-max: 7", seconds(5), 7, seconds(10)),
        (", connect-timeout: 1m", seconds(5), 3, seconds(60)),
        (", connect-timeout: 0", seconds(5), 3, None),
        (", proxy-command: 'nc %h %p'", seconds(5), 3, seconds(10)),
    ] {
        let options = of(&format!("links: {{berlin: {{host: berlin.example.org{more}}}}}"));
        let has = (options.server_alive_interval, options.server_alive_count_max, options.connect_timeout);
        assert_eq!(has, (interval, count, timeout), "{more}");
    }
    // A file of ssh_config is somebody too.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    std::fs::write(&file, "ServerAliveInterval 45\nConnectTimeout 3\n").unwrap();
    let files = SshFiles::read(&file).unwrap();
    let query = Query { host: "berlin.example.org".to_owned(), user: None, port: None };
    let options = of_host(&files, &files.resolve(&[], &query).unwrap()).unwrap();
    assert_eq!((options.server_alive_interval, options.connect_timeout), (seconds(45), seconds(3)));
}
