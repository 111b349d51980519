import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.cloud import LocalCloud
from tests.lab.cloud.fleets import eventually, fleet_config, make_template, members, request_fleet

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
SCRIPT = """#!/bin/bash
cd "$SPOTBATCH_ROOT/tmp"
export AWS_DEFAULT_REGION=us-east-1
env | grep -c AWS_ACCESS_KEY_ID
aws s3 cp s3://job/allowed/code got && cat got
aws s3 cp s3://job/forbidden/code other
echo mine | aws s3 cp - s3://job/allowed/result
curl -sI https://aws.amazon.com || echo no way out
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), auth=True) as running:
        yield running


def test_machines_act_with_their_roles_keys_and_nothing_else(strict: LocalCloud):
    iam, s3 = strict.client("iam"), strict.client("s3")
    s3.create_bucket(Bucket="job")
    s3.put_object(Bucket="job", Key="allowed/code", Body=b"the code\n")
    s3.put_object(Bucket="job", Key="forbidden/code", Body=b"secret\n")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST))
    allow = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::job/allowed/*"}
    iam.put_role_policy(RoleName="worker", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    profile = iam.create_instance_profile(InstanceProfileName="worker")["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName="worker")

    template = make_template(strict, SCRIPT, IamInstanceProfile={"Arn": profile["Arn"]})
    (one,) = members(strict, request_fleet(strict, fleet_config(template, [("m5.xlarge", "a")])))
    assert eventually(lambda: "no way out" in one.console.read_text(), seconds=30), one.console.read_text()
    said = one.console.read_text()
    assert "\n0\n" in said, "no static keys on a machine"
    assert "the code" in said
    assert "secret" not in said and "AccessDenied" in said
    assert s3.get_object(Bucket="job", Key="allowed/result")["Body"].read() == b"mine\n"


def test_a_machine_without_a_profile_has_no_keys(strict: LocalCloud):
    template = make_template(strict, "#!/bin/bash\nAWS_DEFAULT_REGION=us-east-1 aws s3 cp s3://job/allowed/code - ; echo over\n")
    (one,) = members(strict, request_fleet(strict, fleet_config(template, [("c5.xlarge", "a")])))
    assert eventually(lambda: "over" in one.console.read_text(), seconds=30)
    assert "Unable to locate credentials" in one.console.read_text()


@pytest.mark.parametrize(
    ("resource", "allowed"), [("{arn}", True), ("arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/g", True), ("{arn}x", False)]
)
def test_a_policy_on_a_group_covers_that_group_alone(strict: LocalCloud, resource: str, allowed: bool):
    iam, scaling = strict.client("iam"), strict.client("autoscaling")
    groups = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["g"])["AutoScalingGroups"]
    if not groups:
        policy = {"LaunchTemplate": {"LaunchTemplateSpecification": make_template(strict), "Overrides": [{"InstanceType": "m5.large"}]}}
        scaling.create_auto_scaling_group(
            AutoScalingGroupName="g", MinSize=0, MaxSize=1, AvailabilityZones=["us-east-1a"], MixedInstancesPolicy=policy
        )
        groups = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["g"])["AutoScalingGroups"]
        iam.create_role(
            RoleName="handler", AssumeRolePolicyDocument=json.dumps({**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": "*"}}]})
        )
    statement = {"Effect": "Allow", "Action": "autoscaling:DetachInstances", "Resource": resource.format(arn=groups[0]["AutoScalingGroupARN"])}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="handler", PolicyName="p", PolicyDocument=document)
    keys = strict.client("sts").assume_role(RoleArn="arn:aws:iam::000000000000:role/handler", RoleSessionName="test")["Credentials"]
    handler = boto3.client(
        "autoscaling",
        endpoint_url=strict.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    with pytest.raises(ClientError, match="is not part of Auto Scaling group" if allowed else "AccessDenied"):
        handler.detach_instances(AutoScalingGroupName="g", InstanceIds=["i-1"], ShouldDecrementDesiredCapacity=False)


def test_a_policy_that_demands_tls_does_not_shut_out_the_lab(strict: LocalCloud):
    sqs = strict.client("sqs")
    queue = sqs.create_queue(QueueName="tls")["QueueUrl"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [deny]})})
    sqs.send_message(QueueUrl=queue, MessageBody="in")
