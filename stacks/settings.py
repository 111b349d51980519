"""What a stack file may say: each section's keys and their types.

A section is the arguments of one component, in camelCase; the argument's docstring says what it does and what happens without it.
Values are judged by the component itself. A stack contains the sections that its file has.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """Refuses keys it does not know and values of another type; never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)

    def args(self, **more: Any) -> Any:
        """As the component takes them, with `more` that the file does not say; what the file leaves out is left out here too."""
        return {**self.model_dump(exclude_unset=True), **more}


class NetworkSettings(Section):
    """Where machines run: subnets that exist (`subnetIds`, of one network), or else the `Network` to make."""

    subnet_ids: tuple[str, ...] | None = None
    cidr: str | None = None
    zones: int | None = None
    way_out: str | None = None
    interface_services: tuple[str, ...] | None = None


class QueueSettings(Section):
    """`SqsTaskQueue`"""

    delete_data: bool | None = None


class CodeSettings(Section):
    folder: str | None = None
    image: str | None = None
    requirement: str | None = None
    index_url: str | None = None
    on_image: str | None = None


class ImageSettings(Section):
    id: str | None = None
    release: str | None = None
    architecture: str | None = None
    root_device: str | None = None
    root_gib: int | None = None


class MachineSettings(Section):
    """`SpotLaunchTemplate`: what one machine is."""

    worker: str
    code: CodeSettings | None = None
    image: ImageSettings | None = None
    processes: int | None = None
    secrets: dict[str, str] | None = None
    security_group_ids: tuple[str, ...] | None = None


class InstanceTypeSettings(Section):
    name: str
    weight: float | None = None


class ScalingSettings(Section):
    """The queue whose backlog counts is the stack's own."""

    max: int
    tasks_per_unit: int
    min: int | None = None
    scale_in_after_seconds: int | None = None


class RiskSettings(Section):
    accept_few_pools: bool | None = None
    max_price: str | None = None
    accept_more_interruptions: bool | None = None
    replace_on_rebalance: bool | None = None


class FleetSettings(Section):
    """`SpotFleet`"""

    instance_types: tuple[InstanceTypeSettings, ...] | None = None
    target_capacity: int | None = None
    allocation_strategy: str | None = None
    fleet_type: str | None = None
    scaling: ScalingSettings | None = None
    risks: RiskSettings | None = None


class OnDemandSettings(Section):
    base: int | None = None
    percent_above_base: int | None = None


class GroupSettings(Section):
    """`SpotAutoScalingGroup`"""

    instance_types: tuple[InstanceTypeSettings, ...] | None = None
    target_capacity: int | None = None
    allocation_strategy: str | None = None
    on_demand: OnDemandSettings | None = None
    scaling: ScalingSettings | None = None
    risks: RiskSettings | None = None


class InterruptionSettings(Section):
    """`InterruptionHandler`, for the stack's queue and its group, if it has one."""

    drill_source: bool | None = None
    alarm_topic_arn: str | None = None
    log_retention_days: int | None = None


class DrillSettings(Section):
    """`InterruptionDrill` on the stack's machines, stopped by the interruption handler's alarm on dead letters."""

    count: int | None = None
    zones: tuple[str, ...] | None = None
    log_group_arn: str | None = None


class AwsSettings(Section):
    """`spotbatch:aws` in a stack file."""

    tags: dict[str, str] | None = None
    """Tags of everything that takes tags."""
    network: NetworkSettings | None = None
    queue: QueueSettings | None = None
    machine: MachineSettings | None = None
    fleet: FleetSettings | None = None
    group: GroupSettings | None = None
    interruptions: InterruptionSettings | None = None
    drill: DrillSettings | None = None


class ClusterSettings(Section):
    """The cluster: one that exists (`arn`), or else a small one to make, of this Kubernetes (`version`)."""

    arn: str | None = None
    version: str | None = None


class KarpenterSettings(Section):
    """`Karpenter`, on two nodes of its own unless `controllerNodes` names some."""

    controller_nodes: dict[str, str] | None = None
    chart_version: str | None = None
    alarm_topic_arn: str | None = None


class LimitSettings(Section):
    cpu: int
    memory_gib: int | None = None


class RequirementSettings(Section):
    key: str
    operator: str
    values: tuple[str, ...] | None = None
    min_values: int | None = None


class InstanceSettings(Section):
    types: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    cpus: tuple[int, ...] | None = None
    newer_than: int | None = None
    architecture: str | None = None
    requirements: tuple[RequirementSettings, ...] | None = None


class FallbackSettings(Section):
    pool: str
    cpu: int | None = None


class NodeSettings(Section):
    image_alias: str | None = None
    image_release: str | None = None
    security_group_ids: tuple[str, ...] | None = None
    root_gib: int | None = None
    taint_key: str | None = None
    labels: dict[str, str] | None = None


class PoolSettings(Section):
    """`SpotNodePool`"""

    limits: LimitSettings
    instances: InstanceSettings | None = None
    on_demand: FallbackSettings | None = None
    nodes: NodeSettings | None = None


class TolerationSettings(Section):
    key: str
    value: str | None = None
    effect: str | None = None


class PodSettings(Section):
    cpu: str | None = None
    memory: str | None = None
    grace_seconds: int | None = None
    environment: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    tolerations: tuple[TolerationSettings, ...] | None = None


class JobSettings(Section):
    """`SpotJob`, on the stack's queue and pool."""

    run: str
    tasks: int
    image: str
    worker: str
    parallel: int | None = None
    pod: PodSettings | None = None


class EksSettings(Section):
    """`spotbatch:eks` in a stack file."""

    tags: dict[str, str] | None = None
    """Tags of everything that takes tags."""
    network: NetworkSettings | None = None
    queue: QueueSettings | None = None
    cluster: ClusterSettings | None = None
    karpenter: KarpenterSettings | None = None
    pool: PoolSettings | None = None
    job: JobSettings | None = None
