use super::*;
use crate::fault::Kind;

fn run(ended_by: Option<&str>) -> Unfinished {
    Unfinished {
        command: "evidence verify",
        run_id: "0123".to_owned(),
        started: UnixMillis(1_700_000_000_500),
        ended_by: ended_by.map(|what| Exception { kind: Kind::Denied, what: what.to_owned() }),
        earlier_metrics: b"icecore_verify_last_success_timestamp_seconds{subject=\"a\"} 5.0\n".to_vec(),
    }
}

fn printed(format: Format, ended_by: Option<&str>) -> String {
    let mut out = Vec::new();
    Unfinished::printer(format).unwrap()(&run(ended_by), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_format_has_a_whole_report_of_a_run_that_has_not_finished() {
    for ended_by in [None, Some("it is \"denied\", <so>\n")] {
        let json: serde_json::Value = serde_json::from_str(&printed(Format::Json, ended_by)).unwrap();
        assert_eq!(json["schema"], "icecore/unfinished/1");
        assert_eq!(json["state"], "incomplete");
        assert_eq!((&json["run_id"], &json["command"]), (&"0123".into(), &"evidence verify".into()));
        assert_eq!(json["started"], "2023-11-14T22:13:20.5Z");
        let codes: Vec<_> = json["errors"].as_array().unwrap().iter().map(|error| &error["code"]).collect();
        assert_eq!(codes[0], "run-not-finished");
        assert_eq!(codes.get(1).copied(), ended_by.map(|_| &json["errors"][1]["code"]));

        let text = printed(Format::Text, ended_by);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("INCOMPLETE  icecore evidence verify, run 0123"), "{text}");

        let csv = printed(Format::Csv, ended_by);
        assert!(csv.starts_with("state,code,"), "{csv}");
        assert!(csv.lines().nth(1).unwrap().starts_with("incomplete,run-not-finished,"), "{csv}");

        let junit = printed(Format::Junit, ended_by);
        assert!(junit.contains("tests=\"1\"") && junit.contains("errors=\"1\""), "{junit}");
        assert!(junit.contains("failures=\"0\"") && junit.contains("run-not-finished"), "{junit}");

        let metrics = printed(Format::Metrics, ended_by);
        assert!(metrics.contains("\nicecore_run_unfinished 1\n"), "{metrics}");
        assert!(metrics.contains("} 1700000000.5\n"), "{metrics}");
        assert!(metrics.contains("last_success_timestamp_seconds{subject=\"a\"} 5.0\n"), "{metrics}");
        assert!(metrics.ends_with("# EOF\n") && metrics.matches("# EOF").count() == 1, "{metrics}");
    }
}
