use super::*;

#[track_caller]
fn check(status: u16, code: &str, reason: &str, message: &str, kind: Kind) {
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let answer =
        Answer { status, code: some(code), reason: some(reason), message: some(message), cause: None };
    assert_eq!(answer.verdict().kind, kind, "{answer:?}");
}

#[test]
fn the_name_of_an_error_decides_not_its_status() {
    let account = Kind::Throttled(Scope::Account);
    let snapshot = Kind::Throttled(Scope::Snapshot);
    check(400, "ThrottlingException", "", "Rate exceeded", account);
    check(400, "RequestThrottledException", "RESOURCE_LEVEL_THROTTLE", "", snapshot);
    check(400, "RequestThrottledException", "", "", snapshot);
    check(400, "RequestThrottledException", "ACCOUNT_THROTTLED", "", account);
    check(400, "RequestThrottleException", "", "", snapshot);
    check(503, "RequestLimitExceeded", "", "Request limit exceeded.", account);
    check(403, "AccessDeniedException", "UNAUTHORIZED_ACCOUNT", "", Kind::Denied);
    check(403, "AccessDeniedException", "DEPENDENCY_ACCESS_DENIED", "", Kind::Denied);
    check(403, "UnauthorizedOperation", "", "", Kind::Denied);
    check(403, "ExpiredTokenException", "", "", Kind::ExpiredCredentials);
    check(403, "ExpiredToken", "", "", Kind::ExpiredCredentials);
    check(400, "RequestExpired", "", "", Kind::ExpiredCredentials);
    check(403, "UnrecognizedClientException", "", "", Kind::Denied);
    check(401, "AuthFailure", "", "", Kind::Denied);
    check(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", "", Kind::NotFound);
    check(404, "ResourceNotFoundException", "", "", Kind::NotFound);
    check(
        404,
        "ResourceNotFoundException",
        "DEPENDENCY_RESOURCE_NOT_FOUND",
        "KMS key not found",
        Kind::Denied,
    );
    check(400, "InvalidSnapshot.NotFound", "", "", Kind::NotFound);
    check(400, "InvalidSnapshotID.Malformed", "", "", Kind::NotFound);
    check(400, "InvalidSnapshot.InUse", "", "", Kind::Refused);
    check(409, "ConflictException", "", "", Kind::Refused);
    check(402, "ServiceQuotaExceededException", "", "", Kind::Quota);
    check(400, "ConcurrentLimitExceededException", "", "", Kind::Quota);
    check(400, "PendingSnapshotLimitExceeded", "", "", Kind::Quota);
    check(400, "InvalidParameterValue", "", "", Kind::Refused);
    check(500, "InternalServerException", "", "", Kind::Service);
    check(503, "Unavailable", "", "", Kind::Service);
}

#[test]
fn a_validation_is_told_by_its_reason_then_by_its_text() {
    let validation =
        |reason: &str, message: &str, kind| check(400, "ValidationException", reason, message, kind);
    validation("UNRELATED_SNAPSHOTS", "", Kind::Unrelated);
    validation("INVALID_PAGE_TOKEN", "", Kind::InvalidToken(TokenKind::Page));
    validation("INVALID_BLOCK_TOKEN", "", Kind::InvalidToken(TokenKind::Block));
    validation("INVALID_SNAPSHOT_ID", "Public snapshots are not supported", Kind::NotReadable);
    validation("INVALID_PARAMETER_VALUE", "Failed to read block data", Kind::Service);
    validation("INVALID_BLOCK", "Block index 2048 is beyond the volume size extent", Kind::Refused);
    validation("", "Value '99' at 'maxResults' failed to satisfy constraint", Kind::Refused);
}

#[test]
fn a_wrong_body_is_not_a_wrong_signature() {
    let body = "The value passed in as x-amz-Checksum does not match the computed checksum.";
    check(403, "InvalidSignatureException", "", body, Kind::Corrupt);
    check(403, "InvalidSignatureException", "", "The request signature we calculated", Kind::Denied);
}

#[test]
fn an_answer_without_a_name_is_told_by_its_status() {
    for (status, kind) in [
        (403, Kind::Denied),
        (404, Kind::Refused),
        (429, Kind::Throttled(Scope::Account)),
        (502, Kind::Service),
        (418, Kind::Refused),
    ] {
        check(status, "", "", "", kind);
    }
}

#[test]
fn a_missing_key_right_names_the_right() {
    let answer = Answer {
        status: 404,
        code: Some("ResourceNotFoundException"),
        reason: Some("DEPENDENCY_RESOURCE_NOT_FOUND"),
        message: Some("KMS key not found"),
        cause: None,
    };
    let verdict = answer.verdict();
    assert_eq!(verdict.sentence, "KMS key not found");
    assert!(verdict.hint.unwrap().contains("kms:Decrypt"));
}

#[test]
fn a_sentence_never_repeats_a_token_or_a_signed_request() {
    let secret = "AlMBsecretAlMBsecret";
    for (code, reason, message) in [
        ("ValidationException", Some("INVALID_BLOCK_TOKEN"), format!("The block token {secret} is invalid.")),
        (
            "ValidationException",
            Some("INVALID_PAGE_TOKEN"),
            format!("The pagination token {secret} is invalid."),
        ),
        ("ValidationException", None, format!("Value '{secret}' at 'blockToken' failed to satisfy")),
        ("ValidationException", None, format!("Value '{secret}' at 'pageToken' failed to satisfy")),
        ("InvalidSignatureException", None, format!("Canonical String: x-amz-security-token:{secret}")),
        ("SignatureDoesNotMatch", None, format!("Canonical String: x-amz-security-token:{secret}")),
    ] {
        let answer = Answer { status: 400, code: Some(code), reason, message: Some(&message), cause: None };
        let sentence = answer.verdict().sentence;
        assert!(!sentence.contains(secret) && !sentence.is_empty(), "{sentence}");
    }
}

#[test]
fn awss_message_becomes_one_plain_line() {
    for (text, line) in [
        ("The snapshot 'snap-0a' does not exist.", "the snapshot 'snap-0a' does not exist"),
        ("KMS key not found", "KMS key not found"),
        ("A\n  client  error.", "a client error"),
        ("You may not. Encoded authorization failure message: abc", "you may not"),
        ("", ""),
    ] {
        assert_eq!(one_line(text), line);
    }
}
