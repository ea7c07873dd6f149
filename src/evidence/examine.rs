//! Looking whether evidence is as it was kept.

use crate::block::Digest;
use crate::disk::{Disk, Node};
use crate::evidence::chain::LONGEST;
use crate::evidence::draft::Draft;
use crate::evidence::entry::{self, Entry};
use crate::evidence::statement::{Listed, Statement};
use crate::evidence::{PublicKey, SIGNATURE, STATEMENT, bundle, is_numeric, number};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::UnixMillis;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is known from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The hash of a statement that this chain has to hold.
    pub anchor: Option<Digest>,
    /// Keys that may have signed it; with none, any key will do, and is only named.
    pub public_keys: Vec<PublicKey>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// A bundle is not there, though later ones are.
    MissingBundle,
    /// A name looks like a bundle's number and is none, or what has the number is no directory.
    NotABundle,
    /// A link, a directory or a pipe stands in the place of a bundle's file. It is not followed.
    NotAFile,
    /// A bundle or a file of it cannot be read, so that nothing is known of it.
    Unreadable,
    /// A file that a bundle names is not there.
    MissingFile,
    /// A file is not what the bundle says.
    AlteredFile,
    /// A bundle has a file that it does not name.
    AddedFile,
    /// A statement cannot be read as one, or is another bundle's.
    AlteredStatement,
    /// A bundle does not follow the one before it.
    BrokenChain,
    /// The signature is not there, though others are.
    MissingSignature,
    /// The signature is not one of this statement by the key that it names.
    BadSignature,
    /// It was signed by another key than those known.
    UnknownKey,
    /// No bundle has the hash of the anchor: the end was cut off, or all of it made anew.
    AnchorMissing,
}

impl Wrong {
    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingBundle => "missing_bundle",
            Self::NotABundle => "not_a_bundle",
            Self::NotAFile => "not_a_file",
            Self::Unreadable => "unreadable",
            Self::MissingFile => "missing_file",
            Self::AlteredFile => "altered_file",
            Self::AddedFile => "added_file",
            Self::AlteredStatement => "altered_statement",
            Self::BrokenChain => "broken_chain",
            Self::MissingSignature => "missing_signature",
            Self::BadSignature => "bad_signature",
            Self::UnknownKey => "unknown_key",
            Self::AnchorMissing => "anchor_missing",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which bundle; `None` of the chain as a whole.
    pub bundle: Option<u64>,
    /// What, for machines.
    pub wrong: Wrong,
    /// In one sentence.
    pub what: String,
}

/// A bundle that is there and whose statement can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// SHA-256 of its statement.
    pub hash: Digest,
    /// The statement.
    pub statement: Statement,
}

/// What a directory of evidence holds, and what is wrong with it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Examined {
    /// The directory.
    pub dir: PathBuf,
    /// Bundles that can be read, ascending.
    pub bundles: Vec<Bundle>,
    /// What is wrong, by bundle.
    pub findings: Vec<Finding>,
    /// The bundle whose hash the anchor is.
    pub anchored: Option<u64>,
    /// Whether an anchor was given.
    pub had_anchor: bool,
    /// Whether public keys were given.
    pub had_keys: bool,
    /// What runs left that were interrupted: not evidence, and not counted as missing.
    pub drafts: u64,
    /// Other names in the directory, in order: not evidence, and not looked at.
    pub others: Vec<String>,
    /// When it was looked at.
    pub at: UnixMillis,
}

impl Examined {
    /// The newest bundle: the anchor for next time.
    pub fn head(&self) -> Option<&Bundle> {
        self.bundles.last()
    }

    /// Whether a bundle is past the time until which it was to be believed: it is as it was kept, and proves nothing of
    /// today.
    pub fn is_expired(&self, bundle: &Bundle) -> bool {
        bundle.statement.about.expires_at.is_some_and(|end| end.0 <= self.at.0)
    }

    /// Whether something is not as it was kept, or not there; what only cannot be read may be as it was.
    pub fn is_altered(&self) -> bool {
        self.findings.iter().any(|finding| finding.wrong != Wrong::Unreadable)
    }

    /// How many bundles are past their time.
    pub fn expired(&self) -> u64 {
        self.bundles.iter().filter(|bundle| self.is_expired(bundle)).count() as u64
    }

    /// How many bundles carry a signature.
    pub fn signed(&self) -> u64 {
        self.bundles.iter().filter(|bundle| bundle.statement.public_key.is_some()).count() as u64
    }
}

