//! Turns what was typed into a place to work on, and nothing else.

use crate::aws::{self, Deadlines, Session};
use crate::cli::args::Global;
use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::settings;
use crate::cost::Usd;
use crate::endpoint::{self, Running, Shelves};
use crate::fault::{Fault, Kind, Place};
use crate::ops::{Engine, Services};
use crate::pipeline::{Renew, Settings};
use crate::store::{Store, StoreWriter};
use futures_util::future::FutureExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a command does with the snapshots of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only reads: a local store must be there, and is not locked.
    Read,
    /// Adds to them: a local store is made where there is none, and nobody else writes to it meanwhile.
    Write,
}

/// A place, and how it is asked.
#[derive(Debug)]
pub(crate) struct Opened {
    pub services: Services,
    pub engine: Engine,
    /// Where it is, or stands for being.
    pub region: String,
    /// The directory of the store, where the place is one.
    pub local: Option<PathBuf>,
    /// The endpoint in front of a local store; it stops when this is dropped.
    _endpoint: Option<Running>,
}

/// What a run may cost where nothing was said.
const MAX_USD: Usd = Usd::from_dollars(10);

/// Opens the place that the global options name.
pub(crate) async fn open(cx: &Context, access: Access) -> Result<Opened, Complaint> {
    open_as(cx, cx.global(), access, settings::state_dir(cx.global())?).await
}

/// Opens the place that the global options name for a command that keeps nothing: it needs no state directory.
pub(crate) async fn open_stateless(cx: &Context) -> Result<Opened, Complaint> {
    open_as(cx, cx.global(), Access::Read, PathBuf::new()).await
}

/// Opens another place for reading: the same options, but for another Region or profile.
pub(crate) async fn open_elsewhere(
    cx: &Context,
    region: Option<&str>,
    profile: Option<&str>,
) -> Result<Opened, Complaint> {
    let mut global = cx.global().clone();
    global.region = region.map(str::to_owned).or(global.region);
    global.profile = profile.map(str::to_owned).or(global.profile);
    let state_dir = settings::state_dir(&global)?;
    open_as(cx, &global, Access::Read, state_dir).await
}

async fn open_as(
    cx: &Context,
    global: &Global,
    access: Access,
    state_dir: PathBuf,
) -> Result<Opened, Complaint> {
    // Credentials may come from slow services; whoever interrupts that gets their prompt back.
    let (session, label, endpoint) = tokio::select! {
        found = find(global, access) => found?,
        () = cx.stop().requested() => {
            return Err(Fault::new(Kind::Interrupted, Place::Program, "interrupted before anything was asked").into());
        }
    };
    let settings = settings::settings(global, state_dir, session.is_aws(), session.region());
    let engine = Engine::new(settings, Arc::clone(cx.progress()) as _, cx.stop().clone());
    cx.progress().keep_saying();
    let services = Services::reached(&session, label, global.max_usd.unwrap_or(MAX_USD));
    let region = session.region().to_owned();
    let local = global.local.clone();
    if local.is_none() {
        cx.works_on(session.clone());
    }
    Ok(Opened { services, engine: engine.renewing(renewal(session)), region, local, _endpoint: endpoint })
}

/// An engine for work that asks no service.
pub(crate) fn local_engine(cx: &Context) -> Engine {
    cx.progress().keep_saying();
    in_state(cx, PathBuf::new())
}

/// The same, able to go on where an interrupted run stopped.
pub(crate) fn resumable_engine(cx: &Context) -> Result<Engine, Complaint> {
    cx.progress().keep_saying();
    Ok(in_state(cx, settings::state_dir(cx.global())?))
}

fn in_state(cx: &Context, state_dir: PathBuf) -> Engine {
    let global = cx.global();
    let settings = Settings {
        trusts_state_dir: global.trust_state_dir,
        trusts_resumed: global.trust_resumed,
        ..Settings::open(state_dir)
    };
    Engine::new(settings, Arc::clone(cx.progress()) as _, cx.stop().clone())
}

/// A session, what the place is called in checkpoints, and the endpoint started for it.
async fn find(global: &Global, access: Access) -> Result<(Session, String, Option<Running>), Complaint> {
    match (&global.local, &global.endpoint_url) {
        (Some(_), Some(_)) => {
            let what = "--local (or ICECORE_LOCAL) and --endpoint-url name two places; give one of them";
            Err(Complaint::Usage(what.to_owned()))
        }
        (Some(dir), None) => {
            let (session, endpoint) = local(dir, global.region.as_deref(), access).await?;
            let dir = dir.canonicalize().unwrap_or_else(|_| dir.clone());
            Ok((session, format!("local:{}", dir.display()), Some(endpoint)))
        }
        (None, url) => {
            let session = Session::load(aws::Options {
                region: global.region.clone(),
                profile: global.profile.clone(),
                endpoint_url: url.clone(),
                deadlines: Deadlines::default(),
            })
            .await?;
            let label = url.clone().unwrap_or_else(|| settings::label(global, &session));
            Ok((session, label, None))
        }
    }
}

/// A store behind an endpoint of our own, which lets in nobody but us.
async fn local(dir: &Path, region: Option<&str>, access: Access) -> Result<(Session, Running), Complaint> {
    let shelves = match access {
        Access::Read => Shelves::shown_from(Arc::new(Store::open(dir)?)),
        Access::Write => Shelves::kept_in(Arc::new(StoreWriter::open_or_create(dir, &who("import"))?)),
    };
    // Whoever has put snapshots into one Region only, through an endpoint, need not name it.
    let region = region.map(str::to_owned).or_else(|| shelves.region());
    let key = endpoint::random_access_key()?;
    let config = endpoint::Config { access_key: Some(key.clone()), ..endpoint::Config::default() };
    let running = endpoint::start(config, shelves).await?;
    let keys = aws::Local {
        url: running.url(),
        access_key_id: key.clone(),
        secret_access_key: key,
        region: region.unwrap_or_else(|| "us-east-1".to_owned()),
    };
    Ok((Session::local(keys, Deadlines::default())?, running))
}

/// How a writer of a store is named to the next one that would like to be.
pub(crate) fn who(command: &str) -> String {
    format!("icecore {command}, pid {}", std::process::id())
}

/// Called before a request, it notes which credentials will sign that; what it returns loads them again, unless
/// somebody else has done so since.
fn renewal(session: Session) -> Renew {
    Arc::new(move || {
        let (session, seen) = (session.clone(), session.generation());
        Box::new(move || async move { session.refresh(seen).await }.boxed())
    })
}
