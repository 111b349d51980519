"""What a fleet or a group refuses, and that it refuses nothing else."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pulumi_spotbatch.aws import SpotAutoScalingGroup, SpotFleet, auto_scaling_group, drill, fleet
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.aws.api_requests import auto_scaling_group_request, request_faults, spot_fleet_request
from tests.components.aws.test_instance_types import families
from tests.components.recorder import deploy
from tests.components.samples import TEMPLATE

Args = dict[str, Any]

FLEET_STRATEGIES = ["lowestPrice", "diversified", "capacityOptimized", "capacityOptimizedPrioritized", "priceCapacityOptimized"]
GROUP_STRATEGIES = ["lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"]

BY_ARCHITECTURE = {
    kind: [name for family in families() if family.spot and family.architecture == kind for name in family.types()] for kind in ("x86_64", "arm64")
}


@st.composite
def scalings(draw: st.DrawFn) -> Args:
    low = draw(st.integers(0, 50))
    scaling: Args = {"queue_name": "tasks", "min": low, "max": draw(st.integers(max(1, low), 2000)), "tasks_per_unit": draw(st.integers(1, 100))}
    if draw(st.booleans()):
        scaling |= {"scale_in_after_seconds": 60 * draw(st.integers(1, 60))}
    return scaling


@st.composite
def sound_pools(draw: st.DrawFn, weights: Any, most_types: int) -> Args:
    """Arguments that both kinds of pool have, as AWS's pages allow them."""
    few = draw(st.booleans())
    names = draw(
        st.lists(
            st.sampled_from(BY_ARCHITECTURE[draw(st.sampled_from(["x86_64", "arm64"]))]), min_size=1 if few else 3, max_size=most_types, unique=True
        )
    )
    subnets = draw(st.lists(st.from_regex(r"subnet-[0-9a-f]{17}", fullmatch=True), min_size=1 if few else 2, max_size=6, unique=True))
    args: Args = {"template": TEMPLATE, "subnet_ids": subnets, "instance_types": [{"name": name, "weight": draw(weights)} for name in names]}
    risks: Args = {"accept_few_pools": few}
    if draw(st.booleans()):
        risks |= {"max_price": str(draw(st.decimals("0.002", 40, places=3))), "accept_more_interruptions": True}
    return {**args, "risks": risks}


@st.composite
def sound_fleets(draw: st.DrawFn) -> Args:
    args = draw(sound_pools(st.floats(0.1, 500) | st.integers(1, 500), 25))
    args["allocation_strategy"] = draw(st.sampled_from(FLEET_STRATEGIES))
    match draw(st.sampled_from(["request", "maintain", "scaled"])):
        case "request":
            args |= {"fleet_type": "request", "target_capacity": draw(st.integers(1, 10_000))}
        case "maintain":
            args |= {"fleet_type": "maintain", "target_capacity": draw(st.integers(1, 10_000))}
            args["risks"]["replace_on_rebalance"] = draw(st.booleans())
        case "scaled":
            args["scaling"] = draw(scalings())
    return args


@st.composite
def sound_groups(draw: st.DrawFn) -> Args:
    args = draw(sound_pools(st.integers(1, 999) | st.sampled_from([1.0, 4.0]), 40))
    args["allocation_strategy"] = draw(st.sampled_from(GROUP_STRATEGIES))
    args["risks"]["replace_on_rebalance"] = draw(st.booleans())
    if draw(st.booleans()):
        args["scaling"] = draw(scalings())
    else:
        args["target_capacity"] = draw(st.integers(1, 5000))
    if draw(st.booleans()):
        args["on_demand"] = {"base": draw(st.sampled_from([0, 1])), "percent_above_base": draw(st.integers(0, 100))}
    return args


def declare(kind: type, args: Any) -> dict[str, Any]:
    token = {SpotFleet: "SpotFleetRequest", SpotAutoScalingGroup: "Group"}[kind]
    return deploy(lambda: kind("pool", args)).only(token).inputs


quick = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


@quick
@given(sound_fleets())
def test_a_sound_fleet_is_never_refused_and_aws_takes_its_request(args: Args):
    assert request_faults("ec2", "RequestSpotFleet", spot_fleet_request(declare(SpotFleet, args))) == []