/// Reads all of it: each file, each signature, each link. What has expired is judged by `now`.
///
/// # Errors
/// `NotFound` where there is no evidence at all and no anchor that misses it; `Local` where something cannot be read.
pub fn examine(disk: &dyn Disk, dir: &Path, trust: &Trust, now: UnixMillis) -> Result<Examined, Fault> {
    let failed = |error: io::Error| Fault::local(dir, "read the evidence", error);
    let names = match disk.names(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        names => names.map_err(failed)?,
    };
    if !names.iter().any(|name| is_numeric(name)) && trust.anchor.is_none() {
        let what = "there is no evidence here";
        return Err(Fault::new(Kind::NotFound, Place::File(dir.to_owned()), what)
            .hint("give the directory that --evidence named"));
    }
    let mut chain = Examination { disk, trust, findings: Vec::new(), bundles: Vec::new(), is_signed: false };
    let (numeric, mut others): (BTreeSet<String>, Vec<String>) = {
        let (numeric, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_numeric(name));
        (numeric.into_iter().collect(), others)
    };
    chain.strays(numeric.iter().filter(|name| number(name).is_none()));
    let there: BTreeSet<u64> = numeric.iter().filter_map(|name| number(name)).collect();
    let mut expected = Some(1);
    for number in there {
        chain.missing(expected.unwrap_or(number), number);
        let path = bundle(dir, number);
        if let Err(error) = chain.bundle(number, &path) {
            chain.unreadable(number, &error);
        }
        expected = number.checked_add(1);
    }
    let drafts = others.iter().filter(|name| Draft::is_name(name)).count() as u64;
    others.retain(|name| !Draft::is_name(name));
    others.sort();
    let anchored = chain.anchored();
    let Examination { findings, bundles, .. } = chain;
    Ok(Examined {
        dir: dir.to_owned(),
        bundles,
        findings,
        anchored,
        had_anchor: trust.anchor.is_some(),
        had_keys: !trust.public_keys.is_empty(),
        drafts,
        others,
        at: now,
    })
}

struct Examination<'a> {
    disk: &'a dyn Disk,
    trust: &'a Trust,
    findings: Vec<Finding>,
    bundles: Vec<Bundle>,
    /// An earlier bundle was signed.
    is_signed: bool,
}

