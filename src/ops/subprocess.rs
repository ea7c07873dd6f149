//! Commands that a user gives to be run: hooks of drills, `--slo-cmd`.
//!
//! A [`run`] ends within its timeout together with every process that the command began, also those that left its
//! process group or session, or whose parents are gone: this program is their subreaper (prctl(2),
//! `PR_SET_CHILD_SUBREAPER`), so that they become its children instead of init's. Of the output the last 64 KiB are
//! kept. Unless asked for, the command gets no credentials of AWS.

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of output that are kept: the last ones.
pub const KEPT_BYTES: usize = 64 << 10;

/// Variables with credentials, or with the way to them; not given to a command unless asked for. `AWS_PROFILE`,
/// `AWS_REGION` and `HOME` stay.
pub const CREDENTIALS: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// Set in every command's environment: by it, processes are found again whose parents are gone.
const MARK: &str = "ICECORE_SUBPROCESS";

/// The time between two looks at whether the command has ended, and at what it has begun.
const LOOK: Duration = Duration::from_millis(10);
const SURVEY: Duration = Duration::from_millis(200);
/// The time that ending all processes, and reading what is left of the output, may take.
const GRACE: Duration = Duration::from_secs(2);

/// The commands that run now, by process id.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A command line for `/bin/sh`, and whether it gets the credentials of this program.
pub fn shell(line: &str, gets_credentials: bool) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]);
    if !gets_credentials {
        for name in CREDENTIALS {
            command.env_remove(name);
        }
    }
    command
}

/// The end of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` where a signal ended it, or its timeout.
    pub code: Option<i32>,
    /// The last [`KEPT_BYTES`] of its output.
    pub output: Vec<u8>,
    /// Whether there was more output.
    pub is_cut: bool,
    /// Processes that it began and that could not be ended.
    pub left_processes: usize,
}

/// Runs a command with its standard output and, with `and_errors`, its standard error read; blocks until it has ended, by
/// itself or because its time is over or `is_stopped` says so.
///
/// # Errors
/// Where it cannot be started.
pub fn run(
    mut command: Command,
    and_errors: bool,
    timeout: Duration,
    is_stopped: &dyn Fn() -> bool,
) -> io::Result<Ended> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mark = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    // Where the kernel has no subreapers, what is left is found by its mark alone.
    let _ = set_child_subreaper(Some(getpid()));
    let (reader, writer) = io::pipe()?;
    let errors = if and_errors { Stdio::from(writer.try_clone()?) } else { Stdio::null() };
    command.stdin(Stdio::null()).stdout(writer).stderr(errors).process_group(0).env(MARK, &mark);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    // The command holds the writing end as well; without it the reader would never see the end.
    drop(command);
    let root = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let mut family = Family::of(root, &mark);
    let (tail, is_read) = listen(reader);
    let status = ended(&mut child, &mut family, begun + timeout, is_stopped);
    let left_processes = family.end(&mut child);
    let status = status?;
    // Somebody may hold the pipe who is no process of the command's: nothing more is read then.
    let _ = is_read.recv_timeout(GRACE);
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Ended {
        code: status.and_then(|status| status.code()),
        output: tail.bytes.clone(),
        is_cut: tail.is_cut,
        left_processes,
    })
}

/// Waits for the end of the command; `None` where its time is over.
fn ended(
    child: &mut Child,
    family: &mut Family,
    deadline: Instant,
    is_stopped: &dyn Fn() -> bool,
) -> io::Result<Option<ExitStatus>> {
    let mut surveyed = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline || is_stopped() {
            return Ok(None);
        }
        if surveyed.elapsed() >= SURVEY {
            family.survey();
            surveyed = Instant::now();
        }
        thread::park_timeout(LOOK);
    }
}

/// The end of an output.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    fn add(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        let over = self.bytes.len().saturating_sub(KEPT_BYTES);
        self.is_cut |= over > 0;
        self.bytes.drain(..over);
    }
}

