use super::*;
use crate::aws::responder::{Reply, Responder, reply};
use crate::block::ByteSize;
use crate::control::{SnapshotQuery, Snapshots};
use crate::fault::Scope;
use crate::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, StorageTier, Tags, UnixMillis};

fn snapshot(id: &str, rest: &str) -> String {
    format!(
        "<item><snapshotId>{id}</snapshotId><ownerId>123456789012</ownerId><status>completed</status>\
         <startTime>2026-09-25T10:20:30.246Z</startTime><volumeSize>8</volumeSize>{rest}</item>"
    )
}

fn described(items: &[String], next: &str) -> Reply {
    let body = format!(
        "<DescribeSnapshotsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
         <snapshotSet>{}</snapshotSet>{next}</DescribeSnapshotsResponse>",
        items.concat()
    );
    reply(200, "Content-Type: text/xml", body)
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>\
         </Errors><RequestID>r-2</RequestID></Response>"
    );
    reply(status, "Content-Type: text/xml", body)
}

fn ids(infos: &[SnapshotInfo]) -> Vec<&str> {
    infos.iter().map(|info| info.id.as_str()).collect()
}

/// The form fields of the n-th request, decoded.
fn fields(server: &Responder, n: usize) -> Vec<String> {
    let asked = server.asked();
    let body = asked[n].split("\r\n\r\n").nth(1).unwrap();
    let decoded = |field: &str| {
        percent_encoding::percent_decode_str(&field.replace('+', " ")).decode_utf8().unwrap().into_owned()
    };
    body.split('&').map(decoded).collect()
}

#[tokio::test]
async fn all_facts_of_a_snapshot_are_taken_over() {
    let full = "<volumeId>vol-0123</volumeId><progress>100%</progress><description>a &amp; b</description>\
        <encrypted>true</encrypted><kmsKeyId>arn:aws:kms:x</kmsKeyId><storageTier>archive</storageTier>\
        <statusMessage>because</statusMessage><fullSnapshotSizeInBytes>5678912341</fullSnapshotSizeInBytes>\
        <tagSet><item><key>icecore:parent</key><value>snap-0aaa</value></item>\
        <item><key>empty</key><value/></item></tagSet>";
    let bare = "<volumeId>vol-ffffffff</volumeId><description/><statusMessage/>\
        <tagSet><item><key>icecore:parent</key><value>no id</value></item></tagSet>";
    let server =
        Responder::serving([described(&[snapshot("snap-0b", full), snapshot("snap-0a", bare)], "")]).await;
    let found = Ec2::new(&server.session()).describe(&SnapshotQuery::default()).await.unwrap();
    assert_eq!(ids(&found), ["snap-0a", "snap-0b"], "of the same time, by name");
    let (bare, full) = (&found[0], &found[1]);
    assert_eq!(full.start_time, UnixMillis(1_790_331_630_246));
    assert_eq!((full.volume_size.get(), full.state), (8, SnapshotState::Completed));
    assert_eq!(full.volume_id.as_ref().unwrap().as_str(), "vol-0123");
    assert_eq!((full.owner_id.as_str(), full.description.as_str()), ("123456789012", "a & b"));
    assert_eq!((full.encrypted, full.kms_key_id.as_deref()), (true, Some("arn:aws:kms:x")));
    assert_eq!(
        (full.tier, full.full_size),
        (StorageTier::Archive, Some(ByteSize::from_bytes(5_678_912_341)))
    );
    assert_eq!(full.state_message.as_deref(), Some("because"));
    assert_eq!(full.parent.as_ref().unwrap().as_str(), "snap-0aaa");
    assert_eq!(full.tags["empty"], "");
    assert_eq!((&bare.volume_id, &bare.parent, bare.full_size), (&None, &None, None), "unknown is not 0");
    assert_eq!((bare.tier, bare.encrypted, &bare.state_message), (StorageTier::Standard, false, &None));
}

#[tokio::test]
async fn a_query_goes_out_as_filters_of_our_own_and_pages_are_walked() {
    let tags = |value: &str| format!("<tagSet><item><key>team</key><value>{value}</value></item></tagSet>");
    let first = described(&[snapshot("snap-0a", &tags("a*b"))], "<nextToken>more</nextToken>");
    let second =
        described(&[snapshot("snap-0c", &tags("axb")), snapshot("snap-0b", &tags("a*b"))], "<nextToken/>");
    let server = Responder::serving([first, second]).await;
    let query = SnapshotQuery {
        tags: vec!["team=a*b".parse().unwrap()],
        state: Some(SnapshotState::Completed),
        ..SnapshotQuery::default()
    };
    let found = Ec2::new(&server.session()).describe(&query).await.unwrap();
    assert_eq!(ids(&found), ["snap-0a", "snap-0b"], "what a wildcard lets through is left out here");
    let sent = fields(&server, 0);
    for field in [
        "Action=DescribeSnapshots",
        "Owner.1=self",
        "MaxResults=1000",
        "Filter.1.Name=tag:team",
        "Filter.1.Value.1=a\\*b",
        "Filter.2.Name=status",
        "Filter.2.Value.1=completed",
    ] {
        assert!(sent.iter().any(|sent| sent == field), "{field} in {sent:?}");
    }
    assert!(fields(&server, 1).contains(&"NextToken=more".to_owned()));
}