@quick
@given(sound_groups())
def test_a_sound_group_is_never_refused_and_aws_takes_its_request(args: Args):
    assert request_faults("autoscaling", "CreateAutoScalingGroup", auto_scaling_group_request(declare(SpotAutoScalingGroup, args))) == []


def put(path: str, value: Any) -> Callable[[Args], None]:
    """Set a value at a dotted path, making what leads to it."""
    *way, last = path.split(".")

    def change(args: Args) -> None:
        place: Any = args
        for step in way:
            place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
        place[int(last) if last.isdigit() else last] = value

    return change


SOUND: Args = {
    "template": TEMPLATE,
    "subnet_ids": ["subnet-0a", "subnet-0b"],
    "instance_types": [
        {"name": "m5.xlarge", "weight": 1},
        {"name": "m5a.xlarge", "weight": 1},
        {"name": "c5.xlarge", "weight": 1},
        {"name": "r5.xlarge"},
    ],
}

FAULTS: list[tuple[Callable[[Args], None], str]] = [
    (put("allocation_strategy", "cheapest"), "allocation_strategy: 'cheapest' is not allowed; allowed: one of "),
    (put("target_capacity", 0), "target_capacity: 0 is not allowed; allowed: 1 or more"),
    (put("target_capacity", -3), "target_capacity: -3 is not allowed; allowed: 1 or more"),
    (put("target_capacity", 2.5), "target_capacity: 2.5 is not allowed; allowed: a whole number"),
    (put("instance_types.1.weight", 0), "instance_types[1].weight: 0 is not allowed; allowed: "),
    (put("instance_types.2.weight", -1), "instance_types[2].weight: -1 is not allowed; allowed: "),
    (put("instance_types.2.weight", float("nan")), "instance_types[2].weight: nan is not allowed; allowed: "),
    (put("instance_types.2.weight", float("inf")), "instance_types[2].weight: inf is not allowed; allowed: "),
    (put("instance_types.0.name", "m5.xlrage"), "instance_types[0].name: 'm5.xlrage' is not allowed; allowed: an instance type like m5.xlarge"),
    (put("instance_types.0.name", "mac2.metal"), "instance_types[0].name: 'mac2.metal' is not allowed; allowed: a type that AWS sells as Spot"),
    (
        put("instance_types.0.name", "hpc7a.48xlarge"),
        "instance_types[0].name: 'hpc7a.48xlarge' is not allowed; allowed: a type that AWS sells as Spot",
    ),
    (put("instance_types.0.name", "c5.xlarge"), "instance_types[2].name: 'c5.xlarge' is not allowed; allowed: each type once"),
    (
        put("instance_types.0.name", "m6g.xlarge"),
        "instance_types: m6g.xlarge (arm64) beside r5.xlarge (x86_64) is not allowed; allowed: one architecture",
    ),
    (
        put("instance_types", [{"name": "m5.xlarge"}, {"name": "c5.xlarge"}]),
        "instance_types: ['m5.xlarge', 'c5.xlarge'] is not allowed; allowed: 3 or more types",
    ),
    (put("subnet_ids", ["subnet-0a"]), "subnet_ids: ['subnet-0a'] is not allowed; allowed: 2 or more subnets, one in each zone"),
    (put("subnet_ids.1", "vpc-0a"), "subnet_ids[1]: 'vpc-0a' is not allowed; allowed: a subnet id like subnet-0123456789abcdef0"),
    (put("subnet_ids", ["subnet-0a", "subnet-0b", "subnet-0a"]), "subnet_ids[2]: 'subnet-0a' is not allowed; allowed: each subnet once"),
    (
        put("risks.max_price", "0.1"),
        "risks.max_price: '0.1' is not allowed; allowed: left out, which means the on-demand price; or given with risks.accept",
    ),
    (
        put("risks", {"max_price": "$1", "accept_more_interruptions": True}),
        "risks.max_price: '$1' is not allowed; allowed: dollars per unit and hour",
    ),
    (
        put("risks", {"max_price": "nan", "accept_more_interruptions": True}),
        "risks.max_price: 'nan' is not allowed; allowed: dollars per unit and hour",
    ),
    (
        put("risks", {"max_price": "0.0005", "accept_more_interruptions": True}),
        "risks.max_price: '0.0005' is not allowed; allowed: dollars per unit and hour",
    ),
    (put("template", {**TEMPLATE, "version": "$Latest"}), "template.version: '$Latest' is not allowed; allowed: a version number such as '3'"),
    (
        put("template", {**TEMPLATE, "architecture": "arm64"}),
        "instance_types: ['m5.xlarge', 'm5a.xlarge', 'c5.xlarge', 'r5.xlarge'] is not allowed; allowed: arm64",
    ),
    (put("template", {**TEMPLATE, "architecture": "amd64"}), "template.architecture: 'amd64' is not allowed; allowed: one of x86_64, arm64"),
    (put("scaling", {"max": 3, "tasks_per_unit": 1}), "scaling.queue_name: missing"),
    (put("scaling", {"queue_name": "q", "tasks_per_unit": 1}), "scaling.max: missing"),
    (put("scaling", {"queue_name": "q", "max": 1}), "scaling.tasks_per_unit: missing"),
    (
        put("scaling", {"queue_name": "q", "tasks_per_unit": 1, "max": 3, "min": 4}),
        "scaling.min: 4 is not allowed; allowed: at most scaling.max, which is 3",
    ),
    (put("scaling", {"queue_name": "q", "tasks_per_unit": 1, "max": 0}), "scaling.max: 0 is not allowed; allowed: 1 or more"),
    (put("scaling", {"queue_name": "q", "tasks_per_unit": 1, "max": 3, "min": -1}), "scaling.min: -1 is not allowed; allowed: 0 or more"),
    (put("scaling", {"queue_name": "q", "max": 3, "tasks_per_unit": 0}), "scaling.tasks_per_unit: 0 is not allowed; allowed: 1 or more"),
    (
        put("scaling", {"queue_name": "q", "tasks_per_unit": 1, "max": 3, "scale_in_after_seconds": 90}),
        "scaling.scale_in_after_seconds: 90 is not allowed; allowed: a multiple of 60",
    ),
    (put("tags", {"aws:x": "y"}), "tags['aws:x']: 'aws:x' is not allowed; allowed: a key that does not begin with aws:"),
]

