"""Every type, with real calls: made, read back without drift, changed, taken away by hand and seen to be gone, removed."""

import pytest

from lab.provider.resource import RESOURCES
from lab.provider.wire import UNKNOWN, Properties

from .engine_side import EngineSide, Made
from .ground import Ground
from .programs import ALARM_ARN, PATTERN, SOUND, archive, statement

TAGGED: Properties = {"tags": {"a": "c", "new": "d"}}
WIDER = statement(Action=["sqs:ReceiveMessage", "sqs:DeleteMessage"], Resource="*")

UPDATES: dict[str, Properties] = {
    "appautoscaling/policy:Policy": {
        "stepScalingPolicyConfiguration": {
            "adjustmentType": "ExactCapacity",
            "stepAdjustments": [{"metricIntervalLowerBound": "0", "scalingAdjustment": 3}],
        }
    },
    "appautoscaling/target:Target": {"maxCapacity": 8},
    "autoscaling/group:Group": {"maxSize": 6, "suspendedProcesses": [], "tags": [{"key": "b", "value": "c", "propagateAtLaunch": False}]},
    "autoscaling/lifecycleHook:LifecycleHook": {"heartbeatTimeout": 60},
    "autoscaling/policy:Policy": {"stepAdjustments": [{"metricIntervalLowerBound": "0", "scalingAdjustment": 3}]},
    "cloudwatch/eventRule:EventRule": {"eventPattern": PATTERN.replace("terminate", "stop"), "state": "DISABLED", **TAGGED},
    "cloudwatch/eventTarget:EventTarget": {"retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 1}},
    "cloudwatch/logGroup:LogGroup": {"retentionInDays": 7, **TAGGED},
    "cloudwatch/logMetricFilter:LogMetricFilter": {"pattern": "WARN"},
    "cloudwatch/metricAlarm:MetricAlarm": {"threshold": 2, "alarmActions": [ALARM_ARN.replace("cloudwatch", "sns")], **TAGGED},
    "dynamodb/table:Table": {"deletionProtectionEnabled": False, "pointInTimeRecovery": {"enabled": False}, **TAGGED},
    "ec2/eip:Eip": TAGGED,
    "ec2/internetGateway:InternetGateway": TAGGED,
    "ec2/launchTemplate:LaunchTemplate": {"instanceType": "c5.xlarge", **TAGGED},
    "ec2/natGateway:NatGateway": TAGGED,
    "ec2/routeTable:RouteTable": TAGGED,
    "ec2/securityGroup:SecurityGroup": {
        "egress": [],
        "ingress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/16"]}],
        **TAGGED,
    },
    "ec2/spotFleetRequest:SpotFleetRequest": {"targetCapacity": 1, **TAGGED},
    "ec2/subnet:Subnet": {"mapPublicIpOnLaunch": True, **TAGGED},
    "ec2/vpc:Vpc": {"enableDnsHostnames": False, **TAGGED},
    "ec2/vpcEndpoint:VpcEndpoint": {"routeTableIds": [], **TAGGED},
    "eks/accessEntry:AccessEntry": TAGGED,
    "eks/addon:Addon": {"addonVersion": "v1.12.0-eksbuild.1", **TAGGED},
    "eks/cluster:Cluster": TAGGED,
    "eks/nodeGroup:NodeGroup": TAGGED,
    "eks/podIdentityAssociation:PodIdentityAssociation": {"disableSessionTags": True},
    "fis/experimentTemplate:ExperimentTemplate": {"description": "another", **TAGGED},
    "iam/instanceProfile:InstanceProfile": TAGGED,
    "iam/policy:Policy": {"policy": WIDER, **TAGGED},
    "iam/role:Role": {"assumeRolePolicy": statement(Principal={"Service": "ec2.amazonaws.com"}, Action="sts:AssumeRole"), **TAGGED},
    "iam/rolePolicy:RolePolicy": {"policy": WIDER},
    "lambda/eventSourceMapping:EventSourceMapping": {"batchSize": 5},
    "lambda/function:Function": {"code": archive("def handle(event, context): return 2\n"), "timeout": 30, **TAGGED},
    "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": {"maximumRetryAttempts": 2},
    "s3/bucket:Bucket": TAGGED,
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "rules": [{"id": "old", "status": "Enabled", "filter": {"prefix": "runs/"}, "expiration": {"days": 7}}]
    },
    "s3/bucketObjectv2:BucketObjectv2": {"content": "hello again"},
    "s3/bucketOwnershipControls:BucketOwnershipControls": {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {"ignorePublicAcls": False},
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]
    },
    "s3/bucketVersioning:BucketVersioning": {"versioningConfiguration": {"status": "Suspended"}},
    "scheduler/schedule:Schedule": {"scheduleExpression": "rate(5 minutes)"},
    "sns/topic:Topic": {"displayName": "Alarms", **TAGGED},
    "sqs/queue:Queue": {"visibilityTimeoutSeconds": 90, **TAGGED},
    "sqs/queuePolicy:QueuePolicy": {"policy": statement(Principal="*", Action="sqs:SendMessage", Resource="*")},
    "sqs/redriveAllowPolicy:RedriveAllowPolicy": {"redriveAllowPolicy": '{"redrivePermission": "denyAll"}'},
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"toPort": 444},
}
"""What can be changed in place."""

