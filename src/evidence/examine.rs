//! Looking whether evidence is as it was kept.

use crate::block::Digest;
use crate::disk::Disk;
use crate::evidence::chain::LONGEST;
use crate::evidence::draft::Draft;
use crate::evidence::statement::{Listed, Statement};
use crate::evidence::{PublicKey, SIGNATURE, STATEMENT, bundle, number};
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
    let last = names.iter().filter_map(|name| number(name)).max().unwrap_or(0);
    if last == 0 && trust.anchor.is_none() {
        let what = "there is no evidence here";
        return Err(Fault::new(Kind::NotFound, Place::File(dir.to_owned()), what)
            .hint("give the directory that --evidence named"));
    }
    let mut chain = Examination { disk, trust, findings: Vec::new(), bundles: Vec::new(), is_signed: false };
    let there: BTreeSet<u64> = names.iter().filter_map(|name| number(name)).collect();
    let mut expected = 1;
    for number in there {
        chain.missing(expected, number);
        chain.bundle(number, &bundle(dir, number)).map_err(failed)?;
        expected = number + 1;
    }
    let anchored = chain.anchored();
    let Examination { findings, bundles, .. } = chain;
    Ok(Examined {
        dir: dir.to_owned(),
        bundles,
        findings,
        anchored,
        had_anchor: trust.anchor.is_some(),
        had_keys: !trust.public_keys.is_empty(),
        drafts: names.iter().filter(|name| Draft::is_name(name)).count() as u64,
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

    fn bundle(&mut self, number: u64, path: &Path) -> io::Result<()> {
        let Some(bytes) = self.file(&path.join(STATEMENT))? else {
            self.say(number, Wrong::MissingFile, format!("{STATEMENT} is missing"));
            return Ok(());
        };
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
            self.listed(number, path, listed)?;
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
        match self.file(&path.join(SIGNATURE))? {
            None => self.say(number, Wrong::MissingSignature, format!("{SIGNATURE} is missing")),
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
        let before = self.bundles.last().filter(|before| before.statement.number + 1 == number);
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
        let found = if is_plain { self.hash(&path.join(&listed.name))? } else { None };
        match found {
            None => self.say(number, Wrong::MissingFile, format!("{} is missing", listed.name)),
            Some(found) if found != (listed.bytes, listed.sha256) => {
                self.say(number, Wrong::AlteredFile, format!("{} was altered", listed.name));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// A small file; `None` where there is none.
    fn file(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.disk.read(path, LONGEST) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            // Too long to be what it should be.
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Some(Vec::new())),
            read => read.map(Some),
        }
    }

    /// Length and SHA-256 of a file; `None` where there is none.
    fn hash(&self, path: &Path) -> io::Result<Option<(u64, Option<Digest>)>> {
        match self.disk.sha256(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            hashed => hashed.map(|(len, digest)| Some((len, Some(digest)))),
        }
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
