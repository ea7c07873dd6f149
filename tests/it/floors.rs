//! The floors of the crate, read off its source: who names whom, and who may name which crate.
//!
//! Test code is left out: there the two ends of a wire may meet. The checker is tested itself, on a small tree that
//! breaks every rule once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module of the crate and the floor it stands on. A module names only lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("block", 0),
    ("snapshot", 0),
    ("cost", 1),
    ("delta", 1),
    ("estate", 1),
    ("fault", 1),
    ("iam", 1),
    ("monitor", 1),
    ("sample", 1),
    ("aws", 2),
    ("control", 2),
    ("disk", 2),
    ("shelf", 2),
    ("source", 2),
    ("account", 3),
    ("device", 3),
    ("ebs", 3),
    ("ec2", 3),
    ("endpoint", 3),
    ("evidence", 3),
    ("ledger", 3),
    ("manifest", 3),
    ("pipeline", 3),
    ("store", 3),
    ("synthetic", 3),
    ("fuzz", 4),
    ("ops", 4),
    ("orchestrate", 5),
    ("render", 6),
    ("cli", 7),
];

/// Modules that know one of their own floor, and why.
const NEIGHBOURS: [(&str, &str, &str); 2] = [
    ("endpoint", "account", "an endpoint is the wire in front of the simulated account"),
    ("snapshot", "block", "facts of a snapshot are counted in blocks and bytes"),
];

/// A crate that every module may name.
const ANYBODY: &str = "*";

/// Who may name a crate. One that is not listed here may be named by nobody.
const KEYS: &[(&str, &[&str])] = &[
    ("aws_config", &["aws"]),
    ("aws_credential_types", &["aws"]),
    ("aws_sdk_ebs", &["ebs"]),
    ("aws_sdk_ec2", &["ec2"]),
    ("aws_sdk_sts", &["aws"]),
    ("aws_smithy_http_client", &["aws"]),
    ("aws_smithy_runtime_api", &["aws", "ebs", "ec2"]),
    ("aws_smithy_types", &["aws", "ebs", "ec2"]),
    ("aws_types", &["aws", "ebs", "ec2"]),
    ("base64", &["block", "ebs", "endpoint"]),
    (
        "bytes",
        &[
            "account",
            "block",
            "source",
            "shelf",
            "store",
            "synthetic",
            "endpoint",
            "ebs",
            "device",
            "pipeline",
            "ops",
        ],
    ),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("comfy_table", &["render"]),
    ("crc32fast", &["device", "manifest", "orchestrate", "pipeline", "store"]),
    ("csv", &["ops"]),
    ("ed25519_dalek", &["evidence"]),
    (
        "fastrand",
        &["account", "cli", "disk", "endpoint", "ops", "orchestrate", "pipeline", "store", "synthetic"],
    ),
    (
        "futures_util",
        &["aws", "cli", "control", "ebs", "ec2", "endpoint", "ops", "orchestrate", "pipeline", "source"],
    ),
    ("getrandom", &["endpoint", "evidence", "ops", "store"]),
    ("hdrhistogram", &["ops"]),
    ("hmac", &["endpoint"]),
    ("http", &["aws", "endpoint"]),
    ("http_body_util", &["endpoint"]),
    ("hyper", &["endpoint"]),
    ("hyper_util", &["endpoint"]),
    ("indicatif", &["cli"]),
    ("jiff", &["cost", "endpoint", "evidence", "orchestrate", "render"]),
    ("libc", &["disk"]),
    ("memmap2", &["disk"]),
    ("percent_encoding", &["endpoint"]),
    ("prometheus_client", &["render"]),
    ("quick_junit", &["render"]),
    ("quick_xml", &["endpoint"]),
    ("rayon", &["cost"]),
    ("roaring", &["pipeline"]),
    ("rustix", &["cli", "device", "disk", "ops"]),
    (
        "serde",
        &["device", "ebs", "endpoint", "evidence", "ledger", "orchestrate", "pipeline", "render", "store"],
    ),
    (
        "serde_json",
        &["device", "ebs", "endpoint", "evidence", "ledger", "orchestrate", "pipeline", "render", "store"],
    ),
    ("sha2", &["block", "disk", "endpoint", "ledger", "manifest"]),
    ("tape_sha256", &["block"]),
    ("tempfile", &["cli"]),
    ("thiserror", &[ANYBODY]),
    // Its clock is everybody's from floor 2 on; its tasks and sockets belong to these.
    (
        "tokio",
        &[
            "source",
            "control",
            "disk",
            "aws",
            "ebs",
            "ec2",
            "endpoint",
            "pipeline",
            "ops",
            "orchestrate",
            "cli",
        ],
    ),
    (
        "tracing",
        &[
            "aws",
            "device",
            "device",
            "disk",
            "ebs",
            "ec2",
            "endpoint",
            "evidence",
            "pipeline",
            "store",
            "ops",
            "orchestrate",
            "cli",
        ],
    ),
    ("tracing_subscriber", &["cli"]),
    ("zstd", &["device", "store"]),
];

