//! `icecore cost` and its subcommands.

mod span;

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access, Opened};
use crate::cost::archive::Use;
use crate::cost::retention::Retention;
use crate::cost::{Amount, PriceError, PriceTable, Prices, Usd};
use crate::disk::{Input, Limit};
use crate::fault::{Fault, Kind};
use crate::monitor::{Clock, Event, Monitor, SystemClock};
use crate::ops::cost::reconcile::BillError;
use crate::ops::cost::{self, GroupBy, Measured, Options, Report, Selection, What, compare, reconcile};
use crate::render::cost::earlier;
use crate::snapshot::{SnapshotId, Tag, VolumeId};
use clap::Subcommand;
use span::Span;
use std::path::{Path, PathBuf};

/// Show what every snapshot really costs, and what deleting, archiving or keeping would change
///
/// Reads listings only, no blocks. Whole lineages are modelled, whatever is shown of them. A figure with < may be
/// less, one with > is without what could not be listed, and ? is unknown. Nothing is deleted or moved.
#[derive(Debug, clap::Args)]
#[command(subcommand_precedence_over_arg = true, subcommand_help_heading = "Questions")]
pub(crate) struct Args {
    /// Only these; by default all of our own
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<SnapshotId>,

    #[command(flatten)]
    look: Look,

    /// Say what deleting this one would free, and what stands against it; repeat for several at once
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["archive", "keep", "max_gap", "save"])]
    delete: Vec<SnapshotId>,

    /// Say what archiving this one would change; repeat for several at once
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["keep", "max_gap", "save"])]
    archive: Vec<SnapshotId>,

    /// Find the N snapshots of each lineage that cost least to keep
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,

    /// With no longer than this between two, as in 7d or 12h
    #[arg(long, value_name = "TIME")]
    max_gap: Option<Span>,

    /// Saving so much a month, with as many as possible kept
    #[arg(long, value_name = "USD")]
    save: Option<Usd>,

    /// Sum up by tag:KEY, volume, account or region
    #[arg(long, value_name = "WHAT")]
    group_by: Option<GroupBy>,

    /// Only say how many requests, USD and minutes this would take
    #[arg(long, conflicts_with_all = ["delete", "archive", "keep", "max_gap", "save", "group_by", "fail_over"])]
    estimate: bool,

    /// Exit 1 when the month costs more than this, or may
    #[arg(long, value_name = "USD")]
    fail_over: Option<Usd>,

    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// List snapshots that nobody seems to need, and what stands against deleting them
    Orphans {
        /// Count those as well that are older than this, as in 90d
        #[arg(long, value_name = "TIME")]
        older_than: Option<Span>,
    },
    /// Say what a retention policy would keep of each volume's snapshots, those shown, and what that costs
    Retention {
        /// As Proxmox prunes: last, hourly, daily, weekly, monthly, yearly, each =N, as in daily=7,weekly=4
        #[arg(value_name = "POLICY")]
        policy: Retention,
    },
    /// Say of each snapshot whether archiving it would pay
    ArchiveAdvice {
        /// How often a year each will be restored
        #[arg(long, value_name = "N", default_value_t = 0)]
        restores_a_year: u32,
        /// For how many days each time
        #[arg(long, value_name = "DAYS", default_value_t = 7)]
        days_restored: u32,
    },
    /// Say what changed in the bill since an earlier report, and why
    Compare {
        /// What icecore cost --format json wrote
        #[arg(value_name = "REPORT")]
        report: PathBuf,
    },
    /// Hold the model against AWS's bill, snapshot by snapshot
    Reconcile {
        /// A cost and usage report or a FOCUS export, as CSV
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What to look at, and how hard.
#[derive(Debug, clap::Args)]
struct Look {
    /// Only those of this volume; repeat for several
    #[arg(long = "volume", value_name = "VOLUME", global = true)]
    volumes: Vec<VolumeId>,

    /// Only those with this tag; repeat to ask for several at once
    #[arg(long = "tag", value_name = "KEY=VALUE", global = true)]
    tags: Vec<Tag>,

    /// Compare a snapshot whose predecessor is not known with at most K others
    #[arg(long, value_name = "K", default_value_t = 8, global = true, value_parser = clap::value_parser!(u32).range(1..))]
    compare: u32,

    /// Take prices from FILE instead of the listed ones
    #[arg(long, value_name = "FILE", global = true)]
    prices: Option<PathBuf>,

    /// List everything anew, and keep nothing of it
    #[arg(long, global = true)]
    no_cache: bool,

    /// Stop after N list requests, 2 at least; the same command goes on from there
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u64).range(2..))]
    max_requests: Option<u64>,

    /// Stop after so much time, as in 10m; the same command goes on from there
    #[arg(long, value_name = "TIME", global = true)]
    deadline: Option<Span>,

    /// A Recycle Bin rule keeps what is deleted for so many days, 0 for none; unknown unless given
    #[arg(long, value_name = "DAYS", global = true, value_parser = clap::value_parser!(u32).range(..=365))]
    bin_days: Option<u32>,
}

