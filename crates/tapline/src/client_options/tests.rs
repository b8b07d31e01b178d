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
