"""What a program may rely on beside the resources themselves."""

import subprocess
import sys
import time

import pytest
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2

from lab.cloud import LocalCloud
from lab.provider.resource import RESOURCES
from lab.provider.wire import UNKNOWN, Properties, read

from .engine_side import EngineSide, Refused
from .ground import Ground
from .programs import SOUND, archive


@pytest.fixture(scope="module")
def ground(engine: EngineSide) -> Ground:
    return Ground(engine)


def test_a_name_is_chosen_once_and_kept(engine: EngineSide) -> None:
    first, _ = engine.check("sqs/queue:Queue", {}, name="bells")
    assert first["name"].startswith("bells-")
    assert len(first["name"]) == len("bells-") + 7
    assert engine.check("sqs/queue:Queue", {}, first, name="bells")[0]["name"] == first["name"]
    assert engine.check("sqs/queue:Queue", {}, name="bells")[0]["name"] != first["name"], "a replacement needs a name of its own"


def test_names_take_the_form_that_the_service_wants(engine: EngineSide) -> None:
    assert engine.check("sqs/queue:Queue", {"fifoQueue": True})[0]["name"].endswith(".fifo")
    assert engine.check("s3/bucket:Bucket", {}, name="Data")[0]["bucket"].startswith("data-")
    assert engine.check("iam/role:Role", {**SOUND["iam/role:Role"], "namePrefix": "batch_"})[0]["name"].startswith("batch_")


def test_an_old_resource_goes_first_only_where_the_program_chose_its_name(engine: EngineSide) -> None:
    chosen = engine.make("iam/role:Role", {**SOUND["iam/role:Role"], "name": "chosen"})
    assert engine.diff(chosen, {**SOUND["iam/role:Role"], "name": "chosen", "path": "/batch/"}).deleteBeforeReplace
    by_itself = engine.make("iam/role:Role", SOUND["iam/role:Role"])
    assert not engine.diff(by_itself, {**SOUND["iam/role:Role"], "path": "/batch/"}).deleteBeforeReplace
    engine.remove(chosen)
    engine.remove(by_itself)


def test_a_bucket_with_objects_is_kept_unless_force_destroy_is_set(cloud: LocalCloud, engine: EngineSide) -> None:
    kept = engine.make("s3/bucket:Bucket", {})
    cloud.client("s3").put_object(Bucket=kept.id, Key="results", Body=b"precious")
    with pytest.raises(Refused, match="BucketNotEmpty"):
        engine.remove(kept)
    engine.remove(engine.change(kept, {"forceDestroy": True}))
    assert engine.refresh(kept) is None


def test_a_protected_table_is_kept(engine: EngineSide) -> None:
    table = engine.make("dynamodb/table:Table", {**SOUND["dynamodb/table:Table"], "deletionProtectionEnabled": True})
    with pytest.raises(Refused, match="protected against deletion"):
        engine.remove(table)
    engine.remove(engine.change(table, {**SOUND["dynamodb/table:Table"], "deletionProtectionEnabled": False}))
    assert engine.refresh(table) is None


def test_a_resource_that_cannot_be_read_after_its_creation_stays_in_the_state(cloud: LocalCloud, engine: EngineSide) -> None:
    """Without its id the engine would forget it, and nobody would ever delete it."""

    class Unreadable(RESOURCES["aws:sqs/queue:Queue"]):
        def read(self, identity: str, known: Properties) -> Properties:
            raise OSError("the line is dead")

    RESOURCES["aws:sqs/unreadable:Unreadable"] = Unreadable
    try:
        with pytest.raises(Refused) as refused:
            engine.create("sqs/unreadable:Unreadable", {"name": "half-made"})
    finally:
        del RESOURCES["aws:sqs/unreadable:Unreadable"]
    reason, trailers = refused.value.args
    assert "the line is dead" in reason
    status = status_pb2.Status.FromString(dict(trailers)["grpc-status-details-bin"])
    partial = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(partial)
    assert partial.id == cloud.client("sqs").get_queue_url(QueueName="half-made")["QueueUrl"]
    assert read(partial.inputs) == {"name": "half-made"}


def test_a_resource_whose_second_call_fails_stays_in_the_state(cloud: LocalCloud, engine: EngineSide) -> None:
    wanted = {**SOUND["iam/instanceProfile:InstanceProfile"], "role": "nobody", "name": "half-made"}
    with pytest.raises(Refused, match=r"was made as half-made, but is not complete.*NoSuchEntity") as refused:
        engine.make("iam/instanceProfile:InstanceProfile", wanted)
    assert dict(refused.value.args[1])["grpc-status-details-bin"]
    assert cloud.client("iam").get_instance_profile(InstanceProfileName="half-made")


