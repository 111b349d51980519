import pytest
from botocore.exceptions import ClientError

from lab.cloud import LocalCloud

DATA = {
    "ImageId": "ami-1",
    "InstanceInitiatedShutdownBehavior": "terminate",
    "IamInstanceProfile": {"Arn": "arn:aws:iam::000000000000:instance-profile/p"},
    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled", "InstanceMetadataTags": "enabled"},
    "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": False, "DeleteOnTermination": True, "Groups": ["sg-1", "sg-2"]}],
    "BlockDeviceMappings": [
        {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": 20, "KmsKeyId": "k", "DeleteOnTermination": True}}
    ],
    "TagSpecifications": [{"ResourceType": kind, "Tags": [{"Key": "a & b", "Value": "<c>"}]} for kind in ("instance", "network-interface")],
    "UserData": "IyEvYmluL2Jhc2gK",
    "Monitoring": {"Enabled": True},
    "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.1"}},
}


def test_a_template_gives_back_everything_it_was_given(cloud: LocalCloud):
    ec2 = cloud.client("ec2")
    made = ec2.create_launch_template(LaunchTemplateName="whole", LaunchTemplateData=DATA)["LaunchTemplate"]
    ec2.create_launch_template_version(LaunchTemplateId=made["LaunchTemplateId"], LaunchTemplateData={**DATA, "ImageId": "ami-2"})
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=made["LaunchTemplateId"])["LaunchTemplateVersions"]
    assert [one["LaunchTemplateData"] for one in versions] == [{**DATA, "ImageId": "ami-2"}, DATA]


def test_a_template_with_a_value_that_ec2_does_not_know_is_refused(cloud: LocalCloud):
    with pytest.raises(ClientError, match=r"Value \(perhaps\) for parameter LaunchTemplateData.MetadataOptions.HttpTokens is invalid"):
        cloud.client("ec2").create_launch_template(LaunchTemplateName="bad", LaunchTemplateData={"MetadataOptions": {"HttpTokens": "perhaps"}})
