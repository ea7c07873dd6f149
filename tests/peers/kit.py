"""Runs the tests of the files it is given, and holds what they share."""

import base64
import hashlib
import importlib.util
import json
import pathlib
import subprocess
import sys
import time
import traceback

BLOCK = 524288


def block(fill):
    """A block filled with one byte, and its checksum as the wire has it."""
    data = bytes([fill]) * BLOCK
    return data, checksum(data)


def checksum(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def linear(fills):
    """The LINEAR aggregate of blocks with these fills, by ascending index."""
    digests = b"".join(hashlib.sha256(block(fill)[0]).digest() for fill in fills)
    return base64.b64encode(hashlib.sha256(digests).digest()).decode()


def put(ebs, snapshot, index, fill):
    data, sum_ = block(fill)
    return ebs.put_snapshot_block(
        SnapshotId=snapshot, BlockIndex=index, BlockData=data, DataLength=BLOCK,
        Checksum=sum_, ChecksumAlgorithm="SHA256")


def readable(ebs, snapshot):
    """Waits until a completed snapshot can be listed."""
    for _ in range(100):
        try:
            return ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100)
        except ebs.exceptions.ResourceNotFoundException:
            time.sleep(0.05)
    raise AssertionError(f"{snapshot} never became readable")


def completed(ebs, blocks, **start):
    """Starts, writes {index: fill} and completes; returns when it can be read."""
    start.setdefault("VolumeSize", 1)
    snapshot = ebs.start_snapshot(**start)["SnapshotId"]
    for index, fill in blocks.items():
        put(ebs, snapshot, index, fill)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(blocks))
    readable(ebs, snapshot)
    return snapshot


def aws(*arguments, fails=None):
    """Runs the AWS CLI, as a person types it. What it prints, or with `fails` what it complains of."""
    done = subprocess.run(["aws", *arguments], capture_output=True, text=True, timeout=60)
    if fails is None:
        assert done.returncode == 0, (arguments, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None
    assert done.returncode != 0 and fails in done.stderr, (arguments, done.stdout, done.stderr)
    return None


def refused(exception, call, **arguments):
    """The error that a call must end with."""
    try:
        call(**arguments)
    except exception as error:
        return error.response
    raise AssertionError(f"{call} was not refused")


def main(files):
    passed, failed = 0, []
    for file in files:
        spec = importlib.util.spec_from_file_location(pathlib.Path(file).stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, test in list(vars(module).items()):
            if not name.startswith("test_"):
                continue
            try:
                test()
                passed += 1
            except Exception:
                failed.append(name)
                print(f"FAILED {spec.name}.{name}", file=sys.stderr)
                traceback.print_exc()
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
