from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pulumi_spotbatch.aws import auto_scaling_group

from lab.cloud import LocalCloud
from lab.cloud.machine_view import MarketMachine
from spotbatch.clouds.aws import HOOK, AwsHost
from spotbatch.clouds.aws_client import client
from spotbatch.clouds.aws_metadata import Metadata
from spotbatch.clouds.aws_pool import AutoScalingPool
from spotbatch.protocols import StoreError
from tests.lab.cloud.fleets import eventually, machine, make_template, members
from tests.lab.cloud.test_auto_scaling_groups import create_group, mixed
from tests.spotbatch.clouds.faulty_service import faulty_service


class Group:
    """An Auto Scaling group with one machine, and the terminate hook of SpotAutoScalingGroup."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud, self.client = cloud, cloud.client("autoscaling")
        self.name = create_group(cloud, mixed(make_template(cloud), ["m5.xlarge"]))
        self.client.put_lifecycle_hook(
            AutoScalingGroupName=self.name,
            LifecycleHookName=HOOK,
            LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
            HeartbeatTimeout=600,
        )
        self.machine: MarketMachine = eventually(lambda: members(cloud, self.name))[0]
        self.pool = AutoScalingPool(lambda: self.client, [self.name])

    def scale_in(self) -> None:
        self.client.update_auto_scaling_group(AutoScalingGroupName=self.name, MinSize=0, DesiredCapacity=0)
        states = self.client.describe_auto_scaling_instances
        assert eventually(lambda: states(InstanceIds=[self.machine.id])["AutoScalingInstances"][0]["LifecycleState"] == "Terminating:Wait")


@pytest.fixture
def group(cloud: LocalCloud) -> Iterator[Group]:
    group = Group(cloud)
    yield group
    group.client.delete_auto_scaling_group(AutoScalingGroupName=group.name, ForceDelete=True)


def test_a_detached_machine_lives_on_and_its_replacement_starts_at_once(cloud: LocalCloud, group: Group):
    assert group.pool.detach(group.machine.id)
    assert eventually(lambda: members(cloud, group.name))
    assert machine(cloud, group.machine.id).living
    assert not group.pool.detach(group.machine.id), "once is enough"


def test_a_machine_is_looked_for_in_every_group(cloud: LocalCloud, group: Group):
    assert not AutoScalingPool(lambda: group.client, []).detach(group.machine.id)
    assert not AutoScalingPool(lambda: group.client, ["absent"]).detach(group.machine.id)
    assert not group.pool.detach("i-00000000000000009")
    assert AutoScalingPool(lambda: group.client, ["absent", group.name]).detach(group.machine.id)


def test_a_completed_hook_lets_the_machine_go(cloud: LocalCloud, group: Group):
    hook = {"group": group.name, "hook": HOOK, "token": "t"}
    assert not group.pool.complete(group.machine.id, hook), "nobody waits yet"
    group.scale_in()
    assert not AutoScalingPool(lambda: group.client, ["another"]).complete(group.machine.id, hook)
    assert machine(cloud, group.machine.id).living
    assert group.pool.complete(group.machine.id, hook)
    assert eventually(lambda: not machine(cloud, group.machine.id).living)
    assert not group.pool.complete(group.machine.id, hook)


class Texts(Metadata):
    """The metadata of a machine, as a test has it."""

    def __init__(self, **texts: str) -> None:
        super().__init__()
        self.texts = texts

    def read(self, path: str, until: float | None = None, folder: str = "meta-data") -> str | None:
        return self.texts.get(path)


def test_a_drained_worker_completes_the_hook_of_its_own_machine(cloud: LocalCloud, group: Group):
    texts = {"instance-id": group.machine.id, "placement/region": "us-east-1", "tags/instance/aws:autoscaling:groupName": group.name}
    host = AwsHost(Texts(**texts))
    host.complete_hook()
    group.scale_in()
    assert machine(cloud, group.machine.id).living
    host.complete_hook()
    assert eventually(lambda: not machine(cloud, group.machine.id).living)


def test_the_hook_that_a_worker_completes_is_the_one_that_the_component_declares():
    assert auto_scaling_group.HOOK == HOOK


def test_outside_of_a_group_there_is_no_hook_to_complete():
    AwsHost(Texts(**{"instance-id": "i-1"})).complete_hook()


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (lambda pool: pool.detach("i-1"), "autoscaling:DetachInstances"),
        (lambda pool: pool.complete("i-1", {"group": "workers", "hook": HOOK}), "autoscaling:CompleteLifecycleAction"),
    ],
)
def test_a_missing_permission_is_named(cloud: LocalCloud, call: Callable[[AutoScalingPool], Any], action: str):
    denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    with faulty_service() as service, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", service.endpoint)
        service.script[:] = [(403, denied)]
        with pytest.raises(StoreError, match=rf"^permission missing: allow {action} on group workers"):
            call(AutoScalingPool(lambda: client("autoscaling", "us-east-1"), ["workers"]))
