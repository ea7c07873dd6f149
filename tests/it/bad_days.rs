//! Bad days of the service: whatever goes wrong, the right bytes or a fault of the right kind, and never a hang.

mod engine;
mod matrix;
mod tokens;
mod wire;
