"""boto3 and the AWS CLI: volumes, instances, tags, and what else EC2 tells around snapshots."""

import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from kit import aws, completed, refused

ONCE = Config(retries={"total_max_attempts": 1})
SOON = {"Delay": 1, "MaxAttempts": 20}
ebs = boto3.client("ebs", config=ONCE)
ec2 = boto3.client("ec2", config=ONCE)


def code(call, **arguments):
    return refused(ClientError, call, **arguments)["Error"]["Code"]


def host(zone):
    found = ec2.describe_instances(Filters=[{"Name": "availability-zone", "Values": [zone]}])
    return found["Reservations"][0]["Instances"][0]


def test_a_volume_lives_as_its_waiters_expect():
    snapshot = completed(ebs, {0: 1, 7: 2})
    tags = [{"Key": "icecore:run", "Value": "peer"}]
    token = str(uuid.uuid4())
    asked = dict(
        AvailabilityZone="us-east-1a", SnapshotId=snapshot, VolumeType="gp3", Iops=4000, Throughput=250,
        ClientToken=token, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}])
    made = ec2.create_volume(**asked)
    volume = made["VolumeId"]
    assert (made["State"], made["Size"], made["SnapshotId"]) == ("creating", 1, snapshot), made
    assert (made["VolumeType"], made["Iops"], made["Throughput"]) == ("gp3", 4000, 250), made
    assert made["Tags"] == tags and made["Encrypted"] is False, made
    assert "Attachments" not in made, made
    assert ec2.create_volume(**asked)["VolumeId"] == volume
    assert code(ec2.create_volume, **{**asked, "Iops": 5000}) == "IdempotentParameterMismatch"

    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=SOON)
    status = ec2.describe_volume_status(VolumeIds=[volume])["VolumeStatuses"][0]
    names = {detail["Name"]: detail["Status"] for detail in status["VolumeStatus"]["Details"]}
    assert names["initialization-state"] in ("initializing", "completed"), status
    assert 0 <= status["InitializationStatusDetails"]["Progress"] <= 100, status
    assert status["InitializationStatusDetails"]["InitializationType"] == "default", status

    instance = host("us-east-1a")["InstanceId"]
    attached = ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdp")
    assert (attached["State"], attached["InstanceId"], attached["Device"]) == ("attaching", instance, "/dev/sdp")
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig=SOON)
    mapped = host("us-east-1a")["BlockDeviceMappings"]
    assert [one["Ebs"]["VolumeId"] for one in mapped] == [volume], mapped
    assert code(ec2.delete_volume, VolumeId=volume) == "VolumeInUse"
    assert code(ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdq") == "VolumeInUse"
    assert ec2.detach_volume(VolumeId=volume)["State"] == "detaching"
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=SOON)
    ec2.delete_volume(VolumeId=volume)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=SOON)
    assert code(ec2.describe_volumes, VolumeIds=[volume]) == "InvalidVolume.NotFound"


def test_volumes_are_found_by_filter_and_page():
    made = [ec2.create_volume(AvailabilityZone="us-east-1b", Size=1)["VolumeId"] for _ in range(7)]
    ec2.create_tags(Resources=made, Tags=[{"Key": "set", "Value": "pages"}])
    ec2.get_waiter("volume_available").wait(VolumeIds=made, WaiterConfig=SOON)
    ours = [{"Name": "tag:set", "Values": ["pages"]}, {"Name": "status", "Values": ["available"]}]
    pages = list(ec2.get_paginator("describe_volumes").paginate(Filters=ours, PaginationConfig={"PageSize": 5}))
    assert [len(page["Volumes"]) for page in pages] == [5, 2], pages
    found = [volume["VolumeId"] for page in pages for volume in page["Volumes"]]
    assert sorted(found) == sorted(made), found
    ec2.delete_tags(Resources=made[:1], Tags=[{"Key": "set"}])
    ec2.delete_tags(Resources=made[1:2], Tags=[{"Key": "set", "Value": "other"}])
    left = ec2.describe_volumes(Filters=ours)["Volumes"]
    assert len(left) == 6, left
    for volume in made:
        ec2.delete_volume(VolumeId=volume)


def test_refusals_have_ec2s_codes():
    volume = ec2.create_volume(AvailabilityZone="us-east-1b", Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=SOON)
    here = host("us-east-1a")["InstanceId"]
    attach = dict(VolumeId=volume, InstanceId=here, Device="/dev/sdf")
    assert code(ec2.attach_volume, **attach) == "InvalidVolume.ZoneMismatch"
    assert code(ec2.attach_volume, **{**attach, "InstanceId": "i-0fff"}) == "InvalidInstanceID.NotFound"
    assert code(ec2.detach_volume, VolumeId=volume) == "IncorrectState"
    assert code(ec2.create_volume, AvailabilityZone="us-east-1z", Size=1) == "InvalidZone.NotFound"
    assert code(ec2.create_volume, AvailabilityZone="us-east-1a", SnapshotId="snap-0fff") == "InvalidSnapshot.NotFound"
    assert code(ec2.delete_volume, VolumeId=volume, DryRun=True) == "DryRunOperation"
    assert code(ec2.describe_images, ImageIds=["ami-0fff"]) == "InvalidAMIID.NotFound"
    ec2.delete_volume(VolumeId=volume)


def test_what_holds_snapshots_is_told_empty_where_there_is_nothing():
    snapshot = completed(ebs, {})
    assert ec2.describe_images(Owners=["self"], IncludeDisabled=True, IncludeDeprecated=True)["Images"] == []
    assert ec2.describe_locked_snapshots()["Snapshots"] == []
    assert ec2.describe_fast_snapshot_restores()["FastSnapshotRestores"] == []
    assert ec2.list_snapshots_in_recycle_bin()["Snapshots"] == []
    assert ec2.list_images_in_recycle_bin()["Images"] == []
    shared = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    assert (shared["SnapshotId"], shared["CreateVolumePermissions"]) == (snapshot, []), shared
    mine = [{"Name": "snapshot-id", "Values": [snapshot]}]
    tier = ec2.describe_snapshot_tier_status(Filters=mine)["SnapshotTierStatuses"]
    assert [(one["SnapshotId"], one["StorageTier"]) for one in tier] == [(snapshot, "standard")], tier


def test_each_region_has_its_own_volumes_and_zones():
    west = boto3.client("ec2", region_name="eu-west-1", config=ONCE)
    volume = west.create_volume(AvailabilityZone="eu-west-1a", Size=2)["VolumeId"]
    assert [one["VolumeId"] for one in west.describe_volumes()["Volumes"]] == [volume]
    assert code(ec2.describe_volumes, VolumeIds=[volume]) == "InvalidVolume.NotFound"
    west.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=SOON)
    west.delete_volume(VolumeId=volume)


def test_the_cli_makes_and_deletes_a_volume():
    made = aws("ec2", "create-volume", "--availability-zone", "us-east-1a", "--size", "1", "--encrypted",
               "--tag-specifications", "ResourceType=volume,Tags=[{Key=Name,Value=cli}]")
    assert made["Encrypted"] is True and made["KmsKeyId"].startswith("arn:aws:kms:"), made
    volume = made["VolumeId"]
    aws("ec2", "wait", "volume-available", "--volume-ids", volume)
    aws("ec2", "attach-volume", "--volume-id", volume, "--instance-id", host("us-east-1b")["InstanceId"],
        "--device", "/dev/sdf", fails="(InvalidVolume.ZoneMismatch)")
    aws("ec2", "delete-volume", "--volume-id", volume)
    aws("ec2", "wait", "volume-deleted", "--volume-ids", volume)
