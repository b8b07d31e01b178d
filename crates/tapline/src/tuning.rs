//! From the configuration's words for a path to those of the transport.

use tapline_config::{Congestion as Wanted, WindowLimit};
use tapline_transport::{Congestion, Tuning};

pub(crate) fn tuning(window_limit: WindowLimit, congestion: &Wanted) -> Tuning {
    Tuning {
        window_limit: window_limit.get(),
        congestion: match congestion {
            Wanted::Auto => Congestion::Auto,
            Wanted::System => Congestion::System,
            Wanted::Named(name) => Congestion::Named(name.as_str().to_owned()),
        },
    }
}