NEVER_GONE = {
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "s3/bucketVersioning:BucketVersioning",
}
"""Removing these gives a bucket AWS's own encryption back, and suspends its versions: neither can be taken off a bucket."""

REPLACEMENTS: dict[str, Properties] = {
    "appautoscaling/policy:Policy": {"name": "another"},
    "appautoscaling/target:Target": {"resourceId": "spot-fleet-request/sfr-2"},
    "autoscaling/group:Group": {"name": "another"},
    "autoscaling/lifecycleHook:LifecycleHook": {"autoscalingGroupName": "another"},
    "cloudwatch/eventRule:EventRule": {"eventBusName": "another"},
    "cloudwatch/eventTarget:EventTarget": {"targetId": "another"},
    "cloudwatch/logGroup:LogGroup": {"name": "another"},
    "dynamodb/table:Table": {"hashKey": "state"},
    "ec2/launchTemplate:LaunchTemplate": {"name": "another"},
    "ec2/natGateway:NatGateway": {"subnetId": "subnet-2"},
    "ec2/route:Route": {"destinationCidrBlock": "10.9.0.0/16"},
    "ec2/routeTable:RouteTable": {"vpcId": "vpc-2"},
    "ec2/routeTableAssociation:RouteTableAssociation": {"routeTableId": "rtb-2"},
    "ec2/securityGroup:SecurityGroup": {"description": "another"},
    "ec2/spotFleetRequest:SpotFleetRequest": {"allocationStrategy": "diversified"},
    "ec2/subnet:Subnet": {"availabilityZone": "us-east-1b"},
    "ec2/vpc:Vpc": {"cidrBlock": "10.1.0.0/16"},
    "ec2/vpcEndpoint:VpcEndpoint": {"serviceName": "com.amazonaws.us-east-1.dynamodb"},
    "eks/accessEntry:AccessEntry": {"type": "STANDARD"},
    "eks/accessPolicyAssociation:AccessPolicyAssociation": {"accessScope": {"type": "namespace", "namespaces": ["batch"]}},
    "eks/addon:Addon": {"addonName": "kube-proxy"},
    "eks/cluster:Cluster": {"roleArn": "arn:aws:iam::000000000000:role/another"},
    "eks/nodeGroup:NodeGroup": {"instanceTypes": ["m6i.xlarge"], "subnetIds": ["subnet-3"]},
    "eks/podIdentityAssociation:PodIdentityAssociation": {"serviceAccount": "another"},
    "iam/policy:Policy": {"description": "another"},
    "iam/role:Role": {"path": "/batch/"},
    "iam/rolePolicy:RolePolicy": {"role": "another"},
    "iam/rolePolicyAttachment:RolePolicyAttachment": {"policyArn": "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"},
    "lambda/eventSourceMapping:EventSourceMapping": {"eventSourceArn": "arn:aws:sqs:us-east-1:000000000000:another"},
    "lambda/function:Function": {"name": "another"},
    "lambda/permission:Permission": {"principal": "s3.amazonaws.com"},
    "s3/bucket:Bucket": {"bucket": "another"},
    "s3/bucketObjectv2:BucketObjectv2": {"key": "code/b.txt"},
    "s3/bucketVersioning:BucketVersioning": {"bucket": "another"},
    "sqs/queue:Queue": {"fifoQueue": True},
    "sqs/queuePolicy:QueuePolicy": {"queueUrl": "http://another"},
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": {"securityGroupId": "sg-2"},
}
"""What needs a new resource."""