impl Question {
    const fn name(&self) -> &'static str {
        match self {
            Self::Orphans { .. } => "orphans",
            Self::Retention { .. } => "retention",
            Self::ArchiveAdvice { .. } => "archive-advice",
            Self::Compare { .. } => "compare",
            Self::Reconcile { .. } => "reconcile",
        }
    }

    /// Flags typed before a question that it has no use for: whoever gave one expects something of it.
    fn refuse_unused(&self, args: &Args) -> Result<(), Complaint> {
        let sums_up = matches!(self, Self::Retention { .. });
        let given = [
            ("--delete", !args.delete.is_empty()),
            ("--archive", !args.archive.is_empty()),
            ("--keep", args.keep.is_some()),
            ("--max-gap", args.max_gap.is_some()),
            ("--save", args.save.is_some()),
            ("--estimate", args.estimate),
            ("--group-by", args.group_by.is_some() && !sums_up),
            ("--fail-over", args.fail_over.is_some() && !sums_up),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((flag, _)) => {
                let name = self.name();
                let what = format!("{flag} asks one thing and {name} another: give one of them");
                Err(Complaint::Usage(what))
            }
        }
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let Args { question, .. } = &args;
    if let Some(question) = question {
        question.refuse_unused(&args)?;
    }
    match question {
        Some(Question::Orphans { older_than }) => {
            let output = cx.output()?;
            let (place, measured) = measured(&args, cx).await?;
            let longest = older_than.map(Span::time);
            let report = measured.orphans(longest, &place.services, &place.engine).await?;
            output.show(&report)?;
            Ok(ending(Exit::Clean, report.fault.as_ref(), cx))
        }
        Some(Question::ArchiveAdvice { restores_a_year, days_restored }) => {
            let output = cx.output()?;
            let (_place, measured) = measured(&args, cx).await?;
            let expected = Use { restores_a_year: *restores_a_year, days_restored: *days_restored };
            let report = measured.archive_advice(expected);
            output.show(&report)?;
            Ok(ending(Exit::Clean, report.fault.as_ref(), cx))
        }
        Some(Question::Compare { report }) => {
            let output = cx.output()?;
            let unsuitable = |error| Complaint::Usage(format!("{}: {error}", report.display()));
            let earlier = earlier(&cx.read_text(report, REPORT_LIMIT)?).map_err(unsuitable)?;
            let (place, measured) = measured(&args, cx).await?;
            if earlier.region != place.region {
                let what = format!("{}: it is of Region {}", report.display(), earlier.region);
                return Err(Complaint::Usage(format!("{what}, not {}; give --region", place.region)));
            }
            let shown = &measured.selection;
            if let Some(selection) = earlier.selection.as_ref().filter(|selection| *selection != shown) {
                let what = format!("{}: it is of {selection}, not of {shown}", report.display());
                return Err(Complaint::Usage(format!("{what}; ask for the same, to compare like with like")));
            }
            let report = compare::compare(&earlier, measured.report(None, None));
            output.show(&report)?;
            Ok(ending(Exit::Clean, report.now.fault.as_ref(), cx))
        }
        Some(Question::Reconcile { file }) => {
            let output = cx.output()?;
            let is_stopped = || cx.stop().is_requested();
            let bill =
                reconcile::Bill::read(Input::open(file, &is_stopped)?).map_err(|error| match error {
                    BillError::Io(error) => Complaint::from(Input::fault(file, error)),
                    error => Complaint::Usage(format!("{}: {error}", file.display())),
                })?;
            let (_place, measured) = measured(&args, cx).await?;
            let report = reconcile::reconcile(&bill, measured.report(None, None), SystemClock.now());
            output.show(&report)?;
            Ok(ending(Exit::Clean, report.now.fault.as_ref(), cx))
        }
        None if args.estimate => {
            let output = cx.output()?;
            let place = open::open(cx, Access::Read).await?;
            let options = options(&args, &place, cx)?;
            output.show(&cost::estimate(&options, &place.services, &place.engine).await?)?;
            Ok(Exit::Clean)
        }
        Some(Question::Retention { policy }) => bill(&args, Some(What::Retain(*policy)), cx).await,
        None => bill(&args, what(&args), cx).await,
    }
}

