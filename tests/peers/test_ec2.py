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


def test_a_snapshot_is_in_one_region_until_it_is_copied():
    snapshot = completed(ebs, {0: 1, 9: 2})
    west = boto3.client("ec2", region_name="eu-west-1", config=ONCE)
    west_ebs = boto3.client("ebs", region_name="eu-west-1", config=ONCE)
    assert code(west.describe_snapshots, SnapshotIds=[snapshot]) == "InvalidSnapshot.NotFound"
    assert code(west_ebs.list_snapshot_blocks, SnapshotId=snapshot) == "ResourceNotFoundException"
    tags = [{"Key": "copied", "Value": "yes"}]
    copy = west.copy_snapshot(
        SourceRegion="us-east-1", SourceSnapshotId=snapshot, Description="peer", Encrypted=True,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    assert copy["Tags"] == tags, copy
    west.get_waiter("snapshot_completed").wait(SnapshotIds=[copy["SnapshotId"]], WaiterConfig=SOON)
    seen = west.describe_snapshots(SnapshotIds=[copy["SnapshotId"]])["Snapshots"][0]
    assert (seen["Encrypted"], seen["Description"], seen["Tags"]) == (True, "peer", tags), seen
    assert seen["KmsKeyId"].startswith("arn:aws:kms:eu-west-1:"), seen
    blocks = west_ebs.list_snapshot_blocks(SnapshotId=copy["SnapshotId"])["Blocks"]
    assert [block["BlockIndex"] for block in blocks] == [0, 9], blocks
    west.delete_snapshot(SnapshotId=copy["SnapshotId"])
    lost = west.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId="snap-0fff")["SnapshotId"]
    seen = west.describe_snapshots(SnapshotIds=[lost])["Snapshots"][0]
    assert (seen["State"], seen["StateMessage"]) == ("error", "Source snapshot is not found"), seen


def test_a_locked_snapshot_stays():
    snapshot = completed(ebs, {})
    locked = ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=2)
    assert (locked["LockState"], locked["LockDuration"]) == ("governance", 2), locked
    told = ec2.describe_locked_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert [(one["SnapshotId"], one["LockState"]) for one in told] == [(snapshot, "governance")], told
    assert refused(ClientError, ec2.delete_snapshot, SnapshotId=snapshot)["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert ec2.unlock_snapshot(SnapshotId=snapshot)["SnapshotId"] == snapshot
    ec2.delete_snapshot(SnapshotId=snapshot)


def test_a_region_encrypts_by_default_when_told_to():
    north = boto3.client("ec2", region_name="eu-north-1", config=ONCE)
    assert north.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
    assert north.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"] is True
    managed = north.get_ebs_default_kms_key_id()["KmsKeyId"]
    made = north.create_volume(AvailabilityZone="eu-north-1a", Size=1)
    assert (made["Encrypted"], made["KmsKeyId"]) == (True, managed), made
    assert north.modify_ebs_default_kms_key_id(KmsKeyId="mine")["KmsKeyId"].endswith(":key/mine")
    assert north.reset_ebs_default_kms_key_id()["KmsKeyId"] == managed
    assert north.disable_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
    lost = north.create_volume(AvailabilityZone="eu-north-1a", Size=1, Encrypted=True, KmsKeyId="alias/nobody")
    north.get_waiter("volume_deleted").wait(VolumeIds=[lost["VolumeId"]], WaiterConfig=SOON)


def test_a_deleted_volume_lies_in_the_recycle_bin_and_comes_back():
    south = boto3.client("ec2", region_name="sa-east-1", config=ONCE)
    volume = south.create_volume(AvailabilityZone="sa-east-1a", Size=3, VolumeType="gp3")["VolumeId"]
    south.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=SOON)
    south.delete_volume(VolumeId=volume)
    south.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=SOON)
    binned = south.list_volumes_in_recycle_bin()["Volumes"]
    assert [(one["VolumeId"], one["Size"], one["VolumeType"]) for one in binned] == [(volume, 3, "gp3")], binned
    assert (binned[0]["RecycleBinExitTime"] - binned[0]["RecycleBinEnterTime"]).days == 2, binned
    assert south.restore_volume_from_recycle_bin(VolumeId=volume)["Return"] is True
    assert south.list_volumes_in_recycle_bin()["Volumes"] == []
    assert south.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"


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


def test_launch_templates_tell_which_snapshots_they_need():
    snapshot = completed(ebs, {})
    name = f"peer-{uuid.uuid4()}"
    mapped = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "DeleteOnTermination": True}}]
    first = ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"ImageId": "ami-0abc", "BlockDeviceMappings": mapped})
    template = first["LaunchTemplate"]["LaunchTemplateId"]
    assert (first["LaunchTemplate"]["DefaultVersionNumber"], first["LaunchTemplate"]["LatestVersionNumber"]) == (1, 1)
    assert code(ec2.create_launch_template, LaunchTemplateName=name, LaunchTemplateData={"ImageId": "ami-0abc"}) == (
        "InvalidLaunchTemplateName.AlreadyExistsException")
    for _ in range(2):
        made = ec2.create_launch_template_version(
            LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={"InstanceType": "m6i.large"})
    assert made["LaunchTemplateVersion"]["VersionNumber"] == 3, made
    assert made["LaunchTemplateVersion"]["LaunchTemplateData"]["ImageId"] == "ami-0abc", made

    walk = ec2.get_paginator("describe_launch_template_versions").paginate(
        Versions=["$Latest", "$Default"], PaginationConfig={"PageSize": 1})
    told = [one for page in walk for one in page["LaunchTemplateVersions"] if one["LaunchTemplateName"] == name]
    assert [(one["VersionNumber"], one["DefaultVersion"]) for one in told] == [(1, True), (3, False)], told
    data = told[0]["LaunchTemplateData"]
    assert data["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == snapshot, data
    assert "BlockDeviceMappings" not in told[1]["LaunchTemplateData"], "snapshots are not taken over from a source"
    every = ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    assert [one["VersionNumber"] for one in every] == [1, 2, 3], every
    second = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["2"])
    assert second["LaunchTemplateVersions"][0]["CreatedBy"].startswith("arn:aws:iam::"), second
    assert code(ec2.describe_launch_template_versions, LaunchTemplateId=template, Versions=["9"]) == (
        "InvalidLaunchTemplateId.VersionNotFound")
    assert code(ec2.describe_launch_template_versions) == "MissingParameter"
    assert ec2.delete_launch_template(LaunchTemplateId=template)["LaunchTemplate"]["LaunchTemplateName"] == name
    assert code(ec2.describe_launch_template_versions, LaunchTemplateId=template) == "InvalidLaunchTemplateId.NotFound"
    assert code(ec2.delete_launch_template, LaunchTemplateName=name) == (
        "InvalidLaunchTemplateName.NotFoundException")
