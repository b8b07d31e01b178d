//! Input: a byte that chooses the mode, then the string of a CHANNEL_DATA or the mode and unit of an open message.

use tapline_frame::tunnel::{self, Datagram, Open};
use tapline_frame::{Mode, guard};

pub(crate) fn check(data: &[u8]) {
    let Some((&choice, payload)) = data.split_first() else { return };
    let mode = if choice & 1 == 0 { Mode::Ethernet } else { Mode::PointToPoint };
    if let Ok(Datagram { frame, odd_family }) = tunnel::decode(mode, payload) {
        assert!(guard::check(mode, frame).is_ok());
        let mut again = Vec::new();
        match tunnel::encode(mode, frame, &mut again) {
            Ok(len) => {
                assert_eq!(len, again.len());
                assert_eq!(again == payload, odd_family.is_none());
                assert!(again.ends_with(frame));
            }
            Err(_) => assert!(payload.len() > tunnel::MAX_DATA && again.is_empty()),
        }
    }
    if let Ok(prefix) = tunnel::prefix(mode, payload) {
        assert!(payload.len() >= 14 && prefix.len() + payload.len() <= tunnel::MAX_DATA);
        let sent = [prefix, payload].concat();
        assert_eq!(tunnel::decode(mode, &sent), Ok(Datagram { frame: payload, odd_family: None }));
    }
    if let Ok(open) = Open::decode(payload) {
        assert_eq!(open.encode(), payload);
    }
}