def test_a_refusal_of_the_cloud_keeps_its_words(engine: EngineSide) -> None:
    with pytest.raises(Refused, match=r"creating urn:pulumi:test::test::aws:iam/rolePolicy:RolePolicy::thing.*NoSuchEntity"):
        engine.make("iam/rolePolicy:RolePolicy", {**SOUND["iam/rolePolicy:RolePolicy"], "role": "nobody"})


def test_a_mapping_is_refused_where_messages_return_while_the_function_works(engine: EngineSide, ground: Ground) -> None:
    slow = engine.make("lambda/function:Function", {**ground.settings("lambda/function:Function"), "timeout": 300})
    wanted = {**ground.settings("lambda/eventSourceMapping:EventSourceMapping"), "functionName": slow.id}
    with pytest.raises(Refused, match="Queue visibility timeout: 60 seconds is less than Function timeout: 300 seconds"):
        engine.make("lambda/eventSourceMapping:EventSourceMapping", wanted)
    engine.remove(slow)


def test_a_group_refuses_a_template_that_buys_spot_by_itself(engine: EngineSide, ground: Ground) -> None:
    settings = {**SOUND["ec2/launchTemplate:LaunchTemplate"], "instanceMarketOptions": {"marketType": "spot"}}
    template = engine.make("ec2/launchTemplate:LaunchTemplate", settings)
    group = ground.settings("autoscaling/group:Group")
    specification = {"launchTemplateId": template.id, "version": "1"}
    policy = group["mixedInstancesPolicy"]
    wanted = {
        **group,
        "mixedInstancesPolicy": {**policy, "launchTemplate": {**policy["launchTemplate"], "launchTemplateSpecification": specification}},
    }
    failures = engine.check("autoscaling/group:Group", wanted)[1]
    assert "Incompatible launch template" in failures["mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId"]
    engine.remove(template)


def test_code_counts_as_changed_by_what_is_in_it_alone(engine: EngineSide, ground: Ground) -> None:
    wanted = ground.settings("lambda/function:Function")
    made = engine.make("lambda/function:Function", wanted)
    assert not engine.diff(made, {**wanted, "code": archive("def handle(event, context):\n    return 'ok'\n")}).diffs
    changed = engine.change(made, {**wanted, "code": archive("def handle(event, context): return 'new'\n")})
    assert changed.outputs["codeSha256"] != made.outputs["codeSha256"]
    engine.remove(changed)


def test_policies_count_as_changed_by_their_meaning_alone(engine: EngineSide) -> None:
    role = engine.make("iam/role:Role", SOUND["iam/role:Role"])
    text = SOUND["iam/role:Role"]["assumeRolePolicy"].replace('"sts:AssumeRole"', '  ["sts:AssumeRole"]')
    assert not engine.diff(role, {**SOUND["iam/role:Role"], "assumeRolePolicy": text}).diffs
    engine.remove(role)


def test_a_region_of_its_own_is_where_a_resource_lives(cloud: LocalCloud, engine: EngineSide) -> None:
    queue = engine.make("sqs/queue:Queue", {"region": "eu-west-1"})
    assert ":eu-west-1:" in queue.outputs["arn"]
    assert queue.outputs["region"] == "eu-west-1"
    engine.remove(queue)


LOOK_UPS: dict[str, tuple[Properties, str, object]] = {
    "index/getCallerIdentity:getCallerIdentity": ({}, "accountId", "000000000000"),
    "index/getRegion:getRegion": ({}, "region", "us-east-1"),
    "index/getPartition:getPartition": ({}, "partition", "aws"),
    "index/getAvailabilityZones:getAvailabilityZones": ({"state": "available"}, "region", "us-east-1"),
    "ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": (
        {"locationType": "region", "filters": [{"name": "instance-type", "values": ["m5.xlarge"]}]},
        "instanceTypes",
        ["m5.xlarge"],
    ),
    "ec2/getVpc:getVpc": ({"default": True}, "default", True),
}


@pytest.mark.parametrize("token", sorted(LOOK_UPS))
def test_a_look_up_answers(engine: EngineSide, token: str) -> None:
    asked, name, value = LOOK_UPS[token]
    assert engine.look_up(token, asked)[name] == value


