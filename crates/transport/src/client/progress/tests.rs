use proptest::prelude::*;

use super::*;

fn after(bytes: &[u8]) -> Progress {
    let mut progress = Progress::default();
    progress.feed(bytes);
    progress
}

fn greeting(bytes: &[u8]) -> Greeting {
    after(bytes).greeting()
}

fn packet(kind: u8, length: usize) -> Vec<u8> {
    let mut packet = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    packet.extend([4, kind]);
    packet.resize(4 + length, 0);
    packet
}

#[test]
fn peers_are_told_by_their_first_words() {
    assert_eq!(greeting(b""), Greeting::Nothing);
    assert_eq!(greeting(b"SSH-2.0-OpenSSH_9.2\r\n\0\0\x05"), Greeting::Ssh2);
    assert_eq!(greeting(b"Welcome\r\nto this host\r\nSSH-2.0-x\r\n"), Greeting::Ssh2);
    assert_eq!(greeting(b"SSH-1.5-old\n"), Greeting::Old("SSH-1.5-old".to_owned()));
    assert_eq!(
        greeting(b"Exceeded MaxStartups\r\n"),
        Greeting::TurnedAway("Exceeded MaxStartups".to_owned())
    );
    assert_eq!(
        greeting(b"HTTP/1.1 400 Bad Request\r\n"),
        Greeting::Other("HTTP/1.1 400 Bad Request".to_owned())
    );
    assert_eq!(greeting(b"\x16\x03\x01\x1b[2J"), Greeting::Other("\\u{16}\\u{3}\\u{1}\\u{1b}[2J".to_owned()));
    let lines = [&b"a line before it\r\n".repeat(1000)[..], b"SSH-2.0-x\r\n"].concat();
    assert_eq!(greeting(&lines), Greeting::Ssh2);
}

#[test]
fn s10_a_peer_that_says_much_before_its_version_is_still_one() {
    for before in ["x\n".repeat(1000), format!("{}\r\n", "x".repeat(8000)), "\n".repeat(511), String::new()] {
        for version in
            ["SSH-2.0-x", "SSH-2.1-OpenSSH_9.2 and a comment that is longer than what is kept of a line"]
        {
            let said = format!("{before}{version}\r\n\0\0\x05");
            // In whatever pieces it comes.
            for size in [1, 7, 600, said.len()] {
                let mut heard = Progress::default();
                assert!(said.as_bytes().chunks(size).all(|some| heard.feed(some)));
                assert_eq!(heard.greeting(), Greeting::Ssh2, "{} bytes", before.len());
            }
        }
    }
    let http = after(&b"HTTP/1.1 400\r\n\r\n SSH-2.0-x\n".repeat(1000));
    assert!(matches!(http.greeting(), Greeting::Other(_)));
}

#[test]
fn s13_the_step_at_which_a_server_falls_silent_is_known() {
    let version = b"SSH-2.0-OpenSSH_9.2\r\n".to_vec();
    let kexinit = packet(KEXINIT, 1100);
    let with = |parts: &[&[u8]]| after(&[&version[..], &parts.concat()].concat()).step();
    assert_eq!(after(b"").step(), Step::Connected);
    assert_eq!(after(b"Welcome\r\n").step(), Step::Connected);
    assert_eq!(after(b"SSH-2.0-Open").step(), Step::Version);
    assert_eq!(with(&[]), Step::Version);
    // Its first segment came, the rest is lost.
    assert_eq!(with(&[&kexinit[..1000]]), Step::Version);
    assert_eq!(with(&[&kexinit]), Step::KexInit);
    assert_eq!(with(&[&packet(2, 100), &kexinit]), Step::KexInit);
    assert_eq!(with(&[&kexinit, &packet(31, 1500)[..1400]]), Step::KexInit);
    assert_eq!(with(&[b"\xff\xff\xff\xff\x04\x14"]), Step::Version);
    for step in [Step::Version, Step::KexInit] {
        assert!(step.hint().contains("MTU"), "{step}");
    }
}

#[test]
fn nothing_is_read_once_keys_are_new() {
    let mut progress = Progress::default();
    assert!(progress.feed(b"SSH-2.0-x\r\n"));
    assert!(progress.feed(&packet(KEXINIT, 100)));
    assert!(progress.feed(&packet(31, 100)));
    assert!(!progress.feed(&packet(NEWKEYS, 12)));
    assert_eq!(progress.step(), Step::KexInit);
}

proptest! {
    #[test]
    fn pieces_make_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..400), ssh: bool, cut in 0usize..400) {
        let bytes = if ssh { [&b"SSH-2.0-x\n"[..], &bytes].concat() } else { bytes };
        let cut = cut.min(bytes.len());
        let mut pieces = Progress::default();
        pieces.feed(&bytes[..cut]);
        pieces.feed(&bytes[cut..]);
        prop_assert_eq!(pieces, after(&bytes));
    }
}