async fn bill(args: &Args, what: Option<What>, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output::<Report>()?;
    let (place, measured) = measured(args, cx).await?;
    let what_if = match what {
        Some(what) => Some(measured.what_if(what, &place.services, &place.engine).await?),
        None => None,
    };
    let report = measured.report(args.group_by.as_ref(), what_if);
    output.show(&report)?;
    let is_over = args.fail_over.is_some_and(|limit| {
        let limit = Amount::from(limit);
        let may_be_over =
            report.totals.unknown > 0 || report.binned.as_ref().is_none_or(|binned| !binned.is_empty());
        if report.totals.usd <= limit && may_be_over {
            let note = "the known part is within --fail-over, but not all of the bill is known".to_owned();
            cx.progress().on(Event::Note(note));
        }
        report.totals.usd > limit || may_be_over
    });
    let is_blocked = report.what_if.as_ref().is_some_and(|answer| !answer.blockers.is_empty());
    let found = if is_over || is_blocked { Exit::Findings } else { Exit::Clean };
    Ok(ending(found, report.fault.as_ref(), cx))
}

fn what(args: &Args) -> Option<What> {
    if !args.delete.is_empty() {
        return Some(What::Delete(args.delete.clone()));
    }
    if !args.archive.is_empty() {
        return Some(What::Archive(args.archive.clone(), Use::default()));
    }
    (args.keep.is_some() || args.max_gap.is_some() || args.save.is_some()).then(|| What::Keep {
        count: args.keep.map(|n| n as usize),
        max_gap: args.max_gap.map(Span::millis),
        save: args.save,
    })
}

async fn measured(args: &Args, cx: &Context) -> Result<(Opened, Measured), Complaint> {
    let place = open::open(cx, Access::Read).await?;
    let options = options(args, &place, cx)?;
    let measured = cost::measure(&options, &place.services, &place.engine).await?;
    Ok((place, measured))
}

fn options(args: &Args, place: &Opened, cx: &Context) -> Result<Options, Complaint> {
    // What is asked about belongs to what is looked at.
    let named = args.snapshots.iter();
    let asked = if args.snapshots.is_empty() {
        [].iter().chain([].iter())
    } else {
        args.delete.iter().chain(args.archive.iter())
    };
    let ids = named.chain(asked).cloned().collect();
    Ok(Options {
        shown: Selection::of(ids, args.look.volumes.clone(), args.look.tags.clone()),
        prices: prices(args.look.prices.as_deref(), &place.region, cx)?,
        compare: args.look.compare as usize,
        keeps_listings: !args.look.no_cache,
        max_requests: args.look.max_requests,
        deadline: args.look.deadline.map(Span::time),
        bin_days: args.look.bin_days,
        verified: cost::verified(&place.engine)?,
    })
}

/// The Region's prices, from the table that was given or the listed one.
fn prices(file: Option<&Path>, region: &str, cx: &Context) -> Result<Prices, Complaint> {
    let refused = |error: PriceError| {
        let file = file.map(|path| format!("{}: ", path.display())).unwrap_or_default();
        Complaint::Usage(format!("{file}{error}"))
    };
    let table = match file {
        None => PriceTable::listed(),
        Some(path) => cx.read_text(path, PRICES_LIMIT)?.parse().map_err(refused)?,
    };
    table.region(region).map_err(refused)
}

/// Prices of all Regions, with room for comments.
const PRICES_LIMIT: Limit = Limit { of: "a price table", bytes: 1 << 20 };
/// Half a million snapshots at some 500 bytes each.
const REPORT_LIMIT: Limit = Limit { of: "a report of icecore cost", bytes: 256 << 20 };

/// Findings first, then the worst of what went wrong; a stop that was asked for is last.
fn ending(found: Exit, fault: Option<&Fault>, cx: &Context) -> Exit {
    let Some(fault) = fault else { return found };
    let advice = fault.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
    cx.progress().on(Event::Note(format!("not everything could be listed: {fault}{advice}")));
    match (found, fault.kind) {
        (Exit::Clean, Kind::Suspended) => Exit::Stopped,
        (Exit::Clean, kind) => Exit::of(kind, None),
        (found, _) => found,
    }
}
