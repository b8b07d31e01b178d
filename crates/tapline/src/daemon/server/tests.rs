use tapline_config::Config;
use tapline_transport::{Congestion, Tuning};

use super::*;

/// The options of a server with these keys beside its host key.
fn of(keys: &str) -> Options {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("host_key");
    let yaml = format!("server: {{host-keys: ['{}'], {keys}}}", key.display());
    let config = Config::from_str("test.yaml", &yaml).unwrap();
    options(&config.server.unwrap()).unwrap()
}

#[test]
fn the_path_of_accepted_links() {
    assert_eq!(of("").tuning, Tuning::default());
    let named = Tuning { window_limit: 256 << 10, congestion: Congestion::Named("cubic".to_owned()) };
    assert_eq!(of("window-limit: 256K, congestion: cubic").tuning, named);
    assert_eq!(of("congestion: system").tuning.congestion, Congestion::System);
}
