//! Proving that a restore is the data that was backed up.

mod level;
mod report;

pub use level::Level;
pub use report::{
    Baseline, Budget, Class, Coverage, Exception, Mismatch, Mode, Origin, Report, State, Subject, Target,
    TargetKind,
};
