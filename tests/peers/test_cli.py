"""The AWS CLI, as a person types it."""

import os
import pathlib
import tempfile
import time

from kit import BLOCK, aws, block, checksum


def written(work, fills, *start):
    snapshot = aws("ebs", "start-snapshot", "--volume-size", "1", *start)["SnapshotId"]
    for index, fill in fills.items():
        data, sum_ = block(fill)
        file = pathlib.Path(work, "block")
        file.write_bytes(data)
        aws("ebs", "put-snapshot-block", "--snapshot-id", snapshot, "--block-index", str(index),
            "--data-length", str(BLOCK), "--block-data", str(file), "--checksum", sum_,
            "--checksum-algorithm", "SHA256")
    done = aws("ebs", "complete-snapshot", "--snapshot-id", snapshot, "--changed-blocks-count", str(len(fills)))
    assert done == {"Status": "pending"}, done
    time.sleep(0.2)
    return snapshot


def test_the_six_operations():
    with tempfile.TemporaryDirectory() as work:
        first = written(work, {0: 1, 9: 2}, "--description", "by the cli")
        second = written(work, {9: 3}, "--parent-snapshot-id", first)
        listed = aws("ebs", "list-snapshot-blocks", "--snapshot-id", second, "--max-results", "100")
        assert [entry["BlockIndex"] for entry in listed["Blocks"]] == [0, 9], listed
        changed = aws("ebs", "list-changed-blocks", "--first-snapshot-id", first, "--second-snapshot-id", second)
        assert [entry["BlockIndex"] for entry in changed["ChangedBlocks"]] == [9], changed
        out = os.path.join(work, "out")
        token = changed["ChangedBlocks"][0]["SecondBlockToken"]
        got = aws("ebs", "get-snapshot-block", "--snapshot-id", second, "--block-index", "9",
                  "--block-token", token, out)
        data = pathlib.Path(out).read_bytes()
        assert data == block(3)[0] and got["Checksum"] == checksum(data), got


def test_snapshots_are_described_by_owner_and_filter():
    with tempfile.TemporaryDirectory() as work:
        snapshot = written(work, {3: 4}, "--tags", "Key=Name,Value=cli-peer")
        aws("ec2", "create-tags", "--resources", snapshot, "--tags", "Key=more,Value=yes")
        found = aws("ec2", "describe-snapshots", "--owner-ids", "self", "--filters",
                    "Name=tag:Name,Values=cli-p*", "Name=status,Values=completed", f"Name=snapshot-id,Values={snapshot}")
        assert [entry["SnapshotId"] for entry in found["Snapshots"]] == [snapshot], found
        aws("ec2", "wait", "snapshot-completed", "--snapshot-ids", snapshot)
        aws("ec2", "delete-snapshot", "--snapshot-id", snapshot)
        aws("ec2", "describe-snapshots", "--snapshot-ids", snapshot, fails="InvalidSnapshot.NotFound")


def test_the_caller_is_known():
    identity = aws("sts", "get-caller-identity")
    assert len(identity["Account"]) == 12 and identity["Arn"].startswith("arn:aws:iam::"), identity


def test_refusals_are_readable():
    aws("ebs", "list-snapshot-blocks", "--snapshot-id", "snap-0ffffffffffffffff",
        fails="An error occurred (ResourceNotFoundException) when calling the ListSnapshotBlocks operation: "
              "The snapshot 'snap-0ffffffffffffffff' does not exist.")
    aws("ec2", "describe-regions", fails="(InvalidAction)")