/// Reads an output on a thread of its own; the receiver hears of its end.
fn listen(mut reader: PipeReader) -> (Arc<Mutex<Tail>>, Receiver<()>) {
    let (tail, (done, is_read)) = (Arc::new(Mutex::new(Tail::default())), channel());
    let kept = Arc::clone(&tail);
    thread::spawn(move || {
        let mut piece = [0; 8192];
        while let Ok(n_bytes @ 1..) = reader.read(&mut piece) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).add(&piece[..n_bytes]);
        }
        let _ = done.send(());
    });
    (tail, is_read)
}

/// A process as /proc shows it (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug)]
struct Process {
    pid: i32,
    is_zombie: bool,
    parent: i32,
    group: i32,
    /// With the id it names one process and no later one of the same id.
    started: u64,
}

impl Process {
    fn parse(stat: &str) -> Option<Self> {
        // A name may hold blanks and brackets.
        let (head, rest) = stat.rsplit_once(')')?;
        let pid = head.split(' ').next()?.parse().ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            is_zombie: matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    fn all() -> Vec<Self> {
        let nodes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let is_pid = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        nodes
            .filter_map(|node| node.file_name().into_string().ok())
            .filter(|name| is_pid(name))
            .filter_map(|pid| Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
            .collect()
    }

    /// Whether it was started with this variable.
    fn has(&self, variable: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    }
}

/// A command's process and all that it began.
#[derive(Debug)]
struct Family {
    root: i32,
    mark: String,
    /// Members that were seen, the root not included.
    known: BTreeMap<i32, u64>,
}

impl Family {
    fn of(root: i32, mark: &str) -> Self {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(root);
        Self { root, mark: format!("{MARK}={mark}"), known: BTreeMap::new() }
    }

    /// Finds the members that there are now, the root not included.
    fn survey(&mut self) -> Vec<Process> {
        let all = Process::all();
        let us = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        let our_group = all.iter().find(|process| process.pid == us).map(|process| process.group);
        let (running, alone) = {
            let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            (running.clone(), running.len() == 1)
        };
        // A child of ours that is nobody's command was begun by a command and lost its parent. Whose it was shows in its
        // environment; where that was emptied, it is this command's if there is no other, since this program's own
        // children stay in its process group.
        let is_adopted = |process: &Process| {
            process.parent == us
                && !running.contains(&process.pid)
                && (process.has(&self.mark) || alone && Some(process.group) != our_group)
        };
        let mut members: BTreeMap<i32, Process> = all
            .iter()
            .filter(|process| process.pid != self.root)
            .filter(|process| self.known.get(&process.pid) == Some(&process.started) || is_adopted(process))
            .map(|process| (process.pid, *process))
            .collect();
        loop {
            let is_child = |process: &&Process| {
                (process.parent == self.root || members.contains_key(&process.parent))
                    && process.pid != self.root
                    && !members.contains_key(&process.pid)
            };
            let found: Vec<Process> = all.iter().filter(is_child).copied().collect();
            if found.is_empty() {
                break;
            }
            members.extend(found.into_iter().map(|process| (process.pid, process)));
        }
        self.known = members.values().map(|process| (process.pid, process.started)).collect();
        members.into_values().collect()
    }

    /// Ends every member, the root as well, and returns how many could not be ended.
    fn end(&mut self, child: &mut Child) -> usize {
        let deadline = Instant::now() + GRACE;
        loop {
            let members = self.survey();
            for process in &members {
                let Some(pid) = Pid::from_raw(process.pid) else { continue };
                if process.is_zombie {
                    // Only children can be waited for; others are their parents' to wait for, and go with them.
                    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
                } else {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            // The root goes last: its children are found by it.
            let is_over = match child.try_wait() {
                Ok(Some(_)) => true,
                _ => {
                    let _ = child.kill();
                    false
                }
            };
            let left = members.iter().filter(|process| !process.is_zombie).count();
            if is_over && members.is_empty() || Instant::now() >= deadline {
                return left;
            }
            thread::park_timeout(LOOK);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.root);
    }
}

#[cfg(test)]
mod tests;
