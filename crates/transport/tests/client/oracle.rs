//! Who is let in, and with which tunnel: `authorized_keys` as Tapline judges it and as Debian's sshd does.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use russh_channels::keys::PrivateKey;
use russh_channels::keys::ssh_key::LineEnding;
use russh_channels::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use tapline_device::{Unit, memory};
use tapline_frame::Mode;
use tapline_transport::client::{ConnectError, Options};
use tapline_transport::trust::Offered;
use tapline_transport::trust::authorized_keys::{
    AuthorizedKeys, Decision, LineProblem, OptionError, Refusal, Refusals, Request, TunnelGrant,
};
use tapline_transport::tunnel::{Lease, NativePolicy, OpenTunnelError, TunnelRequest};

use crate::harness::{Keys, Sshd, in_namespaces, log_in, options, set_mode};

/// Files, each with a key of its own, so that one sshd can have them all at once.
const FILES: u32 = 200;

/// Stands for the unit that the peer asks for, and for another one.
const OWN: &str = "UNIT";
const OTHER: &str = "OTHER";

const OPTIONS: &[&str] = &[
    "restrict",
    "RESTRICT",
    "no-pty",
    "NO-PTY",
    "pty",
    "port-forwarding",
    "no-port-forwarding",
    "no-agent-forwarding",
    "X11-forwarding",
    "user-rc",
    "touch-required",
    "no-touch-required",
    "verify-required",
    "tunnel=\"UNIT\"",
    "tunnel=\"UNIT\"",
    "tunnel=\"OTHER\"",
    "tunnel=\"OTHER\"",
    "tunnel=\"any\"",
    "Tunnel=\"ANY\"",
    "tunnel=\"x\"",
    "tunnel=\"\"",
    "tunnel=\"2147483646\"",
    "tunnel=UNIT",
    "tunnel",
    "from=\"127.0.0.1\"",
    "from=\"127.0.0.0/8\"",
    "from=\"127.*,192.0.2.1\"",
    "from=\"!127.0.0.1,*\"",
    "from=\"192.0.2.0/24\"",
    "from=\"127.0.0.1/8\"",
    "from=\"localhost\"",
    "from=\"\"",
    "from=\"127.0.0.1,\"",
    "from=\"!192.0.2.1\"",
    "expiry-time=\"20200101Z\"",
    "expiry-time=\"20370101\"",
    "expiry-time=\"20371231235959Z\"",
    "expiry-time=\"2037\"",
    "permitopen=\"h:80\"",
    "permitopen=\"[2001:db8::1]:80\"",
    "permitopen=\"h:*\"",
    "permitopen=\"h\"",
    "permitopen=\"h:0\"",
    "permitopen=\"h:http\"",
    "permitopen=\"[h:80\"",
    "permitlisten=\"8080\"",
    "permitlisten=\"localhost:8080\"",
    "permitlisten=\"h:x\"",
    "environment=\"A=b c, d\"",
    "environment=\"A=\\\"b\\\"\"",
    "environment=\"A\"",
    "environment=\"A-B=c\"",
    "principals=\"root\"",
    "cert-authority",
    "command=\"true\"",
    "command=\"echo \\\"a b\\\"\"",
    "unheard-of",
    "unheard-of=\"x\"",
    "no-restrict",
    "restrict=\"x\"",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Denied,
    NoTunnel,
    Tunnel,
}

struct Case {
    key: PrivateKey,
    text: String,
    asks: Option<u32>,
}

/// What Tapline says.
struct Judgement {
    outcome: Outcome,
    grant: Option<TunnelGrant>,
    refusals: Refusals,
}

type Applies = fn(&Judgement) -> bool;

/// Where Tapline differs, always in letting fewer in, and why.
const DIFFERENCES: &[(&str, Applies)] = &[
    // sshd 9.2 opens a tunnel; newer ones mean to refuse it, and sshd(8) says that restrict is all restrictions.
    ("restrict is about tunnels too", |ours| ours.grant == Some(TunnelGrant::No)),
    ("it runs no programs, so a key that is limited to one is refused", |ours| {
        refused_by(&ours.refusals, |error| {
            matches!(error, OptionError::NotHonoured { option: "command", .. })
        })
    }),
    ("it knows no names of ports", |ours| {
        refused_by(&ours.refusals, |error| matches!(error, OptionError::Permit { .. }))
    }),
    // sshd goes on to the next line, which would set free what the damaged one limits.
    ("a refused line refuses its key to the lines behind it", |ours| {
        ours.refusals.0.iter().any(|refusal| matches!(refusal, Refusal::Line(_)))
    }),
];