def test_zones_are_named_and_subnets_found(engine: EngineSide, ground: Ground) -> None:
    assert "us-east-1a" in engine.look_up("index/getAvailabilityZones:getAvailabilityZones", {})["names"]
    subnet = ground.subnet
    assert engine.look_up("ec2/getSubnets:getSubnets", {"filters": [{"name": "vpc-id", "values": [ground.vpc]}]})["ids"] == [subnet]
    assert engine.look_up("ec2/getSubnet:getSubnet", {"id": subnet})["vpcId"] == ground.vpc


def test_an_image_parameter_is_read_from_the_cloud(engine: EngineSide) -> None:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    assert engine.look_up("ssm/getParameter:getParameter", {"name": name})["insecureValue"].startswith("ami-")


def test_an_unknown_look_up_says_what_there_is(engine: EngineSide) -> None:
    with pytest.raises(Refused, match="the lab's AWS cannot look up aws:rds/getInstance:getInstance; it can aws:ec2/getAmi"):
        engine.look_up("rds/getInstance:getInstance", {})


def test_a_provider_setting_that_the_lab_cannot_follow_is_refused(engine: EngineSide) -> None:
    assert "cannot follow" in engine.check_settings({"region": "us-east-1", "defaultTags": {"tags": {"a": "b"}}})["defaultTags"]
    assert engine.check_settings({"region": "us-east-1"}) == {}


def test_a_refusal_shows_no_value_of_the_wrong_kind(engine: EngineSide) -> None:
    failures = engine.check("lambda/function:Function", {**SOUND["lambda/function:Function"], "environment": {"variables": "s3cret"}})[1]
    assert "s3cret" not in str(failures)


def test_without_a_local_cloud_nothing_is_served() -> None:
    ended = subprocess.run([sys.executable, "-m", "lab.provider"], capture_output=True, text=True, env={"PATH": "/usr/bin"}, timeout=60)
    assert ended.returncode == 1
    assert "AWS_ENDPOINT_URL is not set" in ended.stderr


def test_the_program_ends_at_once_when_the_engine_interrupts_it(cloud: LocalCloud) -> None:
    with subprocess.Popen([sys.executable, "-m", "lab.provider"], stdout=subprocess.PIPE, env={"PATH": "/usr/bin", **cloud.environment}) as program:
        assert program.stdout is not None
        assert int(program.stdout.readline()) > 0
        started = time.monotonic()
        program.send_signal(2)
        assert program.wait(timeout=5) == 0
        assert time.monotonic() - started < 2


def test_a_cluster_stays_while_it_has_node_groups(engine: EngineSide, ground: Ground) -> None:
    cluster = engine.make("eks/cluster:Cluster", ground.settings("eks/cluster:Cluster"))
    nodes = engine.make("eks/nodeGroup:NodeGroup", {**ground.settings("eks/nodeGroup:NodeGroup"), "clusterName": cluster.id})
    with pytest.raises(Refused, match="Cluster has nodegroups attached"):
        engine.remove(cluster)
    engine.remove(nodes)
    engine.remove(cluster)


def test_an_access_entry_needs_a_cluster_that_takes_them(engine: EngineSide, ground: Ground) -> None:
    wanted = {**ground.settings("eks/cluster:Cluster"), "accessConfig": {"authenticationMode": "CONFIG_MAP"}}
    cluster = engine.make("eks/cluster:Cluster", wanted)
    with pytest.raises(Refused, match="authentication mode must be set to one of"):
        engine.make("eks/accessEntry:AccessEntry", {**ground.settings("eks/accessEntry:AccessEntry"), "clusterName": cluster.id})
    engine.remove(cluster)


def test_what_the_labs_clusters_cannot_change_is_said_instead_of_reported_as_done(engine: EngineSide, ground: Ground) -> None:
    wanted = ground.settings("eks/cluster:Cluster")
    cluster = engine.make("eks/cluster:Cluster", wanted)
    with pytest.raises(Refused, match="cannot change version in place"):
        engine.change(cluster, {**wanted, "version": "1.37"})
    engine.remove(cluster)


def test_a_new_clusters_security_group_is_unknown_in_a_preview(engine: EngineSide) -> None:
    assert engine.preview("eks/cluster:Cluster", SOUND["eks/cluster:Cluster"])["vpcConfig"]["clusterSecurityGroupId"] == UNKNOWN
