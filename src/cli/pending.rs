//! Stands in for operations until they are there.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::fault::{Fault, Kind, Place};
use std::net::SocketAddr;
use std::path::Path;

fn missing() -> Fault {
    Fault::new(Kind::Refused, Place::Service, "this build cannot do that")
}

pub(crate) fn serve(_: SocketAddr, _: &Context) -> Result<Exit, Complaint> {
    Err(missing().into())
}

pub(crate) fn store_check(_: &Path, _: &Context) -> Result<Exit, Complaint> {
    Err(missing().into())
}

macro_rules! pending {
    ($($op:ident: $options:ty),*) => {$(
        pub(crate) mod $op {
            use crate::fault::Fault;
            use crate::ops::{Engine, Services};
            pub(crate) use crate::ops::$op::*;
            pub(crate) async fn run(_: &$options, _: &Services, _: &Engine) -> Result<Report, Fault> {
                Err(super::missing())
            }
        }
    )*};
}

pending!(
    list: crate::control::SnapshotQuery, show: crate::snapshot::SnapshotId, blocks: crate::snapshot::SnapshotId,
    export: Options, import: Options
);

pub(crate) mod diff {
    use crate::fault::Fault;
    pub(crate) use crate::ops::diff::*;
    use crate::ops::{Engine, Services};
    use crate::snapshot::SnapshotId;
    pub(crate) struct Options {
        pub(crate) snapshots: Vec<SnapshotId>,
        pub(crate) content: bool,
    }
    pub(crate) async fn run(options: &Options, _: &Services, _: &Engine) -> Result<Report, Fault> {
        let _ = (&options.snapshots, options.content);
        Err(super::missing())
    }
}
