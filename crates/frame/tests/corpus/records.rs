//! Input: a byte that chooses the mode, then the string of a CHANNEL_DATA or what an open message says after RFC 4254's fields.

use tapline_frame::records::{self, Open, Record};
use tapline_frame::{Mode, guard};

pub(crate) fn check(data: &[u8]) {
    let Some((&choice, message)) = data.split_first() else { return };
    let mode = if choice & 1 == 0 { Mode::Ethernet } else { Mode::PointToPoint };
    let mut again = Vec::new();
    let mut seen = Vec::new();
    let mut fatal = false;
    for record in records::decode(mode, message) {
        assert!(!fatal, "a record after a fatal error");
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                fatal = error.is_fatal();
                assert!(!error.to_string().contains('\n'));
                continue;
            }
        };
        match record {
            Record::Hello(hello) => records::encode_hello(&hello, &mut again),
            Record::Frame { header, bytes } => {
                assert!(guard::check(mode, bytes).is_ok());
                if header.is_plain() || header.data_valid {
                    // Comes back as a plain frame, without what does not travel.
                    continue;
                }
                let before = again.len();
                assert!(records::encode_frame(mode, &header, bytes, &mut again).is_ok());
                assert_eq!(again.len() - before, records::frame_record_len(&header, bytes.len()));
            }
            Record::Ping(opaque) => again.extend(records::encode_ping(opaque)),
            Record::Pong(opaque) => again.extend(records::encode_pong(opaque)),
        }
        seen.push(record);
    }
    assert!(records::decode(mode, &again).eq(seen.into_iter().map(Ok)), "encoding is decoding backwards");

    if let Ok(open) = Open::decode(message) {
        let mut again = Vec::new();
        open.encode(&mut again);
        assert_eq!(Open::decode(&again), Ok(open));
    }
}