impl Examination<'_> {
    fn say(&mut self, bundle: u64, wrong: Wrong, what: impl Into<String>) {
        self.findings.push(Finding { bundle: Some(bundle), wrong, what: what.into() });
    }

    /// Bundles from `first` to before `next` are not there.
    fn missing(&mut self, first: u64, next: u64) {
        match next - first {
            0 => {}
            1 => self.say(first, Wrong::MissingBundle, format!("bundle {first} is missing")),
            _ => {
                let what = format!("bundles {first} to {} are missing", next - 1);
                self.say(first, Wrong::MissingBundle, what);
            }
        }
    }

    /// Names that look like numbers of bundles, as a bundle's would after an overflow.
    fn strays<'n>(&mut self, names: impl Iterator<Item = &'n String>) {
        for name in names {
            let shown: String = name.chars().take(40).collect();
            let what = format!("{shown} is no number of a bundle: they are written from 000001 on");
            self.findings.push(Finding { bundle: None, wrong: Wrong::NotABundle, what });
        }
    }

    /// What cannot be read is neither altered nor as it was; the rest is looked at all the same.
    fn unreadable(&mut self, number: u64, error: &io::Error) {
        self.say(number, Wrong::Unreadable, format!("it cannot be read: {error}"));
    }

    fn bundle(&mut self, number: u64, path: &Path) -> io::Result<()> {
        if self.disk.entry(path)?.is_none_or(|entry| entry.node != Node::Dir) {
            let what = "it is a link, a file or a pipe, and no directory; it is not followed";
            self.say(number, Wrong::NotABundle, what);
            return Ok(());
        }
        let Some(bytes) = self.small(number, path, STATEMENT, Wrong::MissingFile)? else { return Ok(()) };
        let statement = match Statement::decode(&bytes) {
            Ok(statement) if statement.number == number => statement,
            Ok(other) => {
                let what = format!("its statement is that of bundle {}", other.number);
                self.say(number, Wrong::AlteredStatement, what);
                return Ok(());
            }
            Err(why) => {
                self.say(number, Wrong::AlteredStatement, format!("{STATEMENT} is not a statement: {why}"));
                return Ok(());
            }
        };
        self.signature(number, path, &bytes, statement.public_key)?;
        self.link(number, &statement);
        for listed in &statement.files {
            if let Err(error) = self.listed(number, path, listed) {
                self.say(number, Wrong::Unreadable, format!("{} cannot be read: {error}", listed.name));
            }
        }
        let is_known = |name: &str| {
            [STATEMENT, SIGNATURE].contains(&name) || statement.files.iter().any(|file| file.name == name)
        };
        let mut added: Vec<_> = self.disk.names(path)?.into_iter().filter(|name| !is_known(name)).collect();
        added.sort();
        for name in added {
            self.say(number, Wrong::AddedFile, format!("{name} is not named by its statement"));
        }
        self.bundles.push(Bundle { hash: Digest::of(&bytes), statement });
        Ok(())
    }

    fn signature(
        &mut self,
        number: u64,
        path: &Path,
        statement: &[u8],
        key: Option<PublicKey>,
    ) -> io::Result<()> {
        let Some(key) = key else {
            if self.is_signed || !self.trust.public_keys.is_empty() {
                self.say(number, Wrong::MissingSignature, "it is not signed");
            }
            return Ok(());
        };
        self.is_signed = true;
        match self.small(number, path, SIGNATURE, Wrong::MissingSignature)? {
            None => {}
            Some(signature) if !key.has_signed(statement, &signature) => {
                let what = format!("{STATEMENT} or {SIGNATURE} was altered: the signature does not fit");
                self.say(number, Wrong::BadSignature, what);
            }
            Some(_) if !self.trust.public_keys.is_empty() && !self.trust.public_keys.contains(&key) => {
                self.say(number, Wrong::UnknownKey, format!("it is signed by another key, {key}"));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The statement before, where it can be read, has to be the one that this one means.
    fn link(&mut self, number: u64, statement: &Statement) {
        let before =
            self.bundles.last().filter(|before| before.statement.number.checked_add(1) == Some(number));
        let (before, previous) = (before.map(|before| before.hash), statement.previous);
        let what = match (before, previous) {
            (Some(before), Some(previous)) if before != previous => {
                format!("bundle {} is not the one that it followed", number - 1)
            }
            (Some(_), None) => format!("it follows no bundle, but should follow {}", number - 1),
            (None, Some(_)) if number == 1 => "it followed another bundle, and is the first now".to_owned(),
            _ => return,
        };
        self.say(number, Wrong::BrokenChain, what);
    }

    fn listed(&mut self, number: u64, path: &Path, listed: &Listed) -> io::Result<()> {
        // What a statement says is not to lead anywhere else.
        let is_plain = !listed.name.contains('/') && listed.name != "..";
        let found = match is_plain {
            true => entry::has(self.disk, &path.join(&listed.name), listed.bytes, listed.sha256)?,
            false => Entry::Missing,
        };
        let name = &listed.name;
        match found {
            Entry::Missing => self.say(number, Wrong::MissingFile, format!("{name} is missing")),
            Entry::NotAFile => self.not_a_file(number, name),
            Entry::File(false) => self.say(number, Wrong::AlteredFile, format!("{name} was altered")),
            Entry::File(true) => {}
        }
        Ok(())
    }

    fn not_a_file(&mut self, number: u64, name: &str) {
        let what = format!("{name} is a link, a directory or a pipe, and no file; it is not followed");
        self.say(number, Wrong::NotAFile, what);
    }

    /// A small file of a bundle, empty where it is too long to be what it should be; `None` where there is none, which is
    /// said.
    fn small(&mut self, number: u64, path: &Path, name: &str, wrong: Wrong) -> io::Result<Option<Vec<u8>>> {
        Ok(match entry::read(self.disk, &path.join(name), LONGEST)? {
            Entry::File(bytes) => Some(bytes.unwrap_or_default()),
            Entry::NotAFile => {
                self.not_a_file(number, name);
                None
            }
            Entry::Missing => {
                self.say(number, wrong, format!("{name} is missing"));
                None
            }
        })
    }

    /// The bundle that is the anchor; a finding where none is.
    fn anchored(&mut self) -> Option<u64> {
        let anchor = self.trust.anchor?;
        let found = self.bundles.iter().find(|bundle| bundle.hash == anchor);
        let number = found.map(|bundle| bundle.statement.number);
        if number.is_none() {
            let what = "no bundle has the anchor's hash: the newest were cut off, or the chain was made anew";
            self.findings.push(Finding { bundle: None, wrong: Wrong::AnchorMissing, what: what.to_owned() });
        }
        number
    }
}
