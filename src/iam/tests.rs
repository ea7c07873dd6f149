//! The table, and the policies made of it.

use super::*;

fn told(names: &[&str], reach: &Reach) -> Vec<Statement> {
    policy(names.iter().map(|name| Task::named(name).unwrap()), reach).statements
}

#[test]
fn every_name_stands_for_one_task() {
    let mut names: Vec<_> = TASKS.iter().flat_map(Task::names).chain(LOCAL.iter().copied()).collect();
    let before = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), before);
    assert_eq!(Task::named(" cost   retention "), Task::named("cost --delete"));
    assert_eq!(Task::named("cost --deleted"), None);
}

#[test]
fn a_policy_names_the_region_the_account_and_the_keys_it_is_for() {
    let open = told(&["export"], &Reach::default());
    assert_eq!(open.len(), 2);
    assert_eq!(open[0].actions, ["ec2:DescribeSnapshots"]);
    assert_eq!(open[0].resources, ["*"], "EC2 knows no resources for what only looks");
    assert_eq!(open[1].actions, ["ebs:GetSnapshotBlock", "ebs:ListSnapshotBlocks"]);
    assert_eq!(open[1].resources, ["arn:aws:ec2:*::snapshot/*"]);
    let key = "arn:aws:kms:eu-west-1:123456789012:key/x".to_owned();
    let reach = Reach {
        region: Some("eu-west-1".into()),
        account: Some("123456789012".into()),
        keys: vec![key.clone()],
    };
    let narrow = told(&["export"], &reach);
    assert_eq!(narrow[1].resources, ["arn:aws:ec2:eu-west-1::snapshot/*"], "snapshots' ARNs have no account");
    assert_eq!((&narrow[2].actions[..], &narrow[2].resources), (&["kms:Decrypt"][..], &vec![key]));
    for (region, arn) in [
        ("cn-north-1", "arn:aws-cn:ec2:cn-north-1::snapshot/*"),
        ("us-gov-west-1", "arn:aws-us-gov:ec2:us-gov-west-1::snapshot/*"),
        ("us-west-2", "arn:aws:ec2:us-west-2::snapshot/*"),
    ] {
        let reach = Reach { region: Some(region.into()), ..Reach::default() };
        assert_eq!(told(&["blocks"], &reach)[1].resources, [arn]);
    }
}

#[test]
fn several_tasks_make_one_policy_that_says_nothing_twice() {
    let keys = Reach { keys: vec!["arn:aws:kms:eu-west-1:1:key/x".into()], ..Reach::default() };
    let both = told(&["export", "import --parent", "export --since"], &keys);
    let mut sids: Vec<_> = both.iter().map(|statement| statement.sid.as_str()).collect();
    assert_eq!(sids, ["Look", "Snapshots", "Keys", "KeysForAws"]);
    sids.dedup();
    assert!(
        sids.iter().all(|sid| sid.bytes().all(|byte| byte.is_ascii_alphanumeric())),
        "IAM takes no others"
    );
    let grants = &both[3];
    assert_eq!(grants.actions, ["kms:CreateGrant"]);
    assert_eq!(grants.condition, Some(("Bool", "kms:GrantIsForAWSResource".into(), "true".into())));
}

#[test]
fn no_policy_allows_deleting_or_sharing_snapshots() {
    let keys = Reach { keys: vec!["arn:aws:kms:eu-west-1:1:key/x".into()], ..Reach::default() };
    for statement in policy(TASKS, &keys).statements {
        for action in statement.actions {
            let harms = ["ec2:DeleteSnapshot", "ec2:Modify", "ec2:DeregisterImage", "ec2:UnlockSnapshot"];
            assert!(!harms.iter().any(|harm| action.starts_with(harm)), "{action}");
            assert!(action != "*" && !action.ends_with(":*"), "{action}");
        }
    }
}