FLEET_FAULTS: list[tuple[Callable[[Args], None], str]] = [
    (
        put("allocation_strategy", "capacity-optimized"),
        "allocation_strategy: 'capacity-optimized' is not allowed; allowed: one of capacityOptimized, ",
    ),
    (put("fleet_type", "instant"), "fleet_type: 'instant' is not allowed; allowed: one of maintain, request"),
]

GROUP_FAULTS: list[tuple[Callable[[Args], None], str]] = [
    (
        put("allocation_strategy", "capacityOptimized"),
        "allocation_strategy: 'capacityOptimized' is not allowed; allowed: one of capacity-optimized, ",
    ),
    (put("allocation_strategy", "diversified"), "allocation_strategy: 'diversified' is not allowed; allowed: one of "),
    (put("instance_types.1.weight", 0.5), "instance_types[1].weight: 0.5 is not allowed; allowed: a whole number from 1 to 999"),
    (put("instance_types.1.weight", 1000), "instance_types[1].weight: 1000 is not allowed; allowed: a whole number from 1 to 999"),
    (put("instance_types", [{"name": name} for name in BY_ARCHITECTURE["x86_64"][:41]]), "instance_types: "),
    (put("on_demand.base", -1), "on_demand.base: -1 is not allowed; allowed: 0 or more"),
    (put("on_demand.base", 11), "on_demand.base: 11 is not allowed; allowed: 0 to 10, the most that the group runs"),
    (put("on_demand.percent_above_base", 101), "on_demand.percent_above_base: 101 is not allowed; allowed: 0 to 100"),
]

PLANTED = [
    *((SpotFleet, change, fault) for change, fault in [*FAULTS, *FLEET_FAULTS]),
    *((SpotAutoScalingGroup, change, fault) for change, fault in [*FAULTS, *GROUP_FAULTS]),
]


def refused(kind: type, args: Any) -> tuple[str, ...]:
    """The faults that are said."""
    with pytest.raises(InvalidArgs) as raised:
        deploy(lambda: kind("pool", args))
    return raised.value.faults


@pytest.mark.parametrize(("kind", "change", "fault"), PLANTED, ids=[f"{kind.__name__}: {fault[:60]}" for kind, _, fault in PLANTED])
def test_a_fault_is_refused_by_its_name_with_what_is_allowed_and_nothing_else_is(kind: type, change: Callable[[Args], None], fault: str):
    args = deepcopy(SOUND)
    change(args)
    said = refused(kind, args)
    assert [text for text in said if text.startswith(fault)] != []
    assert len(said) == 1


