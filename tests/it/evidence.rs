//! `--evidence` and `icecore evidence verify` as they are typed.

use crate::cli::{Here, Outcome, one_object};
use crate::report_file::{OTHER, as_other};
use crate::verify::command::One;
use rustix::process::getuid;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

fn statement(here: &Here, number: &str) -> Value {
    let path = here.path("evidence").join(number).join("statement.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The user as `id` knows it; `None` where the machine has no name for it.
fn name_of_this_user() -> Option<String> {
    let output = Command::new("id").arg("-un").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn evidence_names_the_user_that_ran_and_not_the_one_of_the_environment() {
    let one = One::new();
    let words = ["verify", one.id.as_str(), "--local", "store", "--evidence", "evidence"];
    let mut command = one.here.command(&words);
    command.env("USER", "mallory").env("LOGNAME", "mallory");
    assert_eq!(Outcome::of(&command.output().unwrap()).code, 0);
    let kept = statement(&one.here, "000001");
    assert_eq!(kept["uid"], getuid().as_raw());
    assert_eq!(kept["user"], name_of_this_user().map_or(Value::Null, Value::String));
    assert_eq!((&kept["claimed_user"], kept.get("effective_uid")), (&"mallory".into(), None));
    let verified = one.here.run(&["evidence", "verify", "evidence", "--format", "json"]).json();
    assert_eq!(
        (&verified["bundles"][0]["uid"], &verified["bundles"][0]["user"]),
        (&kept["uid"], &kept["user"])
    );

    // A user that the machine has no name for.
    fs::set_permissions(one.here.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let words = ["store", "check", "none"];
    if as_other(&one.here, &words).is_none() {
        return;
    }
    fs::remove_dir_all(one.here.path("evidence")).unwrap();
    fs::create_dir(one.here.path("evidence")).unwrap();
    chown(one.here.path("evidence"), Some(OTHER), Some(OTHER)).unwrap();
    let words = ["verify", "a.manifest", "a.img", "--state-dir", "other", "--evidence", "evidence"];
    chown(one.here.path("a.manifest"), Some(OTHER), None).unwrap();
    let mut command = as_other(&one.here, &words).unwrap();
    let outcome = Outcome::of(&command.env("USER", "root").output().unwrap());
    let kept = statement(&one.here, "000001");
    assert_eq!((&kept["uid"], &kept["user"]), (&OTHER.into(), &Value::Null), "{outcome:?}");
    assert_eq!(kept["claimed_user"], "root");
}

#[test]
fn a_link_in_place_of_a_bundle_or_a_report_does_not_pass() {
    let one = One::new();
    for _ in 0..2 {
        assert_eq!(one.run(&["verify", &one.id, "--evidence", "evidence"]).code, 0);
    }
    let verify = ["evidence", "verify", "evidence", "--format", "json"];
    one.here.run(&verify).json();
    let at = |name: &str| one.here.path("evidence").join(name);
    let wrong = |words: &str| {
        let outcome = one.here.run(&verify);
        let report = one_object(&outcome.stdout);
        assert_eq!((outcome.code, &report["state"]), (1, &"fail".into()), "{outcome:?}");
        assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{outcome:?}");
        assert_eq!(report["findings"][0]["wrong"], words, "{outcome:?}");
        let text = one.here.run(&verify[..3]);
        assert!(text.code == 1 && text.stdout.starts_with("FAIL"), "{text:?}");
    };
    fs::rename(at("000001/report.json"), one.here.path("report.json")).unwrap();
    symlink(one.here.path("report.json"), at("000001/report.json")).unwrap();
    wrong("not_a_file");
    fs::rename(one.here.path("report.json"), at("000001/report.json")).unwrap();
    one.here.run(&verify).json();

    fs::rename(at("000001"), one.here.path("bundle")).unwrap();
    symlink(one.here.path("bundle"), at("000001")).unwrap();
    wrong("not_a_bundle");
    fs::remove_file(at("000001")).unwrap();
    fs::rename(one.here.path("bundle"), at("000001")).unwrap();

    fs::create_dir(at("000000")).unwrap();
    wrong("not_a_bundle");
    fs::remove_dir(at("000000")).unwrap();

    fs::create_dir(at("18446744073709551615")).unwrap();
    let refused = one.run(&["verify", &one.id, "--evidence", "evidence"]);
    refused.refused(2, &["18446744073709551615", "the highest number", "another directory"]);
    assert!(!at("000000").exists());
}
