//! What every bench measures with: medians, and what the system says of a process.
//!
//! Figures on shared machines vary by a tenth from run to run, so each bench compares within one run, takes turns
//! between what it compares, and prints medians.

#![allow(dead_code, reason = "each bench uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]
#![allow(clippy::disallowed_methods, reason = "real time is what a bench measures")]

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Seconds that the work takes.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The middle one, or the upper of the two in the middle.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Runs the work again and again for this long, at least three times; the median of the seconds it took.
pub(crate) fn typical(budget: Duration, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut took = Vec::new();
    while took.len() < 3 || start.elapsed() < budget {
        took.push(seconds(&mut work));
    }
    median(took)
}

/// Gigabytes a second, of 10^9 bytes.
pub(crate) fn gb_per_second(bytes: usize, seconds: f64) -> f64 {
    bytes as f64 / 1e9 / seconds
}

/// CPU seconds of this process and of its children that have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) own: f64,
    pub(crate) children: f64,
}

impl Cpu {
    pub(crate) fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        // The second field may hold spaces; what follows its closing bracket does not.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // utime, stime, cutime and cstime are fields 14 to 17 of proc(5), in hundredths of a second.
        let ticks = |at: usize| fields[at - 3].parse::<f64>().unwrap() / 100.0;
        Self { own: ticks(14) + ticks(15), children: ticks(16) + ticks(17) }
    }
}

/// A size of a process in MiB, as `/proc/PID/status` names it; 0 once the process has ended.
pub(crate) fn memory(pid: &str, what: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Forgets the largest size that this process has had, so that the next one is the next stage's.
pub(crate) fn forget_peak() {
    // Where that is not allowed, peaks include what came before: too large, never too small.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// What one run of a program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    /// Largest resident size in MiB.
    pub(crate) peak: f64,
}

/// Runs a program to its end; it must succeed.
pub(crate) fn run(command: &mut Command) -> Run {
    let (ran, status) = ended(command.stdout(Stdio::null()));
    assert!(status.success(), "{command:?}: {status}");
    ran
}

/// The same, to whatever end, its output where the command sends it.
pub(crate) fn ended(command: &mut Command) -> (Run, ExitStatus) {
    let (start, before) = (Instant::now(), Cpu::now().children);
    let mut child = command.spawn().unwrap();
    let (pid, mut peak) = (child.id().to_string(), 0.0_f64);
    let status = loop {
        peak = peak.max(memory(&pid, "VmHWM"));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let cpu_seconds = Cpu::now().children - before;
    (Run { seconds: start.elapsed().as_secs_f64(), cpu_seconds, peak }, status)
}

/// What openssl says of itself, in GB/s; `None` where it is not installed.
pub(crate) fn openssl(threads: u32) -> Option<f64> {
    let multi = threads.to_string();
    let words = ["speed", "-evp", "sha256", "-bytes", "524288", "-seconds", "1", "-multi", &multi];
    let output = Command::new("openssl").args(words).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The last line: the name, and thousands of bytes a second with a k.
    let line = text.lines().rev().find(|line| line.to_ascii_lowercase().starts_with("sha256"))?;
    Some(line.split_whitespace().last()?.trim_end_matches('k').parse::<f64>().ok()? / 1e6)
}
