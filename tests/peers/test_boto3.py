"""boto3: the six EBS operations, EC2's snapshots, STS, and the errors as exception classes."""

import datetime
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from kit import BLOCK, block, checksum, completed, linear, put, readable, refused

ONCE = Config(retries={"total_max_attempts": 1})
ebs = boto3.client("ebs", config=ONCE)
ec2 = boto3.client("ec2", config=ONCE)
sts = boto3.client("sts", config=ONCE)


def test_a_snapshot_is_written_and_read_back():
    started = ebs.start_snapshot(
        VolumeSize=1, Description="peer", Timeout=60, Tags=[{"Key": "made-by", "Value": "boto3"}])
    assert started["ResponseMetadata"]["HTTPStatusCode"] == 201, started
    assert started["Status"] == "pending" and started["BlockSize"] == BLOCK, started
    assert started["Tags"] == [{"Key": "made-by", "Value": "boto3"}], started
    age = datetime.datetime.now(datetime.timezone.utc) - started["StartTime"]
    assert abs(age.total_seconds()) < 60, started
    snapshot = started["SnapshotId"]

    answer = put(ebs, snapshot, 5, 7)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201, answer
    assert answer["Checksum"] == block(7)[1] and answer["ChecksumAlgorithm"] == "SHA256", answer
    put(ebs, snapshot, 0, 0)
    done = ebs.complete_snapshot(
        SnapshotId=snapshot, ChangedBlocksCount=2, Checksum=linear([0, 7]), ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR")
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 202 and done["Status"] == "pending", done

    ec2.get_waiter("snapshot_completed").wait(
        SnapshotIds=[snapshot], WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    listed = readable(ebs, snapshot)
    assert [entry["BlockIndex"] for entry in listed["Blocks"]] == [0, 5], listed
    assert (listed["VolumeSize"], listed["BlockSize"], listed.get("NextToken")) == (1, BLOCK, None), listed
    days = (listed["ExpiryTime"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 86400
    assert 6 < days < 7.5, listed["ExpiryTime"]
    for entry, fill in zip(listed["Blocks"], [0, 7]):
        got = ebs.get_snapshot_block(
            SnapshotId=snapshot, BlockIndex=entry["BlockIndex"], BlockToken=entry["BlockToken"])
        data = got["BlockData"].read()
        assert data == block(fill)[0] and got["Checksum"] == checksum(data), fill
        assert (got["DataLength"], got["ChecksumAlgorithm"]) == (BLOCK, "SHA256"), got


def test_listings_are_paged():
    parent = completed(ebs, {index: 1 for index in range(105)})
    child = completed(ebs, {3: 2, 104: 1}, ParentSnapshotId=parent)
    indexes, token, pages = [], None, 0
    while True:
        more = {"NextToken": token} if token else {}
        page = ebs.list_snapshot_blocks(SnapshotId=child, MaxResults=100, **more)
        indexes += [entry["BlockIndex"] for entry in page["Blocks"]]
        token, pages = page.get("NextToken"), pages + 1
        if not token:
            break
    assert (indexes, pages) == (list(range(105)), 2)

    changed, token = [], None
    while True:
        more = {"NextToken": token} if token else {}
        page = ebs.list_changed_blocks(
            FirstSnapshotId=parent, SecondSnapshotId=child, MaxResults=100, **more)
        changed += page["ChangedBlocks"]
        token = page.get("NextToken")
        if not token:
            break
    assert [entry["BlockIndex"] for entry in changed] == [3, 104]
    assert all(entry["FirstBlockToken"] and entry["SecondBlockToken"] for entry in changed)
    for snapshot, side, fill in [(parent, "FirstBlockToken", 1), (child, "SecondBlockToken", 2)]:
        got = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=3, BlockToken=changed[0][side])
        assert got["BlockData"].read() == block(fill)[0], side


def test_errors_are_the_models_exceptions():
    errors = ebs.exceptions
    unknown = "snap-0ffffffffffffffff"
    answer = refused(errors.ResourceNotFoundException, ebs.list_snapshot_blocks, SnapshotId=unknown)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404, answer
    assert answer["Reason"] == "SNAPSHOT_NOT_FOUND", answer
    assert answer["Error"]["Message"] == f"The snapshot '{unknown}' does not exist.", answer
    one, other = completed(ebs, {0: 1}), completed(ebs, {0: 1})
    answer = refused(
        errors.ValidationException, ebs.list_changed_blocks, FirstSnapshotId=one, SecondSnapshotId=other)
    assert answer["Reason"] == "UNRELATED_SNAPSHOTS", answer
    answer = refused(
        errors.ValidationException, ebs.get_snapshot_block, SnapshotId=one, BlockIndex=0, BlockToken="AAAB")
    assert answer["Reason"] == "INVALID_BLOCK_TOKEN", answer
    answer = refused(
        errors.ValidationException, ebs.list_snapshot_blocks, SnapshotId=one, NextToken="AAAD")
    assert answer["Reason"] == "INVALID_PAGE_TOKEN", answer
    answer = refused(errors.ValidationException, ebs.list_snapshot_blocks, SnapshotId=one, MaxResults=20000)
    assert answer["Error"]["Message"].startswith("1 validation error detected: Value '20000' at 'maxResults'")
    answer = refused(errors.ValidationException, ebs.list_snapshot_blocks, SnapshotId="foo")
    assert "'snapshotId'" in answer["Error"]["Message"], answer


def test_a_block_that_is_not_what_it_claims_is_refused():
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    data, _ = block(1)
    claim = {"SnapshotId": snapshot, "DataLength": BLOCK, "ChecksumAlgorithm": "SHA256"}
    answer = refused(
        ClientError, ebs.put_snapshot_block, BlockIndex=0, BlockData=data, Checksum=block(2)[1], **claim)
    assert answer["Error"]["Code"] == "InvalidSignatureException", answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403, answer
    answer = refused(
        ebs.exceptions.ValidationException, ebs.put_snapshot_block, BlockIndex=2048, BlockData=data,
        Checksum=checksum(data), **claim)
    assert answer["Reason"] == "INVALID_BLOCK", answer
    answer = refused(
        ebs.exceptions.ValidationException, ebs.put_snapshot_block, BlockIndex=0, BlockData=b"short",
        Checksum=checksum(b"short"), **claim)
    assert answer["Error"]["Message"] == "Failed to read block data", answer


def test_starts_are_idempotent():
    token = str(uuid.uuid4())
    first = ebs.start_snapshot(VolumeSize=1, ClientToken=token)
    again = ebs.start_snapshot(VolumeSize=1, ClientToken=token)
    assert again["SnapshotId"] == first["SnapshotId"] and again["StartTime"] == first["StartTime"]
    answer = refused(ebs.exceptions.ConflictException, ebs.start_snapshot, VolumeSize=2, ClientToken=token)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 409, answer


def test_a_failed_completion_is_seen_by_the_waiter():
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    assert ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=9)["Status"] == "pending"
    try:
        ec2.get_waiter("snapshot_completed").wait(
            SnapshotIds=[snapshot], WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    except WaiterError as error:
        assert "terminal failure state" in str(error), error
    else:
        raise AssertionError("the waiter did not see it")
    described = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert described["State"] == "error", described
    assert described["StateMessage"] == "Changed blocks count mismatch for snapshot", described


def test_snapshots_are_described_filtered_and_paged():
    mark = uuid.uuid4().hex
    made = [
        completed(ebs, {0: 1}, Tags=[{"Key": "mark", "Value": mark}], Description=f"n {n} <&>")
        for n in range(12)
    ]
    mine = {"OwnerIds": ["self"], "Filters": [{"Name": "tag:mark", "Values": [mark]}]}
    pages = list(ec2.get_paginator("describe_snapshots").paginate(PaginationConfig={"PageSize": 5}, **mine))
    assert [len(page["Snapshots"]) for page in pages] == [5, 5, 2]
    found = [snapshot for page in pages for snapshot in page["Snapshots"]]
    assert sorted(snapshot["SnapshotId"] for snapshot in found) == sorted(made)
    one = next(snapshot for snapshot in found if snapshot["SnapshotId"] == made[3])
    assert one["Description"] == "n 3 <&>" and one["Progress"] == "100%", one
    assert (one["State"], one["VolumeSize"], one["VolumeId"]) == ("completed", 1, "vol-ffffffff"), one
    assert one["FullSnapshotSizeInBytes"] == BLOCK and one["StorageTier"] == "standard", one
    assert one["Encrypted"] is False and one["OwnerId"] == sts.get_caller_identity()["Account"], one
    assert isinstance(one["StartTime"], datetime.datetime), one
    assert one["CompletionTime"] >= one["StartTime"], one

    ec2.create_tags(Resources=made[:2], Tags=[{"Key": "extra", "Value": "ü=<>"}, {"Key": "mark2", "Value": ""}])
    tagged = ec2.describe_snapshots(
        Filters=[{"Name": "tag-key", "Values": ["extra"]}, {"Name": "tag:mark", "Values": [mark]}])["Snapshots"]
    assert sorted(snapshot["SnapshotId"] for snapshot in tagged) == sorted(made[:2])
    tags = {tag["Key"]: tag["Value"] for tag in tagged[0]["Tags"]}
    assert tags == {"mark": mark, "extra": "ü=<>", "mark2": ""}, tags


def test_a_deleted_snapshot_is_gone_and_its_child_whole():
    parent = completed(ebs, {0: 1, 1: 1})
    child = completed(ebs, {1: 2}, ParentSnapshotId=parent)
    assert refused(ClientError, ec2.delete_snapshot, SnapshotId=parent, DryRun=True)["Error"]["Code"] == "DryRunOperation"
    ec2.delete_snapshot(SnapshotId=parent)
    answer = refused(ClientError, ec2.describe_snapshots, SnapshotIds=[parent])
    assert answer["Error"]["Code"] == "InvalidSnapshot.NotFound", answer
    refused(ebs.exceptions.ResourceNotFoundException, ebs.list_snapshot_blocks, SnapshotId=parent)
    assert [entry["BlockIndex"] for entry in readable(ebs, child)["Blocks"]] == [0, 1]


def test_ec2_errors_have_codes():
    for call, arguments, code in [
        (ec2.describe_snapshots, {"SnapshotIds": ["snap-0ffffffffffffffff"]}, "InvalidSnapshot.NotFound"),
        (ec2.describe_snapshots, {"SnapshotIds": ["nonsense"]}, "InvalidSnapshotID.Malformed"),
        (ec2.describe_snapshots, {"MaxResults": 3}, "InvalidParameterValue"),
        (ec2.describe_vpcs, {}, "InvalidAction"),
        (sts.get_session_token, {}, "InvalidAction"),
    ]:
        answer = refused(ClientError, call, **arguments)
        assert answer["Error"]["Code"] == code, answer
        assert answer["ResponseMetadata"]["RequestId"], answer


def test_who_has_no_credentials_is_not_let_in():
    from botocore import UNSIGNED
    nobody = boto3.client("ebs", config=ONCE.merge(Config(signature_version=UNSIGNED)))
    answer = refused(ClientError, nobody.list_snapshot_blocks, SnapshotId="snap-0abc")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403, answer
    assert answer["Error"]["Code"] == "MissingAuthenticationTokenException", answer