fn refused_by(refusals: &Refusals, is_it: impl Fn(&OptionError) -> bool) -> bool {
    refusals.0.iter().any(|refusal| match refusal {
        Refusal::Line(line) => matches!(&line.problem, LineProblem::Option(error) if is_it(error)),
        _ => false,
    })
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn options(&mut self) -> String {
        let mut text = String::new();
        let count = [0, 1, 1, 1, 2, 2, 3][self.below(7)];
        for index in 0..count {
            if index > 0 || self.below(12) == 0 {
                text.push_str(self.one_of(&[",", ",", ",", ",", ",", ",,", ",,,", ", "]));
            }
            text.push_str(self.one_of(OPTIONS));
        }
        if self.below(8) == 0 {
            text.push(',');
        }
        text
    }

    fn file(&mut self, public: &str, stranger: &str) -> String {
        let mut text = String::new();
        for _ in 0..=[0, 0, 1, 2][self.below(4)] {
            match self.below(10) {
                0 => text.push_str(self.one_of(&[
                    "",
                    "# a comment",
                    "  \t",
                    "nonsense",
                    "no-pty",
                    "restrict,",
                ])),
                1 => {
                    let _ = write!(text, "{} {stranger} another", self.options());
                }
                2 => {
                    // The key is cut, or in the comment of another.
                    let cut = &public[..public.len() - 10];
                    let line = [cut.to_owned(), format!("{stranger} {public}"), format!("#{public}")];
                    text.push_str(&line[self.below(3)]);
                }
                _ => {
                    let before = self.one_of(&["", "", "", " ", "\t"]);
                    let gap = self.one_of(&[" ", " ", "\t", "  "]);
                    let after = self.one_of(&["", " somebody", " a b # c", " \t", "\r"]);
                    let _ = write!(text, "{before}{}{gap}{public}{after}", self.options());
                }
            }
            text.push('\n');
        }
        text
    }
}

fn cases() -> Vec<Case> {
    let mut numbers = Numbers(0x005e_ed0f_7a91_13e5);
    let key = |number: u32| {
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        PrivateKey::new(KeypairData::from(Ed25519Keypair::from_seed(&seed)), "").unwrap()
    };
    let public = |key: &PrivateKey| key.public_key().to_openssh().unwrap().trim().to_owned();
    let stranger = public(&key(u32::MAX));
    let case = |number: u32| {
        let key = key(number);
        let unit = 100 + 2 * number;
        let text = numbers.file(&public(&key), &stranger);
        let text = text.replace(OWN, &unit.to_string()).replace(OTHER, &(unit + 1).to_string());
        Case { key, text, asks: (!number.is_multiple_of(4)).then_some(unit) }
    };
    (0..FILES).map(case).collect()
}

fn by_tapline(case: &Case) -> Judgement {
    let mut keys = AuthorizedKeys::new();
    keys.add(Path::new("authorized_keys"), &case.text);
    let request = Request {
        offered: Offered::Key(case.key.public_key().key_data()),
        user: "root",
        is_named: true,
        peer: IpAddr::from([127, 0, 0, 1]),
        now: std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs(),
    };
    match keys.authorize(&request) {
        Decision::Refused(refusals) => Judgement { outcome: Outcome::Denied, grant: None, refusals },
        Decision::Granted(grant) => {
            let asked = case.asks.map_or(Unit::Any, Unit::Number);
            let outcome = grant.tunnel.unit(asked).map_or(Outcome::NoTunnel, |_| Outcome::Tunnel);
            Judgement { outcome, grant: Some(grant.tunnel), refusals: Refusals::default() }
        }
    }
}

async fn by_sshd(case: &Case, options: &Options) -> Outcome {
    let session = match log_in(options).await {
        Ok(session) => session,
        Err(ConnectError::PermissionDenied { .. }) => return Outcome::Denied,
        Err(error) => panic!("{error}: {}", case.text),
    };
    let (device, _other_end) = memory::pair(Mode::Ethernet);
    let request = TunnelRequest {
        device: Lease::new(Box::new(device), None),
        remote_unit: case.asks,
        native: NativePolicy::No,
        bundle: None,
        counters: Arc::default(),
    };
    let opened = session.tunnels().open(request).await;
    session.disconnect().await;
    match opened {
        Ok(_) => Outcome::Tunnel,
        Err(OpenTunnelError::Refused { .. }) => Outcome::NoTunnel,
        Err(error) => panic!("{error}: {}", case.text),
    }
}

#[test]
fn s14_authorized_keys_are_judged_as_sshd_judges_them() {
    in_namespaces(|| async {
        let keys = Keys::new();
        keys.generate("host", "ed25519", "");
        keys.write("known_hosts", &format!("127.0.0.1 {}", keys.text("host.pub")));
        let cases = cases();
        keys.write("authorized_keys", &cases.iter().map(|case| case.text.as_str()).collect::<String>());
        let sshd = Sshd::start(&keys, "127.0.0.1", "host", "PermitTunnel yes\nPermitUserEnvironment yes");
        let mut outcomes = Vec::new();
        let mut wrong = String::new();
        let mut different = 0;
        for case in &cases {
            let identity = keys.write("id", &case.key.to_openssh(LineEnding::LF).unwrap());
            set_mode(&identity, 0o600);
            let theirs = by_sshd(case, &options(&keys)).await;
            let ours = by_tapline(case);
            outcomes.push(theirs);
            if ours.outcome == theirs {
                continue;
            }
            different += 1;
            let is_listed = DIFFERENCES.iter().any(|(_, is_about)| is_about(&ours));
            if ours.outcome > theirs || !is_listed {
                let Judgement { outcome, refusals, .. } = ours;
                let _ =
                    writeln!(wrong, "sshd {theirs:?}, Tapline {outcome:?} ({refusals}) for\n{}", case.text);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        drop(sshd);
        // Otherwise nothing is compared.
        for (outcome, least) in [(Outcome::Denied, 20), (Outcome::NoTunnel, 3), (Outcome::Tunnel, 20)] {
            let count = outcomes.iter().filter(|found| **found == outcome).count();
            assert!(count >= least, "only {count} are {outcome:?}");
        }
        assert!(different <= 30, "{different} files are judged differently");
    });
}
