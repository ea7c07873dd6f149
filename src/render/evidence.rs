//! `icecore evidence`: what is there, and what was altered or taken away.

use crate::evidence::{Bundle, Examined, PublicKey, Wrong};
use crate::render::escape::escaped;
use crate::render::json::{self, Frame};
use crate::render::numbers::{count, rfc3339, to_the_second};
use crate::render::table::{self, wrapped};
use crate::render::{Format, Printer, Render, text_or_json};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

/// Bundles shown to people, the newest; programs get all of them.
const SHOWN: usize = 10;

/// Other entries of the directory shown to people.
const NAMED: usize = 5;

/// What no chain shows by itself.
const TAIL: &str = "A chain does not show that its newest bundles were cut off. Keep this anchor where whoever can write \
                    here cannot, or the bundles in an S3 bucket with Object Lock.";

/// What `icecore evidence key` made.
#[derive(Clone, Debug)]
#[must_use]
pub struct NewKey {
    /// The key.
    pub file: PathBuf,
    /// Its public half, as PEM.
    pub public_file: PathBuf,
    /// The same.
    pub public_key: PublicKey,
}

impl Render for NewKey {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, key_text, key_json)
    }
}

#[derive(Serialize)]
struct KeyView {
    file: String,
    public_file: String,
    public_key: String,
}

fn key_json(key: &NewKey, out: &mut dyn Write) -> io::Result<()> {
    let view = KeyView {
        file: key.file.display().to_string(),
        public_file: key.public_file.display().to_string(),
        public_key: key.public_key.to_string(),
    };
    json::object(out, "evidence-key", Frame { complete: true, requests: None, elapsed: None }, &view)
}

fn key_text(key: &NewKey, out: &mut dyn Write) -> io::Result<()> {
    let facts = [
        ("key", format!("{}, for --sign-key; whoever has it can make evidence", key.file.display())),
        ("public key", format!("{}, for evidence verify --public-key", key.public_file.display())),
        ("", key.public_key.to_string()),
    ];
    table::facts(out, &facts)
}

impl Render for Examined {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
    }
}

#[derive(Serialize)]
struct View<'a> {
    dir: String,
    bundles_total: u64,
    bundles_signed: u64,
    /// Bundles past the time until which they were to be believed.
    bundles_expired: u64,
    findings: Vec<FindingView<'a>>,
    /// The newest bundle and its hash: the anchor for next time.
    head: Option<u64>,
    head_sha256: Option<String>,
    /// The bundle that the anchor is the hash of; null where none was given or none has it.
    anchored: Option<u64>,
    /// Whether bundles behind the newest may have been cut off without a trace.
    tail_unproven: bool,
    public_keys: BTreeSet<String>,
    keys_known: bool,
    bundles: Vec<BundleView<'a>>,
    drafts: u64,
    /// Other names in the directory, which are not evidence.
    other_entries: &'a [String],
    disclaimers: Vec<String>,
}

#[derive(Serialize)]
struct FindingView<'a> {
    bundle: Option<u64>,
    wrong: &'static str,
    what: &'a str,
}

#[derive(Serialize)]
struct BundleView<'a> {
    number: u64,
    sha256: String,
    kept_at: Option<String>,
    expires_at: Option<String>,
    expired: bool,
    command: &'a str,
    report: Option<&'a str>,
    state: Option<&'a str>,
    verified: Option<&'a str>,
    host: Option<&'a str>,
    user: Option<&'a str>,
    /// Null in bundles of versions that took the user from the environment.
    uid: Option<u32>,
    /// Null where it is `uid`.
    effective_uid: Option<u32>,
    /// What the environment said, where that is another user.
    claimed_user: Option<&'a str>,
    principal_arn: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    public_key: Option<String>,
}

fn as_json(examined: &Examined, out: &mut dyn Write) -> io::Result<()> {
    let head = examined.head();
    let view = View {
        dir: examined.dir.display().to_string(),
        bundles_total: examined.bundles.len() as u64,
        bundles_signed: examined.signed(),
        bundles_expired: examined.expired(),
        findings: examined
            .findings
            .iter()
            .map(|finding| FindingView {
                bundle: finding.bundle,
                wrong: finding.wrong.as_str(),
                what: &finding.what,
            })
            .collect(),
        head: head.map(|head| head.statement.number),
        head_sha256: head.map(|head| head.hash.to_string()),
        anchored: examined.anchored,
        tail_unproven: is_tail_unproven(examined),
        public_keys: keys(examined),
        keys_known: examined.had_keys,
        bundles: examined.bundles.iter().map(|bundle| self::bundle(examined, bundle)).collect(),
        drafts: examined.drafts,
        other_entries: &examined.others,
        disclaimers: disclaimers(examined),
    };
    let frame = Frame { complete: true, requests: None, elapsed: None };
    json::stated(out, "evidence-verify", state(examined), frame, &view)
}

