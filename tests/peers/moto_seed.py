"""Fills a moto server with what the test in tests/it/moto.rs looks for, and prints its names for a shell."""

import sys

import boto3

ec2 = boto3.client("ec2", endpoint_url=sys.argv[1], region_name="us-east-1",
                   aws_access_key_id="AKPEER", aws_secret_access_key="secret")
launched = ec2.run_instances(
    ImageId=ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"], MinCount=1, MaxCount=1,
    InstanceType="m5.large", Placement={"AvailabilityZone": "us-east-1a"},
    TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "peer"}]}])
volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=3, VolumeType="gp3")["VolumeId"]
snapshot = ec2.create_snapshot(VolumeId=volume, Description="peer")["SnapshotId"]
ec2.modify_snapshot_attribute(
    SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add",
    UserIds=["222222222222", "111111111111"])
image = ec2.register_image(
    Name="peer", RootDeviceName="/dev/xvda",
    BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 3}}])
print(f"snapshot={snapshot}")
print(f"instance={launched['Instances'][0]['InstanceId']}")
print(f"image={image['ImageId']}")
