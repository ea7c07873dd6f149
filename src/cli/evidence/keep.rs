//! Keeping a command's report as evidence.

use crate::block::Digest;
use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::evidence::user::User;
use crate::cli::log::NOTE;
use crate::cli::spelled::Days;
use crate::disk::{Disk, RealDisk};
use crate::evidence::{About, Attachment, Chain, Kept, Key};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::render::{Format, Render};
use crate::snapshot::{Tag, UnixMillis};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether evidence is kept, and how. For flattening into the arguments of a command that makes a report.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct KeepArgs {
    /// Keep the report in DIR as evidence, also of a run that failed
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,

    /// Sign it with this key, and what verifications enter into the ledger; icecore evidence key makes one
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,

    /// Note this in it: a ticket, an owner, the control that asks for the test
    #[arg(long, value_name = "KEY=VALUE", requires = "evidence")]
    evidence_label: Vec<Tag>,

    /// Note that it is to be believed for so many days, as in 90d
    #[arg(long, value_name = "DAYS", requires = "evidence")]
    evidence_expires: Option<Days>,
}

/// A place for one report.
#[derive(Debug)]
pub(crate) struct Keeper {
    chain: Chain,
    about: About,
    expires: Option<Days>,
}

impl KeepArgs {
    /// Looks before the work whether evidence can be kept; `None` where none is asked for.
    pub(crate) fn open(&self, command: &str) -> Result<Option<Keeper>, Complaint> {
        let Some(dir) = &self.evidence else {
            // A run that is resumed enters what it was begun with.
            return match command == "resume" && self.sign_key.is_some() {
                true => Err(Complaint::Usage("--sign-key needs --evidence here".to_owned())),
                false => Ok(None),
            };
        };
        let disk = Arc::new(RealDisk::default());
        let key = self.key()?;
        let mut keeper = Keeper::new(disk, dir, key, command)?;
        let labels = self.evidence_label.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
        keeper.about.labels = labels.collect();
        keeper.expires = self.evidence_expires;
        Ok(Some(keeper))
    }

    /// Reads the key to sign with, where one is given.
    pub(crate) fn key(&self) -> Result<Option<Key>, Complaint> {
        Ok(self.sign_key.as_ref().map(|file| Key::read(&RealDisk::default(), file)).transpose()?)
    }
}

impl Keeper {
    /// A place in this directory for the reports of a command, without labels and end.
    pub(crate) fn new(
        disk: Arc<RealDisk>,
        dir: &Path,
        key: Option<Key>,
        command: &str,
    ) -> Result<Self, Fault> {
        let user = User::current(&*disk);
        let about = About {
            command: command.to_owned(),
            tool: concat!("icecore ", env!("CARGO_PKG_VERSION")).to_owned(),
            tool_sha256: program(&*disk),
            host: std::fs::read_to_string("/proc/sys/kernel/hostname")
                .ok()
                .map(|name| name.trim().to_owned()),
            user: user.name,
            uid: Some(user.uid),
            effective_uid: user.effective_uid,
            claimed_user: user.claimed,
            principal_arn: None,
            expires_at: None,
            labels: BTreeMap::new(),
        };
        let chain = Chain::open(disk, dir, key)?;
        Ok(Self { chain, about, expires: None })
    }

    /// Keeps a report as the next bundle.
    pub(crate) fn keep<R: Render>(
        &self,
        report: &R,
        others: &[Attachment<'_>],
        principal_arn: Option<String>,
    ) -> Result<Kept, Fault> {
        let json = R::printer(Format::Json)
            .ok_or_else(|| Fault::new(Kind::Unsuitable, Place::Program, "this report has no JSON to keep"))?;
        let now = SystemClock.now();
        let expires_at = self.expires.map(|days| after(now, days));
        let about = About { principal_arn, expires_at, ..self.about.clone() };
        self.chain.keep(&about, &|out| json(report, out), others, now)
    }
}

/// Keeps the report, where there is a place for it, and says where. The report is to be shown also when this fails: what
/// it says then is for the caller to add that it was not kept.
pub(crate) async fn keep<R: Render>(
    keeper: Option<&Keeper>,
    report: &R,
    others: &[Attachment<'_>],
    cx: &Context,
) -> Result<Option<Kept>, Complaint> {
    let Some(keeper) = keeper else { return Ok(None) };
    cx.progress().finish();
    let kept = keeper.keep(report, others, cx.principal().await)?;
    let (number, path) = (kept.number, kept.path.display());
    tracing::info!(target: NOTE, "evidence: bundle {number} in {path}, anchor {}", kept.hash);
    Ok(Some(kept))
}

fn after(now: UnixMillis, Days(days): Days) -> UnixMillis {
    UnixMillis(now.0 + i64::from(days) * 86_400_000)
}

/// SHA-256 of this program's file.
fn program(disk: &dyn Disk) -> Option<Digest> {
    let (_, digest) = disk.sha256(&std::env::current_exe().ok()?).ok()?;
    Some(digest)
}
