//! Bad days: whatever goes wrong with the service, the process, the power or the disk, the right bytes or a fault of
//! the right kind, and never a hang.

mod crash;
mod engine;
mod local;
mod matrix;
mod process;
mod redone;
mod since;
mod tokens;
mod wire;
mod world;
