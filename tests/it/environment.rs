//! The environment and the configuration of AWS: none of their contents ends the program otherwise than by a sentence.

use crate::cli::{Here, Outcome};
use std::fs;

/// A command that would ask AWS, with these variables and none of this machine's.
fn ask(here: &Here, variables: &[(&str, &str)]) -> Outcome {
    let mut command = here.command(&["show", "snap-0a", "--progress", "never"]);
    command.env("AWS_REGION", "us-east-1").env("HOME", here.path(""));
    command.envs(variables.iter().copied());
    Outcome::of(&command.output().unwrap())
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let here = Here::new();
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_EBS",
        "AWS_ENDPOINT_URL_EC2",
        "AWS_ENDPOINT_URL_STS",
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_MAX_ATTEMPTS",
        "AWS_RETRY_MODE",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "ICECORE_LOCAL",
        "ICECORE_STATE",
    ] {
        let outcome = ask(&here, &[(name, "")]);
        outcome.refused(4, &["no credentials were found"]);
    }
    ask(&here, &[("AWS_REGION", "")]).refused(2, &["no Region is configured"]);
    // The state directory falls back on the home directory.
    assert!(!here.path("icecore").exists());
}

#[test]
fn arguments_and_name_survive_the_removal_of_empty_variables() {
    let here = Here::new();
    let mut command = here.command(&["show", "not an id"]);
    let outcome = Outcome::of(&command.env("AWS_PROFILE", "").output().unwrap());
    outcome.refused_by_clap("'not an id' is not a snapshot id");
}

#[test]
fn no_value_of_a_variable_is_a_panic() {
    let here = Here::new();
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    for (name, value, code, words) in [
        ("AWS_ACCESS_KEY_ID", "AKIA\n", 4, "holds a line break"),
        ("AWS_SECRET_ACCESS_KEY", "sec\nret", 4, "holds a line break"),
        ("AWS_SESSION_TOKEN", "to\nken", 4, "holds a line break"),
        ("AWS_REGION", "us-east-1\n", 2, "is no name of a Region"),
        ("AWS_REGION", "us east", 2, "is no name of a Region"),
        ("AWS_ENDPOINT_URL_EC2", ":", 2, "is not an endpoint URL"),
        ("AWS_ENDPOINT_URL_STS", "localhost", 2, "is not an endpoint URL"),
    ] {
        ask(&here, &[&keys[..], &[(name, value)]].concat()).refused(code, &[words]);
    }
    for (name, value) in [("AWS_RETRY_MODE", "legacy"), ("AWS_MAX_ATTEMPTS", "0"), ("AWS_MAX_ATTEMPTS", "-1")]
    {
        ask(&here, &[(name, value)]).refused(4, &["no credentials were found"]);
    }
}

#[test]
fn no_content_of_the_configuration_is_a_panic() {
    let here = Here::new();
    fs::create_dir(here.path(".aws")).unwrap();
    for (config, code, words) in [
        ("[default]\nmax_attempts = 0\n", 4, "no credentials were found"),
        ("[default]\nretry_mode = sometimes\n", 4, "no credentials were found"),
        ("[default]\nservices = s\n[services s]\nec2 =\n  endpoint_url = :\n", 2, "is not an endpoint URL"),
        ("[default]\naws_access_key_id = A B\naws_secret_access_key = C\n", 4, "another character"),
    ] {
        fs::write(here.path(".aws/config"), config).unwrap();
        ask(&here, &[]).refused(code, &[words]);
    }
}

#[test]
fn commands_that_keep_nothing_need_no_state_directory() {
    let here = Here::new();
    for words in
        [&["show", "snap-0a"][..], &["blocks", "snap-0a"], &["diff", "snap-0a", "snap-0b"], &["list"]]
    {
        let mut command = here.command(words);
        command.env_remove("ICECORE_STATE").env("AWS_REGION", "us-east-1");
        let outcome = Outcome::of(&command.output().unwrap());
        // The next thing that is missing; a build without EC2 cannot list.
        assert!(!outcome.stderr.contains("state-dir"), "{outcome:?}");
        assert!([2, 4].contains(&outcome.code), "{outcome:?}");
    }
}

#[test]
fn a_key_with_two_values_is_refused_wherever_keys_are_given() {
    let here = Here::new();
    for (words, option) in [
        (&["import", "x.img", "--tag", "a=1", "--tag", "a=2"][..], "--tag"),
        (&["list", "--tag", "a=1", "--tag", "b=1", "--tag=a=2"], "--tag"),
        (&["cost", "--tag", "a=1", "orphans", "--tag", "b=1", "--tag", "b=2"], "--tag"),
        (&["drill", "snap-0a", "--add-tag", "a=1", "--add-tag", "a="], "--add-tag"),
        (
            &["verify", "m", "--evidence", "e", "--evidence-label", "a=1", "--evidence-label", "a=2"],
            "--evidence-label",
        ),
    ] {
        here.run(words).refused(2, &[option, "two values"]);
    }
    // The same value twice says the same thing twice.
    here.run(&["import", "x.img", "--local", "s", "--tag", "a=1", "--tag", "a=1"]).refused(2, &["x.img"]);
}

#[test]
fn an_arn_is_an_id_and_its_region_is_the_place() {
    let here = Here::new();
    let arn = "arn:aws:ec2:eu-west-1::snapshot/snap-0a";
    let of = |words: &[&str]| here.run(words);
    // The Region is known from the ARN alone: the next thing that is missing are credentials.
    of(&["show", arn]).refused(4, &["snap-0a: no credentials"]);
    of(&["manifest", arn, "-o", "m"]).refused(4, &["snap-0a: no credentials"]);
    of(&["verify", arn]).refused(4, &["no credentials"]);
    of(&["show", arn, "--region", "us-east-1"])
        .refused(2, &["snap-0a is of Region eu-west-1, not of us-east-1"]);
    let other = "arn:aws:ec2:us-east-1::snapshot/snap-0b";
    of(&["diff", arn, other]).refused(2, &["snap-0b is of Region us-east-1, not of eu-west-1"]);
    of(&["show", "arn:aws:ec2:eu-west-1:1:volume/vol-0a"]).refused_by_clap("is the ARN of no snapshot");
    of(&["list", "--volume", arn]).refused_by_clap("is the ARN of no volume");
}
