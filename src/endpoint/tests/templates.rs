//! Launch templates: made, added to, told and deleted. What real clients make of them is in `tests/peers`.

use super::*;

fn make(bench: &Bench, name: &str, data: &str) -> String {
    let made = bench.ec2(&format!("Action=CreateLaunchTemplate&LaunchTemplateName={name}{data}"));
    assert_eq!(made.status, 200, "{}", made.text());
    of(&made, "launchTemplateId").unwrap()
}

/// Template and version of each that is told, page by page.
fn told(bench: &Bench, form: &str) -> Vec<(String, String)> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let answer = bench.ec2(&format!("Action=DescribeLaunchTemplateVersions&{form}{token}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let value = |item: &str, name: &str| {
            let rest = item.split(&format!("<{name}>")).nth(1).unwrap();
            rest.split('<').next().unwrap().to_owned()
        };
        let items = text.split("<item><launchTemplateId>").skip(1);
        found.extend(items.map(|item| (value(item, "launchTemplateName"), value(item, "versionNumber"))));
        match of(&answer, "nextToken") {
            Some(next) => token = format!("&NextToken={next}"),
            None => return found,
        }
    }
}

#[test]
fn of_all_templates_the_default_and_the_latest_versions_are_told_in_pages() {
    let bench = Bench::new();
    let ami = "&LaunchTemplateData.ImageId=ami-0a";
    let data = format!("{ami}&LaunchTemplateData.BlockDeviceMapping.1.Ebs.SnapshotId=snap-0a");
    let ids = ["one", "two"].map(|name| make(&bench, name, &data));
    let add = format!("Action=CreateLaunchTemplateVersion&LaunchTemplateId={}{ami}", ids[0]);
    for version in ["2", "3"] {
        assert_eq!(of(&bench.ec2(&add), "versionNumber").as_deref(), Some(version));
    }
    let both = "LaunchTemplateVersion.1=$Latest&LaunchTemplateVersion.2=$Default&MaxResults=1";
    let mut all = told(&bench, both);
    all.sort_unstable();
    let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    assert_eq!(all, [pair("one", "1"), pair("one", "3"), pair("two", "1")]);
    assert_eq!(told(&bench, "LaunchTemplateName=one").len(), 3, "of one that is named, every version");
    assert_eq!(told(&bench, "LaunchTemplateName=one&LaunchTemplateVersion.1=2"), [pair("one", "2")]);
    let filtered = "LaunchTemplateName=one&Filter.1.Name=is-default-version&Filter.1.Value.1=false";
    assert_eq!(told(&bench, filtered), [pair("one", "2"), pair("one", "3")]);

    let deleted = bench.ec2(&format!("Action=DeleteLaunchTemplate&LaunchTemplateId={}", ids[0]));
    assert_eq!(of(&deleted, "latestVersionNumber").as_deref(), Some("3"));
    assert_eq!(told(&bench, both), [pair("two", "1")]);
}

#[test]
fn a_template_that_is_not_there_or_not_named_is_refused_in_ec2s_words() {
    let bench = Bench::new();
    let id = make(&bench, "one", "");
    let refused = |form: &str, expected: &str| {
        assert_eq!(code(&bench.ec2(&format!("Action={form}"))), (400, expected.to_owned()), "{form}");
    };
    refused("DescribeLaunchTemplateVersions", "MissingParameter");
    refused("DescribeLaunchTemplateVersions&LaunchTemplateVersion.1=1", "MissingParameter");
    refused("DescribeLaunchTemplateVersions&LaunchTemplateId=lt-0fff", "InvalidLaunchTemplateId.NotFound");
    refused("DescribeLaunchTemplateVersions&LaunchTemplateId=foo", "InvalidLaunchTemplateId.Malformed");
    let ninth = format!("DescribeLaunchTemplateVersions&LaunchTemplateId={id}&LaunchTemplateVersion.1=9");
    refused(&ninth, "InvalidLaunchTemplateId.VersionNotFound");
    refused("DeleteLaunchTemplate&LaunchTemplateName=two", "InvalidLaunchTemplateName.NotFoundException");
    refused("DeleteLaunchTemplate", "MissingParameter");
    refused(
        "CreateLaunchTemplate&LaunchTemplateName=one",
        "InvalidLaunchTemplateName.AlreadyExistsException",
    );
    refused("CreateLaunchTemplate&LaunchTemplateName=a%20b", "InvalidLaunchTemplateName.MalformedException");
    refused("DescribeLaunchTemplateVersions&LaunchTemplateName=one&MaxResults=201", "InvalidParameterValue");
}