fn bundle<'a>(examined: &Examined, bundle: &'a Bundle) -> BundleView<'a> {
    let statement = &bundle.statement;
    BundleView {
        number: statement.number,
        sha256: bundle.hash.to_string(),
        kept_at: statement.kept_at.and_then(rfc3339),
        expires_at: statement.about.expires_at.and_then(rfc3339),
        expired: examined.is_expired(bundle),
        command: &statement.about.command,
        report: statement.report.as_deref(),
        state: statement.state.as_deref(),
        verified: statement.verified.as_deref(),
        host: statement.about.host.as_deref(),
        user: statement.about.user.as_deref(),
        uid: statement.about.uid,
        effective_uid: statement.about.effective_uid,
        claimed_user: statement.about.claimed_user.as_deref(),
        principal_arn: statement.about.principal_arn.as_deref(),
        labels: &statement.about.labels,
        public_key: statement.public_key.map(|key| key.to_string()),
    }
}

fn state(examined: &Examined) -> &'static str {
    match (examined.findings.is_empty(), examined.is_altered()) {
        (true, _) => "pass",
        (false, true) => "fail",
        (false, false) => "incomplete",
    }
}

fn is_tail_unproven(examined: &Examined) -> bool {
    examined.anchored.is_none() || examined.anchored != examined.head().map(|head| head.statement.number)
}

fn keys(examined: &Examined) -> BTreeSet<String> {
    let keys = examined.bundles.iter().filter_map(|bundle| bundle.statement.public_key);
    keys.map(|key| key.to_string()).collect()
}

/// What a pass does not show, in whole sentences.
fn disclaimers(examined: &Examined) -> Vec<String> {
    let mut sentences = Vec::new();
    if examined.signed() == 0 && !examined.bundles.is_empty() {
        sentences.push(
            "Nothing is signed: whoever can write here can make all of it anew, and only an anchor would show it."
                .to_owned(),
        );
    } else if !examined.had_keys && examined.signed() > 0 {
        sentences.push("Whose key it is was not checked: give --public-key for that.".to_owned());
    }
    if is_tail_unproven(examined) {
        sentences.push(TAIL.to_owned());
    }
    sentences
}

fn text(examined: &Examined, out: &mut dyn Write) -> io::Result<()> {
    let total = examined.bundles.len() as u64;
    let verdict = state(examined).to_uppercase();
    writeln!(out, "{verdict}  {} bundle{} in {}", count(total), plural(total), examined.dir.display())?;
    let mut facts = Vec::new();
    for finding in &examined.findings {
        // The chain as a whole has no number, and missing bundles name theirs.
        let at = finding.bundle.filter(|_| finding.wrong != Wrong::MissingBundle);
        let at = at.map(|number| format!("bundle {number}: ")).unwrap_or_default();
        facts.push(("wrong", format!("{at}{}", escaped(&finding.what))));
    }
    let signed = examined.signed();
    for (at, key) in keys(examined).into_iter().enumerate() {
        let what = if examined.had_keys { "signed by" } else { "signed by some key," };
        let n = if signed == total { "all".to_owned() } else { count(signed) };
        facts.push(if at == 0 { ("signatures", format!("{n} {what} {key}")) } else { ("", key) });
    }
    if examined.expired() > 0 {
        let live = examined.bundles.iter().rev().find(|bundle| !examined.is_expired(bundle));
        let rest = match live {
            Some(live) => format!("the newest that is not is bundle {}", live.statement.number),
            None => "what they tested is due again".to_owned(),
        };
        facts.push(("expired", format!("{} of {}; {rest}", count(examined.expired()), count(total))));
    }
    if let Some(number) = examined.anchored {
        facts.push(("anchor", format!("is bundle {number}: it and those before it are as they were")));
    }
    if let Some(head) = examined.head() {
        facts.push(("newest", format!("bundle {}, anchor {}", head.statement.number, head.hash)));
    }
    let disclaimers = disclaimers(examined);
    if !disclaimers.is_empty() {
        wrapped(&mut facts, "not shown", &disclaimers.join(" "));
    }
    if examined.drafts > 0 {
        facts.push(("drafts", format!("{} left by interrupted runs; not evidence", count(examined.drafts))));
    }
    if !examined.others.is_empty() {
        wrapped(&mut facts, "also here", &format!("{}; not evidence", named(&examined.others)));
    }
    table::facts(out, &facts)?;
    if examined.bundles.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows = examined.bundles.iter().rev().take(SHOWN).map(|bundle| {
        let statement = &bundle.statement;
        vec![
            format!("  {}", statement.number),
            statement.kept_at.map_or_else(|| "-".to_owned(), to_the_second),
            escaped(&statement.about.command),
            state_of(examined, bundle),
            escaped(statement.about.host.as_deref().unwrap_or("-")),
            bundle.hash.to_string()[..16].to_owned(),
        ]
    });
    table::rows(out, &["  BUNDLE", "KEPT", "COMMAND", "STATE", "HOST", "ANCHOR"], &[], rows)?;
    match examined.bundles.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  .. and {} before them", count(more as u64)),
    }
}

/// The first of these names, and how many more there are.
fn named(names: &[String]) -> String {
    let first: Vec<_> = names.iter().take(NAMED).map(|name| escaped(name)).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), count(more as u64)),
    }
}

/// `pass`, or `pass, expired`; of a report that holds a verification beside its own work `warm, verified fail`.
fn state_of(examined: &Examined, bundle: &Bundle) -> String {
    let statement = &bundle.statement;
    let mut state = statement.state.clone().unwrap_or_else(|| "-".to_owned());
    if let Some(verified) = &statement.verified {
        state += &format!(", verified {verified}");
    }
    if examined.is_expired(bundle) {
        state += ", expired";
    }
    escaped(&state)
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}