#[tokio::test]
async fn names_go_out_without_page_size_in_bounded_requests() {
    let names: Vec<SnapshotId> = (0..201).map(|n| format!("snap-{n:08x}").parse().unwrap()).collect();
    let items: Vec<_> = names.iter().map(|id| snapshot(id.as_str(), "")).collect();
    let server = Responder::serving([described(&items[..200], ""), described(&items[200..], "")]).await;
    let query = SnapshotQuery { ids: names.clone(), ..SnapshotQuery::default() };
    let found = Ec2::new(&server.session()).describe(&query).await.unwrap();
    assert_eq!(found.len(), 201);
    let sent = fields(&server, 1);
    assert!(sent.contains(&"SnapshotId.1=snap-000000c8".to_owned()), "{sent:?}");
    assert!(!sent.iter().any(|field| field.starts_with("MaxResults")), "EC2 refuses both together");
}

#[tokio::test]
async fn a_name_left_out_of_the_answer_is_not_found() {
    let server = Responder::serving([described(&[], "")]).await;
    let query = SnapshotQuery::one(&"snap-0a".parse().unwrap());
    let fault = Ec2::new(&server.session()).describe(&query).await.unwrap_err();
    assert_eq!(fault.kind, Kind::NotFound);
    assert!(fault.to_string().starts_with("snap-0a: "), "{fault}");
}

#[tokio::test]
async fn a_copy_without_size_hides_no_other_snapshot() {
    let begun = || snapshot("snap-0a", "").replace(">8<", ">0<");
    let all = described(&[begun(), snapshot("snap-0b", "")], "");
    let server = Responder::serving([all, described(&[begun()], "")]).await;
    let ec2 = Ec2::new(&server.session());
    assert_eq!(ids(&ec2.describe(&SnapshotQuery::default()).await.unwrap()), ["snap-0b"]);
    let named = ec2.describe(&SnapshotQuery::one(&"snap-0a".parse().unwrap())).await.unwrap_err();
    assert_eq!(named.kind, Kind::NotReadable, "{named}");
}

#[tokio::test]
async fn a_list_that_does_not_advance_is_corrupt() {
    let same = || described(&[snapshot("snap-0a", "")], "<nextToken>same</nextToken>");
    let server = Responder::serving([same(), same()]).await;
    let fault = Ec2::new(&server.session()).describe(&SnapshotQuery::default()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Corrupt);
}

#[tokio::test]
async fn ec2s_refusals_are_told_by_their_code() {
    let id: SnapshotId = "snap-0a".parse().unwrap();
    for (status, code, message, kind) in [
        (400, "InvalidSnapshot.NotFound", "The snapshot 'snap-0a' does not exist.", Kind::NotFound),
        (400, "InvalidSnapshotID.Malformed", "Invalid id", Kind::NotFound),
        (400, "InvalidSnapshot.InUse", "The snapshot is in use by ami-1", Kind::Refused),
        (503, "RequestLimitExceeded", "Request limit exceeded.", Kind::Throttled(Scope::Account)),
        (403, "UnauthorizedOperation", "You are not authorized", Kind::Denied),
        (400, "RequestExpired", "Request has expired.", Kind::ExpiredCredentials),
        (401, "AuthFailure", "AWS was not able to validate the credentials", Kind::Denied),
        (500, "InternalError", "An internal error has occurred", Kind::Service),
        (503, "Unavailable", "The service is unavailable", Kind::Service),
    ] {
        let server = Responder::serving([refusal(status, code, message)]).await;
        let fault = Ec2::new(&server.session()).delete(&id).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{code}: {fault}");
        assert!(fault.to_string().starts_with("snap-0a: "), "{fault}");
    }
    let server = Responder::serving([reply(502, "Content-Type: text/html", "<html>oops")]).await;
    let fault = Ec2::new(&server.session()).delete(&id).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Service, "{fault}");
}

#[tokio::test]
async fn tags_are_sent_as_they_are_and_none_are_not_sent() {
    let server = Responder::serving([reply(
        200,
        "",
        "<CreateTagsResponse><return>true</return></CreateTagsResponse>",
    )])
    .await;
    let ec2 = Ec2::new(&server.session());
    let id = "snap-0a".parse().unwrap();
    ec2.tag(&id, &Tags::new()).await.unwrap();
    ec2.tag(&id, &Tags::from([("team".into(), "db & co".into())])).await.unwrap();
    assert_eq!(server.asked().len(), 1);
    let sent = fields(&server, 0);
    for field in ["Action=CreateTags", "ResourceId.1=snap-0a", "Tag.1.Key=team", "Tag.1.Value=db & co"] {
        assert!(sent.iter().any(|sent| sent == field), "{field} in {sent:?}");
    }
}