def test_the_sound_arguments_that_faults_are_planted_in_are_taken():
    assert declare(SpotFleet, SOUND)
    assert declare(SpotAutoScalingGroup, SOUND)


@pytest.mark.parametrize("kind", [SpotFleet, SpotAutoScalingGroup])
def test_the_default_types_too_must_boot_the_templates_image(kind: type):
    args = {"template": {**TEMPLATE, "architecture": "arm64"}, "subnet_ids": SOUND["subnet_ids"]}
    (said,) = refused(kind, args)
    assert said.endswith("allowed: arm64 types, as image.architecture of the template says")
    arm = [{"name": name} for name in ("m6g.xlarge", "m7g.xlarge", "c6g.xlarge")]
    assert declare(kind, {**args, "instance_types": arm})


def test_only_a_maintained_fleet_replaces_or_scales():
    both = {"fleet_type": "request", "risks": {"replace_on_rebalance": True}, "scaling": {"queue_name": "q", "tasks_per_unit": 1, "max": 3}}
    assert [text.split(":")[0] for text in refused(SpotFleet, {**SOUND, **both})] == ["risks.replace_on_rebalance", "scaling"]


@pytest.mark.parametrize("kind", [SpotFleet, SpotAutoScalingGroup])
def test_the_capacity_to_begin_with_lies_within_the_scaling(kind: type):
    scaling = {"queue_name": "q", "tasks_per_unit": 1, "max": 3, "min": 1}
    assert refused(kind, {**SOUND, "scaling": scaling, "target_capacity": 4}) == (
        "target_capacity: 4 is not allowed; allowed: 1 to 3 as scaling says, or left out to begin with 1",
    )
    assert declare(kind, {**SOUND, "scaling": scaling, "target_capacity": 3})


@pytest.mark.parametrize("kind", [SpotFleet, SpotAutoScalingGroup])
def test_every_fault_is_said_at_once(kind: type):
    args = {
        "template": {**TEMPLATE, "version": "$Default"},
        "subnet_ids": ["subnet-0a"],
        "instance_types": [{"name": "m5.xlarge", "weight": 0}, {"name": "m6g.xlarge"}, {"name": "m5.xlarge"}, {"name": "m5"}],
        "target_capacity": 0,
        "allocation_strategy": "best",
        "risks": {"max_price": "free"},
        "scaling": {"queue_name": "q", "tasks_per_unit": 1, "max": 1, "min": 2},
        "tgas": {},
    }
    named = [text.split(": ")[0] for text in refused(kind, args)]
    assert sorted(set(named)) == [
        "allocation_strategy",
        "instance_types",
        "instance_types[0].weight",
        "instance_types[2].name",
        "instance_types[3].name",
        "risks.max_price",
        "scaling.min",
        "subnet_ids",
        "target_capacity",
        "template.version",
        "tgas",
    ]


@pytest.mark.parametrize("kind", [SpotFleet, SpotAutoScalingGroup])
def test_nothing_is_declared_where_something_is_refused(kind: type):
    def program() -> None:
        with pytest.raises(InvalidArgs, match="nothing of it was declared"):
            kind("pool", {**SOUND, "target_capacity": 0})

    assert deploy(program).requests == []


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["m5.xlarge", "subnet-0a", "0.1"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "weight", "max", "min", "base", "max_price"]), inner, max_size=4)
    ),
    max_leaves=12,
)

KNOWN = [
    *("template", "subnet_ids", "instance_types", "target_capacity", "allocation_strategy", "fleet_type", "scaling", "risks", "on_demand", "tags"),
    *("pool_tag", "stop_alarm_arn", "count", "zones", "log_group_arn"),
]


@pytest.mark.parametrize("check", [fleet.checked, auto_scaling_group.checked, drill.checked])
@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KNOWN), junk))
def test_whatever_is_given_is_taken_or_refused_and_never_trips_the_check_itself(check: Callable[[str, Any], Any], args: Args):
    try:
        check("pool", args)
    except InvalidArgs as refusal:
        assert all(": " in fault for fault in refusal.faults)