/// Words that belong to some modules only, and why.
const WORDS: &[(&str, &[&str], &str)] = &[
    ("println!", &[], "results are written through cli's output, which knows what a closed pipe means"),
    ("print!", &[], "results are written through cli's output, which knows what a closed pipe means"),
    ("std::env", &["cli"], "only cli reads the environment"),
    ("io::stdout", &["cli"], "only cli prints"),
    ("io::stderr", &["cli"], "only cli prints"),
    ("process::exit", &[], "the exit code is main's"),
];

/// What the lowest floors do without.
const PURE: [(u8, &[&str]); 2] = [
    (0, &["async fn", "async move", "std::fs", "std::io", "std::net"]),
    (1, &["std::fs", "TcpStream", "TcpListener", "UdpSocket"]),
];

struct File {
    /// Below `src`: `block/set.rs`.
    path: String,
    text: String,
}

impl File {
    /// The module of the crate that it belongs to; `None` for the roots.
    fn module(&self) -> Option<&str> {
        let first = self.path.split('/').next().unwrap().trim_end_matches(".rs");
        (!["lib", "main"].contains(&first)).then_some(first)
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

fn below(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<File> {
    let src = root().join("src");
    let mut paths = Vec::new();
    below(&src, &mut paths);
    let file = |path: PathBuf| File {
        path: path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    paths.into_iter().map(file).collect()
}

/// The code without comments, strings and the tests at its foot.
fn code(text: &str) -> String {
    let text = match text.find("#[cfg(test)]\nmod ") {
        Some(foot) => &text[..foot],
        None => text,
    };
    text.lines().map(bare).collect::<Vec<_>>().join("\n")
}

/// A line without its strings and its comment.
fn bare(line: &str) -> String {
    let line = line.replace("'\"'", "' '").replace("\\\"", "");
    let unquoted: String = line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    unquoted.split("//").next().unwrap_or_default().to_owned()
}

/// Where `word` stands as a whole path segment that begins a path.
fn occurs(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        !before.is_alphanumeric() && !matches!(before, '_' | ':' | '$')
    })
}

/// The modules of this crate that the code names.
fn named(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let inside = match rest.strip_prefix('{') {
            None => vec![rest],
            Some(group) => heads(group),
        };
        let name = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
                .collect()
        };
        names.extend(inside.into_iter().map(name).filter(|name| !name.is_empty()));
    }
    names
}

/// The beginnings of what stands between braces, one level deep.
fn heads(group: &str) -> Vec<&str> {
    let (mut depth, mut heads) = (1, vec![group]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(&group[at + 1..]),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Everything in these files that breaks a rule.
fn violations(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        if !file.text.starts_with("//! ") && !file.is_test() {
            found.push(format!("{}: does not open with what it is", file.path));
        }
        let Some(module) = file.module() else { continue };
        let Some(own) = floor(module) else {
            found.push(format!("{}: stands on no floor", file.path));
            continue;
        };
        if file.is_test() {
            continue;
        }
        let code = code(&file.text);
        let mut say = |what: String| found.push(format!("{}: {what}", file.path));
        for name in named(&code).iter().filter(|name| *name != module) {
            let neighbour = NEIGHBOURS.iter().any(|(from, to, _)| *from == module && to == name);
            match floor(name) {
                Some(other) if other < own || neighbour => {}
                Some(other) => say(format!("floor {own} names {name} on floor {other}")),
                None => say(format!("names {name}, which stands on no floor")),
            }
        }
        if code.contains("super::super::") || (!file.path.contains('/') && occurs(&code, "super::")) {
            say("climbs out of its module with super::".to_owned());
        }
        for (key, holders) in KEYS {
            if occurs(&code, &format!("{key}::")) && !holders.contains(&ANYBODY) && !holders.contains(&module)
            {
                say(format!("names {key}, which is for {}", holders.join(", ")));
            }
        }
        for (word, holders, why) in WORDS {
            if occurs_anywhere(&code, word) && !holders.contains(&module) {
                say(format!("says {word}: {why}"));
            }
        }
        for word in PURE.iter().filter(|(floor, _)| *floor == own).flat_map(|(_, words)| *words) {
            if code.contains(word) {
                say(format!("says {word} on floor {own}"));
            }
        }
    }
    found
}

/// Where `word` stands, also at the end of a path.
fn occurs_anywhere(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        !before.is_alphanumeric() && before != '_'
    })
}

