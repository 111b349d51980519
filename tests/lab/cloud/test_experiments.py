import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud import LocalCloud, MarketMachine
from tests.lab.cloud.fleets import eventually, fleet_config, listen, machine, make_template, members, request_fleet


def drill(cloud: LocalCloud, pool: str, stop: dict[str, str] | None = None, **changes: Any) -> str:
    target = {
        "resourceType": "aws:ec2:spot-instance",
        "resourceTags": {"spotbatch:pool": pool},
        "filters": [{"path": "State.Name", "values": ["running"]}],
        "selectionMode": "COUNT(2)",
        **changes,
    }
    made = cloud.client("fis").create_experiment_template(
        clientToken=str(uuid.uuid4()),
        description="a drill",
        roleArn="arn:aws:iam::000000000000:role/drill",
        stopConditions=[stop or {"source": "none"}],
        targets={"machines": target},
        actions={
            "interrupt": {
                "actionId": "aws:ec2:send-spot-instance-interruptions",
                "parameters": {"durationBeforeInterruption": "PT2M"},
                "targets": {"SpotInstances": "machines"},
            }
        },
    )
    return made["experimentTemplate"]["id"]


def tagged_fleet(cloud: LocalCloud, pool: str, kind: str, target: int) -> list[MarketMachine]:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "spotbatch:pool", "Value": pool}]}]
    return members(cloud, request_fleet(cloud, fleet_config(make_template(cloud, TagSpecifications=tags), [(kind, "a"), (kind, "b")], target)))


def test_a_drill_interrupts_as_many_machines_of_its_pool_as_it_says(cloud: LocalCloud):
    ours = {one.id for one in tagged_fleet(cloud, "ours", "m5.xlarge", 3)}
    tagged_fleet(cloud, "theirs", "c5.xlarge", 1)
    heard = listen(cloud, {"source": ["aws.ec2"], "detail-type": [{"prefix": "EC2 Spot Instance Int"}, "EC2 Instance Rebalance Recommendation"]})
    fis = cloud.client("fis")
    experiment = fis.start_experiment(clientToken=str(uuid.uuid4()), experimentTemplateId=drill(cloud, "ours"))["experiment"]
    assert experiment["state"]["status"] == "running"
    assert eventually(lambda: len(heard()) == 4)
    hit = {event["detail"]["instance-id"] for event in heard() if "instance-action" in event["detail"]}
    assert len(hit) == 2 and hit < ours
    assert eventually(lambda: all(machine(cloud, one).reason == "instance-terminated-by-experiment" for one in hit))
    assert eventually(lambda: fis.get_experiment(id=experiment["id"])["experiment"]["state"]["status"] == "completed")


def test_a_drill_that_finds_nobody_fails_and_says_why(cloud: LocalCloud):
    state = cloud.client("fis").start_experiment(clientToken="t", experimentTemplateId=drill(cloud, "nobody"))["experiment"]["state"]
    assert state["status"] == "failed" and "empty set" in state["reason"]


def test_a_drill_on_more_machines_than_fis_takes_fails(cloud: LocalCloud):
    tagged_fleet(cloud, "many", "r5.xlarge", 6)
    state = cloud.client("fis").start_experiment(clientToken="t", experimentTemplateId=drill(cloud, "many", selectionMode="ALL"))["experiment"][
        "state"
    ]
    assert state["status"] == "failed" and "quota of 5" in state["reason"]


def test_a_standing_alarm_halts_a_drill_before_it_takes_anybody(cloud: LocalCloud):
    (one,) = tagged_fleet(cloud, "alarmed", "c4.xlarge", 1)
    watch = cloud.client("cloudwatch")
    watch.put_metric_alarm(
        AlarmName="stop",
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    watch.set_alarm_state(AlarmName="stop", StateValue="ALARM", StateReason="test")
    arn = watch.describe_alarms(AlarmNames=["stop"])["MetricAlarms"][0]["AlarmArn"]
    template = drill(cloud, "alarmed", {"source": "aws:cloudwatch:alarm", "value": arn})
    state = cloud.client("fis").start_experiment(clientToken="t", experimentTemplateId=template)["experiment"]["state"]
    assert (state["status"], machine(cloud, one.id).deadline) == ("stopped", None)


def test_templates_can_be_changed_tagged_and_deleted(cloud: LocalCloud):
    fis, template = cloud.client("fis"), drill(cloud, "ours")
    fis.update_experiment_template(id=template, description="changed")
    shown = fis.get_experiment_template(id=template)["experimentTemplate"]
    assert shown["description"] == "changed"
    fis.tag_resource(resourceArn=shown["arn"], tags={"a": "1", "b": "2"})
    fis.untag_resource(resourceArn=shown["arn"], tagKeys=["a"])
    assert fis.list_tags_for_resource(resourceArn=shown["arn"])["tags"] == {"b": "2"}
    fis.delete_experiment_template(id=template)
    with pytest.raises(fis.exceptions.ResourceNotFoundException):
        fis.get_experiment_template(id=template)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"selectionMode": "SOME"}, "SOME is none of ALL"),
        ({"resourceType": "aws:ec2:instance"}, "does not fit"),
        ({"resourceTags": {}}, "resource tags are required"),
    ],
)
def test_a_drill_that_fis_would_refuse_is_refused(cloud: LocalCloud, change: dict[str, Any], said: str):
    with pytest.raises(ClientError, match=f"ValidationException.*{said}"):
        drill(cloud, "ours", **change)