@pytest.fixture(scope="module")
def ground(engine: EngineSide) -> Ground:
    return Ground(engine)


@pytest.mark.parametrize("kind", sorted(SOUND))
def test_a_resource_lives_as_declared_changes_in_place_and_goes(engine: EngineSide, ground: Ground, kind: str) -> None:
    wanted = ground.settings(kind)
    made = engine.make(kind, wanted)
    seen = engine.refresh(made)
    assert seen is not None
    assert seen.inputs == made.inputs, "no drift right after creation"
    assert not engine.diff(made, wanted).diffs, "a second up changes nothing"

    if kind in UPDATES:
        changed = {**wanted, **UPDATES[kind]}
        diff = engine.diff(made, changed)
        assert sorted(diff.diffs) == sorted(name for name in UPDATES[kind] if UPDATES[kind][name] != wanted.get(name))
        assert not diff.replaces
        made = engine.change(made, changed)
        seen = engine.refresh(made)
        assert seen is not None
        assert seen.inputs == made.inputs, "no drift after the change"

    engine.remove(made)
    if kind not in NEVER_GONE:
        assert engine.refresh(made) is None
    engine.remove(made)


@pytest.mark.parametrize("kind", sorted(REPLACEMENTS))
def test_what_aws_cannot_change_is_replaced(kind: str) -> None:
    engine = EngineSide()
    before = {name: value for name, value in SOUND[kind].items() if value != UNKNOWN}
    inputs, _ = engine.check(kind, before)
    diff = engine.diff(_made(kind, inputs), {**before, **REPLACEMENTS[kind]})
    assert sorted(diff.replaces) == sorted(REPLACEMENTS[kind])


def test_every_output_that_up_will_know_is_unknown_in_a_preview() -> None:
    engine = EngineSide()
    for token, kind in RESOURCES.items():
        name = token.removeprefix("aws:")
        previewed = engine.preview(name, SOUND[name])
        assert {output for output in kind.outputs if previewed[output] == UNKNOWN} | set(SOUND[name]) >= set(kind.outputs), token


def test_a_new_template_version_is_unknown_in_the_preview_of_the_change(engine: EngineSide, ground: Ground) -> None:
    """Otherwise the preview would hide that the fleet follows."""
    wanted = ground.settings("ec2/launchTemplate:LaunchTemplate")
    made = engine.make("ec2/launchTemplate:LaunchTemplate", wanted)
    changed = {**wanted, "instanceType": "c5.xlarge"}
    assert engine.change(made, changed, preview=True).outputs["latestVersion"] == UNKNOWN
    assert engine.change(made, changed).outputs["latestVersion"] == 2
    engine.remove(made)


def test_a_change_of_tags_alone_makes_no_new_template_version(engine: EngineSide, ground: Ground) -> None:
    wanted = ground.settings("ec2/launchTemplate:LaunchTemplate")
    made = engine.make("ec2/launchTemplate:LaunchTemplate", wanted)
    assert engine.change(made, {**wanted, **TAGGED}).outputs["latestVersion"] == 1
    engine.remove(made)


def _made(kind: str, inputs: Properties) -> Made:

    return Made(kind, f"urn:pulumi:test::test::aws:{kind}::thing", "id", inputs, inputs)