#[test]
fn modules_name_only_lower_floors_and_their_own_crates() {
    let found = violations(&sources());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_rule_bites() {
    let broken = [
        ("block/a.rs", "//! x\nuse crate::fault::Fault;", "floor 0 names fault on floor 1"),
        ("block/d.rs", "//! x\nuse crate::snapshot::X;", "floor 0 names snapshot on floor 0"),
        ("delta.rs", "//! x\nuse crate::{block::X, cost::{Usd}};", "floor 1 names cost on floor 1"),
        ("ebs/a.rs", "//! x\nfn f(x: crate::endpoint::Config) {}", "floor 3 names endpoint on floor 3"),
        ("ops/a.rs", "//! x\nuse crate::util::X;", "names util, which stands on no floor"),
        ("render/a.rs", "//! x\nuse clap::Parser;", "names clap, which is for cli"),
        ("source.rs", "//! x\n#[derive(serde::Serialize)]\nstruct S;", "names serde, which is for"),
        ("store/a.rs", "//! x\nfn f() { println!(\"\") }", "says println!"),
        ("ops/b.rs", "//! x\nuse std::env;", "says std::env"),
        ("block/b.rs", "//! x\nasync fn f() {}", "says async fn on floor 0"),
        ("block/c.rs", "use crate::block::X;", "does not open with what it is"),
        ("util/a.rs", "//! x\n", "stands on no floor"),
        ("store/b.rs", "//! x\nuse super::super::ops;", "climbs out"),
        ("ebs.rs", "//! x\nuse super::ops;", "climbs out"),
    ];
    for (path, text, expected) in broken {
        let found = violations(&[File { path: path.into(), text: text.into() }]);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{path}: expected '{expected}' in {found:?}"
        );
    }
}

#[test]
fn rules_do_not_bite_what_is_allowed() {
    let fine = "//! Not crate::cli.\nuse crate::block::X;\nuse crate::account::Account; // crate::ops\n\
                const S: &str = \"crate::cli::main // println!\";\n\
                fn f() { let c = '\"'; hyper::server::f(); }\n\
                #[cfg(test)]\nmod tests { use crate::ebs::Ebs; }\n";
    let found = violations(&[File { path: "endpoint/a.rs".into(), text: fine.into() }]);
    assert!(found.is_empty(), "{found:?}");
    let test = File { path: "ebs/tests.rs".into(), text: "//! x\nuse crate::endpoint::start;".into() };
    assert!(violations(&[test]).is_empty());
}

#[test]
fn every_module_of_the_crate_is_on_the_list() {
    let declared: BTreeSet<_> = fs::read_to_string(root().join("src/lib.rs"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    let listed: BTreeSet<_> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(declared, listed);
}

#[test]
fn every_dependency_has_its_holders() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let named: BTreeSet<_> = dependencies
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.replace('-', "_"))
        .collect();
    let listed: BTreeSet<_> = KEYS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named, listed);
}

#[test]
fn no_test_file_is_forgotten() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    let mut files = Vec::new();
    below(&root().join("tests/it"), &mut files);
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let listed = main.lines().any(|line| line.ends_with(&format!("mod {name};")));
        // Deeper files are the business of the file that bears their directory's name.
        assert!(listed || name == "main" || file.parent() != Some(&root().join("tests/it")), "{name}.rs");
    }
}

/// Files in which `unsafe` may stand.
const UNSAFE: [&str; 3] = ["block/lanes.rs", "device/protect.rs", "disk/drain.rs"];

#[test]
fn unsafe_code_stands_in_the_listed_files_only() {
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|file| occurs_anywhere(&code(&file.text), "unsafe_code"))
        .map(|file| file.path)
        .collect();
    assert_eq!(found, UNSAFE);
}

#[test]
fn main_is_short() {
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 20);
}
