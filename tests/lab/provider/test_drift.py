"""What somebody changes by hand is seen by a refresh, named by the next preview, and healed by the next up."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lab.cloud import LocalCloud

from .engine_side import EngineSide, Made
from .ground import Ground
from .programs import TRUST, statement


@dataclass(frozen=True)
class ByHand:
    """A change past Pulumi, and the one property that it shows in."""

    type: str
    property: str
    change: Callable[[Any, Made], object]
    """Gets a function from a service's name to its client, and the resource."""


OTHER_TRUST = TRUST.replace("lambda.", "ec2.")
WIDE = statement(Action="sqs:*", Resource="*")
PAIRS = [{"Key": "a", "Value": "by hand"}]

CHANGES = [
    ByHand(
        "sqs/queue:Queue",
        "visibilityTimeoutSeconds",
        lambda client, made: client("sqs").set_queue_attributes(QueueUrl=made.id, Attributes={"VisibilityTimeout": "5"}),
    ),
    ByHand("sqs/queue:Queue", "tags", lambda client, made: client("sqs").tag_queue(QueueUrl=made.id, Tags={"by": "hand"})),
    ByHand(
        "sqs/queue:Queue",
        "redrivePolicy",
        lambda client, made: client("sqs").set_queue_attributes(QueueUrl=made.id, Attributes={"RedrivePolicy": ""}),
    ),
    ByHand(
        "sqs/queuePolicy:QueuePolicy",
        "policy",
        lambda client, made: client("sqs").set_queue_attributes(
            QueueUrl=made.id, Attributes={"Policy": statement(Principal="*", Action="sqs:*", Resource="*")}
        ),
    ),
    ByHand(
        "iam/role:Role",
        "assumeRolePolicy",
        lambda client, made: client("iam").update_assume_role_policy(RoleName=made.id, PolicyDocument=OTHER_TRUST),
    ),
    ByHand("iam/role:Role", "tags", lambda client, made: client("iam").untag_role(RoleName=made.id, TagKeys=["a"])),
    ByHand(
        "iam/rolePolicy:RolePolicy",
        "policy",
        lambda client, made: client("iam").put_role_policy(RoleName=made.inputs["role"], PolicyName=made.inputs["name"], PolicyDocument=WIDE),
    ),
    ByHand(
        "lambda/function:Function",
        "timeout",
        lambda client, made: client("lambda").update_function_configuration(FunctionName=made.id, Timeout=3),
    ),
    ByHand(
        "lambda/function:Function",
        "environment",
        lambda client, made: client("lambda").update_function_configuration(
            FunctionName=made.id, Environment={"Variables": {"SPOTBATCH_QUEUE": "q", "DEBUG": "1"}}
        ),
    ),
    ByHand(
        "lambda/eventSourceMapping:EventSourceMapping",
        "batchSize",
        lambda client, made: client("lambda").update_event_source_mapping(UUID=made.id, BatchSize=1),
    ),
    ByHand(
        "cloudwatch/eventRule:EventRule",
        "eventPattern",
        lambda client, made: client("events").put_rule(Name=made.id, EventPattern=json.dumps({"source": ["aws.s3"]})),
    ),
    ByHand(
        "cloudwatch/metricAlarm:MetricAlarm",
        "threshold",
        lambda client, made: client("cloudwatch").put_metric_alarm(
            AlarmName=made.id,
            Namespace="spotbatch",
            MetricName="Backlog",
            Dimensions=[{"Name": "Queue", "Value": "bells"}],
            Statistic="Maximum",
            Period=300,
            EvaluationPeriods=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            Threshold=99,
        ),
    ),
    ByHand(
        "cloudwatch/logGroup:LogGroup",
        "retentionInDays",
        lambda client, made: client("logs").put_retention_policy(logGroupName=made.id, retentionInDays=365),
    ),
    ByHand(
        "dynamodb/table:Table",
        "pointInTimeRecovery",
        lambda client, made: client("dynamodb").update_continuous_backups(
            TableName=made.id, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        ),
    ),
    ByHand(
        "s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "blockPublicAcls",
        lambda client, made: client("s3").put_public_access_block(
            Bucket=made.id,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": False,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        ),
    ),
    ByHand(
        "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "rules",
        lambda client, made: client("s3").put_bucket_lifecycle_configuration(
            Bucket=made.id,
            LifecycleConfiguration={"Rules": [{"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]},
        ),
    ),
    ByHand(
        "ec2/launchTemplate:LaunchTemplate",
        "instanceType",
        lambda client, made: client("ec2").create_launch_template_version(
            LaunchTemplateId=made.id, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.nano"}
        ),
    ),
    ByHand(
        "ec2/spotFleetRequest:SpotFleetRequest",
        "targetCapacity",
        lambda client, made: client("ec2").modify_spot_fleet_request(SpotFleetRequestId=made.id, TargetCapacity=1),
    ),
    ByHand("ec2/vpc:Vpc", "tags", lambda client, made: client("ec2").create_tags(Resources=[made.id], Tags=PAIRS)),
    ByHand(
        "ec2/securityGroup:SecurityGroup",
        "egress",
        lambda client, made: client("ec2").revoke_security_group_egress(
            GroupId=made.id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        ),
    ),
    ByHand(
        "autoscaling/group:Group",
        "suspendedProcesses",
        lambda client, made: client("autoscaling").resume_processes(AutoScalingGroupName=made.id, ScalingProcesses=["AZRebalance"]),
    ),
    ByHand(
        "autoscaling/group:Group",
        "maxSize",
        lambda client, made: client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=made.id, MaxSize=9),
    ),
    ByHand(
        "autoscaling/lifecycleHook:LifecycleHook",
        "heartbeatTimeout",
        lambda client, made: client("autoscaling").put_lifecycle_hook(
            LifecycleHookName=made.id, AutoScalingGroupName=made.inputs["autoscalingGroupName"], HeartbeatTimeout=30
        ),
    ),
    ByHand(
        "fis/experimentTemplate:ExperimentTemplate",
        "stopConditions",
        lambda client, made: client("fis").update_experiment_template(id=made.id, stopConditions=[{"source": "none"}]),
    ),
]


@pytest.fixture(scope="module")
def ground(engine: EngineSide) -> Ground:
    return Ground(engine)


@pytest.mark.parametrize("by_hand", CHANGES, ids=lambda one: f"{one.type.split(':')[1]} {one.property}")
def test_a_change_by_hand_is_seen_and_healed(cloud: LocalCloud, engine: EngineSide, ground: Ground, by_hand: ByHand) -> None:
    wanted = ground.settings(by_hand.type)
    made = engine.make(by_hand.type, wanted)
    by_hand.change(cloud.client, made)
    seen = engine.refresh(made)
    assert seen is not None
    assert [name for name in made.inputs | seen.inputs if seen.inputs.get(name) != made.inputs.get(name)] == [by_hand.property]
    diff = engine.diff(seen, wanted)
    assert list(diff.diffs) == [by_hand.property]
    if not diff.replaces:
        healed = engine.change(seen, wanted)
        after = engine.refresh(healed)
        assert after is not None
        assert after.inputs == healed.inputs
    engine.remove(made)


def test_a_tag_by_hand_is_seen_where_none_was_declared(cloud: LocalCloud, engine: EngineSide) -> None:
    made = engine.make("sqs/queue:Queue", {})
    cloud.client("sqs").tag_queue(QueueUrl=made.id, Tags={"by": "hand"})
    seen = engine.refresh(made)
    assert seen is not None
    assert list(engine.diff(seen, {}).diffs) == ["tags"]
    engine.remove(made)


def test_a_resource_deleted_by_hand_is_gone_for_a_refresh(cloud: LocalCloud, engine: EngineSide) -> None:
    made = engine.make("sqs/queue:Queue", {})
    cloud.client("sqs").delete_queue(QueueUrl=made.id)
    assert engine.refresh(made) is None


def test_an_existing_resource_can_be_imported_by_its_id(cloud: LocalCloud, engine: EngineSide) -> None:
    url = cloud.client("sqs").create_queue(QueueName="made-by-hand", Attributes={"VisibilityTimeout": "77"})["QueueUrl"]
    found = engine.refresh(Made("sqs/queue:Queue", "urn:pulumi:test::test::aws:sqs/queue:Queue::thing", url, {}, {}))
    assert found is not None
    assert found.inputs["visibilityTimeoutSeconds"] == 77
    assert not engine.diff(found, {**found.inputs}).diffs
    engine.remove(found)
