//! Whatever gets worse, nobody may do more than before.
//!
//! Worse is: an option more on a line, a damaged or missing line, a file that cannot be read, is writable by others, was
//! moved away or is replaced between the offer of a key and the log-in, an entry of `accept` or an authority less, fewer
//! user names or principals, a key or a list of keys more that is revoked, or a revoked list that cannot be used.
//!
//! Not worse are the removal of a line whose key has another one behind it, and one of its options that makes it pass the
//! key on to that: as in sshd, the first line that lets a key in decides. So each key has one line here.

use proptest::prelude::*;
use russh_channels::keys::ssh_key::Certificate;
use russh_channels::keys::ssh_key::certificate::CertType;

use super::*;
use crate::trust::fixtures;

/// Keys 1 to 4 may have lines and entries of `accept`; 9 is an authority.
const KEYS: [u8; 4] = [1, 2, 3, 4];
const AUTHORITY: u8 = 9;
const USERS: [&str; 3] = ["root", "lab", "www"];

#[derive(Debug, Clone)]
struct World {
    /// For each of two files.
    files: [File; 2],
    accept: Vec<u8>,
    /// Whether the authority's list is named, and what state it is in.
    authorities: Option<State>,
    permit: Option<Vec<&'static str>>,
    principals: Option<(Vec<&'static str>, State)>,
    revoked: Option<(Vec<u8>, State)>,
}

#[derive(Debug, Clone)]
struct File {
    lines: Vec<Line>,
    state: State,
}

#[derive(Debug, Clone)]
struct Line {
    key: u8,
    options: Vec<&'static str>,
    is_damaged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Present,
    GroupWritable,
    /// Not to be read by anybody, root included.
    Unreadable,
    MovedAway,
    /// By a directory.
    Replaced,
    BadDirectory,
}

const BAD: [State; 5] =
    [State::GroupWritable, State::Unreadable, State::MovedAway, State::Replaced, State::BadDirectory];

const OPTIONS: [&str; 9] = [
    "restrict",
    "tunnel=\"7\"",
    "tunnel=\"any\"",
    "from=\"192.0.2.0/24\"",
    "from=\"198.51.100.0/24\"",
    "expiry-time=\"20200101Z\"",
    "no-pty",
    "command=\"x\"",
    "cert-authority",
];

/// How a world gets worse.
#[derive(Debug, Clone)]
enum Step {
    Option(usize, usize, &'static str),
    Damage(usize, usize),
    RemoveLine(usize, usize),
    Spoil(usize, State),
    NoAccept(usize),
    NoAuthorities,
    SpoilAuthorities(State),
    Permit(usize),
    Principals(usize),
    SpoilPrincipals(State),
    Revoke(u8),
    SpoilRevoked(State),
}

fn line() -> impl Strategy<Value = Line> {
    (
        prop::sample::select(vec![1, 2, 3, 4, AUTHORITY]),
        prop::collection::vec(prop::sample::select(OPTIONS.to_vec()), 0..3),
    )
        .prop_map(|(key, mut options)| {
            if key == AUTHORITY && !options.contains(&"cert-authority") {
                options.push("cert-authority");
            }
            options.dedup();
            Line { key, options, is_damaged: false }
        })
}

fn world() -> impl Strategy<Value = World> {
    let users = || prop::option::of(prop::sample::subsequence(USERS.to_vec(), 0..=3));
    (
        prop::collection::vec(line(), 0..4),
        prop::collection::vec(line(), 0..4),
        prop::sample::subsequence(KEYS.to_vec(), 0..=4),
        any::<bool>(),
        users(),
        users(),
        prop::option::of(prop::sample::subsequence(KEYS.to_vec(), 0..=1)),
    )
        .prop_map(|(mut first, mut second, accept, authorities, permit, principals, revoked)| {
            // One line for each key.
            let mut seen = Vec::new();
            for lines in [&mut first, &mut second] {
                lines.retain(|line| {
                    let is_new = !seen.contains(&line.key);
                    seen.push(line.key);
                    is_new
                });
            }
            let file = |lines| File { lines, state: State::Present };
            World {
                files: [file(first), file(second)],
                accept,
                authorities: authorities.then_some(State::Present),
                permit,
                principals: principals.map(|names| (names, State::Present)),
                revoked: revoked.map(|keys| (keys, State::Present)),
            }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let state = || prop::sample::select(BAD.to_vec());
    prop_oneof![
        (0..2usize, 0..4usize, prop::sample::select(OPTIONS.to_vec()))
            .prop_map(|(f, l, o)| Step::Option(f, l, o)),
        (0..2usize, 0..4usize).prop_map(|(file, line)| Step::Damage(file, line)),
        (0..2usize, 0..4usize).prop_map(|(file, line)| Step::RemoveLine(file, line)),
        (0..2usize, state()).prop_map(|(file, state)| Step::Spoil(file, state)),
        (0..4usize).prop_map(Step::NoAccept),
        Just(Step::NoAuthorities),
        state().prop_map(Step::SpoilAuthorities),
        (0..3usize).prop_map(Step::Permit),
        (0..3usize).prop_map(Step::Principals),
        state().prop_map(Step::SpoilPrincipals),
        prop::sample::select(vec![1, 2, 3, 4, AUTHORITY]).prop_map(Step::Revoke),
        state().prop_map(Step::SpoilRevoked),
    ]
}

impl World {
    /// Whether there was something that could get worse.
    fn take(&mut self, step: &Step) -> bool {
        match step {
            Step::Option(file, line, option) => {
                let Some(line) = self.files[*file].lines.get_mut(*line) else { return false };
                // A key does not become an authority by an option more, and of two the last would count.
                let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
                if *option == "cert-authority" || line.options.iter().any(|other| name(other) == name(option))
                {
                    return false;
                }
                line.options.push(option);
            }
            Step::Damage(file, line) => match self.files[*file].lines.get_mut(*line) {
                Some(line) => line.is_damaged = true,
                None => return false,
            },
            Step::RemoveLine(file, line) => {
                if *line >= self.files[*file].lines.len() {
                    return false;
                }
                let gone = self.files[*file].lines.remove(*line);
                // The list of authorities is behind the files: what a line limits there, that would set free.
                return gone.key != AUTHORITY || self.authorities.is_none();
            }
            Step::Spoil(file, state) => self.files[*file].state = *state,
            Step::NoAccept(index) => {
                if *index >= self.accept.len() {
                    return false;
                }
                self.accept.remove(*index);
            }
            Step::NoAuthorities => return self.authorities.take().is_some(),
            Step::SpoilAuthorities(state) => match &mut self.authorities {
                Some(now) => *now = *state,
                None => return false,
            },
            Step::Permit(index) => match &mut self.permit {
                Some(names) if *index < names.len() => drop(names.remove(*index)),
                _ => return false,
            },
            Step::Principals(index) => match &mut self.principals {
                Some((names, _)) if *index < names.len() => drop(names.remove(*index)),
                _ => return false,
            },
            Step::SpoilPrincipals(state) => match &mut self.principals {
                Some((_, now)) => *now = *state,
                None => return false,
            },
            Step::Revoke(key) => self.revoked.get_or_insert((Vec::new(), State::Present)).0.push(*key),
            Step::SpoilRevoked(state) => match &mut self.revoked {
                Some((_, now)) => *now = *state,
                None => return false,
            },
        }
        true
    }
}

/// A world on the disk.
struct Site {
    directory: tempfile::TempDir,
    options: Options,
    authentication: Authentication,
}

impl Site {
    fn new(world: &World) -> Self {
        let mut site = Self {
            directory: tempfile::tempdir().unwrap(),
            options: Options::new(Vec::new()),
            authentication: Authentication::default(),
        };
        site.write(world);
        site.authentication.inspect(&site.options);
        site
    }

    /// Changes the files and the options; the server knows what it has seen before.
    fn write(&mut self, world: &World) {
        let public = |key: &u8| fixtures::text(*key);
        let options = &mut self.options;
        let directory = self.directory.path();
        options.authorized_keys_files = Vec::new();
        for (index, file) in world.files.iter().enumerate() {
            let text: String = file
                .lines
                .iter()
                .map(|line| {
                    let damage = if line.is_damaged { "unheard-of," } else { "" };
                    format!("{damage}{} {}\n", line.options.join(","), public(&line.key))
                        .trim_start()
                        .to_owned()
                })
                .collect();
            options.authorized_keys_files.push(place(directory, &format!("keys{index}"), &text, file.state));
        }
        options.accept = world
            .accept
            .iter()
            .map(|seed| AcceptedKey { name: format!("peer{seed}"), key: key(*seed), user: None })
            .collect();
        options.trusted_user_ca_keys = world
            .authorities
            .iter()
            .map(|state| place(directory, "authorities", &public(&AUTHORITY), *state))
            .collect();
        options.permit_users =
            world.permit.as_ref().map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        options.authorized_principals_file = world
            .principals
            .as_ref()
            .map(|(names, state)| place(directory, "principals", &names.join("\n"), *state));
        options.revoked_keys = world.revoked.as_ref().map(|(keys, state)| {
            let lines: Vec<String> = keys.iter().map(public).collect();
            place(directory, "revoked", &lines.join("\n"), *state)
        });
    }

    fn asks(&self, asker: &Asker) -> Option<TunnelGrant> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(fixtures::NOW);
        let offered = match &asker.certificate {
            Some(certificate) => Offered::from(certificate),
            None => Offered::from(&asker.key),
        };
        let login = Login { offered, user: asker.user, peer: PEER, now };
        self.authentication.authorize(&self.options, &login).ok().map(|credential| credential.tunnel)
    }
}

/// Each file is in a directory of its own, which can be spoiled.
fn place(directory: &Path, name: &str, text: &str, state: State) -> PathBuf {
    let own = directory.join(name);
    let path = own.join("file");
    let _ = fs::remove_dir_all(&own);
    fs::create_dir(&own).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&own, 0o755);
    match state {
        State::MovedAway => return path,
        State::Replaced => fs::create_dir(&path).unwrap(),
        // For root as well.
        State::Unreadable => std::os::unix::fs::symlink("file", &path).unwrap(),
        State::Present | State::GroupWritable | State::BadDirectory => {
            fs::write(&path, text).unwrap();
            mode(&path, if state == State::GroupWritable { 0o664 } else { 0o644 });
        }
    }
    if state == State::BadDirectory {
        mode(&own, 0o777);
    }
    path
}

struct Asker {
    key: PublicKey,
    certificate: Option<Certificate>,
    user: &'static str,
}

fn askers() -> Vec<Asker> {
    let mut askers = Vec::new();
    for user in USERS {
        askers.extend(KEYS.iter().map(|seed| Asker { key: key(*seed), certificate: None, user }));
        for principals in [["root"].as_slice(), &["www", "lab"]] {
            let certificate = fixtures::sign(CertType::User, principals, |_| ());
            askers.push(Asker { key: key(1), certificate: Some(certificate), user });
        }
    }
    askers
}

/// Whether `now` allows nothing that `before` did not.
fn is_no_more(before: Option<TunnelGrant>, now: Option<TunnelGrant>) -> bool {
    let units = [Unit::Any, Unit::Number(7), Unit::Number(8)];
    match (before, now) {
        (_, None) => true,
        (None, Some(_)) => false,
        // A peer that asked for any and gets one that is forced has no more than it may ask for.
        (Some(TunnelGrant::Free), Some(_)) => true,
        (Some(before), Some(now)) => units.iter().all(|unit| match (before.unit(*unit), now.unit(*unit)) {
            (_, Err(_)) => true,
            (before, now) => before == now,
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn t1_authorisation_is_monotone(
        mut world in world(),
        steps in prop::collection::vec(step(), 1..6),
        while_logging_in in any::<bool>(),
    ) {
        let askers = askers();
        let mut site = Site::new(&world);
        let mut before: Vec<_> = askers.iter().map(|asker| site.asks(asker)).collect();
        for step in steps {
            let former = world.clone();
            if !world.take(&step) {
                world = former;
                continue;
            }
            // A key that is offered before the change has no more by it than one that comes after.
            site.write(&world);
            if !while_logging_in {
                site.authentication.tell(Vec::new());
            }
            let now: Vec<_> = askers.iter().map(|asker| site.asks(asker)).collect();
            for ((asker, before), now) in askers.iter().zip(&before).zip(&now) {
                prop_assert!(
                    is_no_more(*before, *now),
                    "{step:?} gives {:?} of {} {now:?} after {before:?}: {world:?}",
                    fingerprint(asker.key.key_data()), asker.user,
                );
            }
            before = now;
        }
    }
}
