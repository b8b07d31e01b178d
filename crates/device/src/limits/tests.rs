use tapline_frame::NetHeader;

use super::*;

fn plain(bytes: &[u8]) -> FrameRef<'_> {
    FrameRef { header: NetHeader::default(), bytes }
}

#[test]
fn lengths() {
    let bytes = vec![0; MAX_FRAME + 1];
    let fits = |mode, length: usize| plain(&bytes[..length]).fits(mode, Offloads::default());
    for (length, ethernet, point_to_point) in
        [(0, false, false), (1, false, true), (13, false, true), (14, true, true), (MAX_FRAME, true, true)]
    {
        assert_eq!(fits(Mode::Ethernet, length), ethernet, "{length}");
        assert_eq!(fits(Mode::PointToPoint, length), point_to_point, "{length}");
    }
    assert!(!fits(Mode::Ethernet, MAX_FRAME + 1));
    assert!(!fits(Mode::PointToPoint, MAX_FRAME + 1));
}

#[test]
fn work_that_the_device_does_not_do_is_refused() {
    let header = |gso, needs_csum| NetHeader { gso, needs_csum, ..NetHeader::default() };
    let cases = [
        (header(Gso::None, false), Offloads::default()),
        (header(Gso::None, true), Offloads { checksum: true, ..Offloads::default() }),
        (header(Gso::TcpV4, true), Offloads { uso: false, ..Offloads::ALL }),
        (header(Gso::TcpV6, true), Offloads { uso: false, ..Offloads::ALL }),
        (header(Gso::UdpL4, true), Offloads::ALL),
    ];
    for (index, (header, _)) in cases.iter().enumerate() {
        for (needed, (_, offloads)) in cases.iter().enumerate() {
            let tcp_needs_same = index == 2 && needed == 3 || index == 3 && needed == 2;
            let expected = index <= needed || tcp_needs_same;
            let frame = FrameRef { header: *header, bytes: &[0; 60] };
            assert_eq!(frame.fits(Mode::Ethernet, *offloads), expected, "{header:?} {offloads:?}");
        }
    }
}
