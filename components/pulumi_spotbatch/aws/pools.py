"""The pools that a fleet or group may draw from: one instance type in one subnet's zone each."""

from collections.abc import Callable, Sequence
from typing import Any, NotRequired, TypedDict, TypeVar

import pulumi

from ..validation import Faults, like
from .instance_types import SPELLING, InstanceType, architecture, runs_on_xen, sold_as_spot, spelled_right, unheard_of
from .template import Template

DEFAULT_TYPES: Sequence[InstanceType] = (
    {"name": "m5.xlarge", "weight": 1},
    {"name": "m5a.xlarge", "weight": 1},
    {"name": "m4.xlarge", "weight": 1},
    {"name": "c5.xlarge", "weight": 1},
)
"""All have four vCPUs; c5.xlarge has half the memory of the others, so a job bound by memory weighs it 0.5."""

FEWEST_TYPES, FEWEST_SUBNETS = 3, 2

ADVISED_TYPES = 10
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-best-practices.html"""

PINNED = like(r"[1-9]\d*", "a version number such as '3'; $Latest and $Default would hide a change from the preview")

LEAST_PRICE = 0.001
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SpotMarketOptions.html"""

T = TypeVar("T")


class Risks(TypedDict):
    """What a pool of machines does only once you accept what it costs."""

    accept_few_pools: NotRequired[bool]
    """Allow one subnet, or fewer than three types: when these are sold out, work waits. Default: false, with a warning below ten types."""
    max_price: NotRequired[str]
    """Dollars per unit and hour, above which machines are taken away, as in '0.12'. Default: the on-demand price, as AWS advises."""
    accept_more_interruptions: NotRequired[bool]
    """Must be true with `max_price`: a price limit takes machines that would have been left alone. Default: false."""
    replace_on_rebalance: NotRequired[bool]
    """Launch a replacement as soon as AWS recommends to leave a machine, which it does far more often than it takes one. Both machines are
    billed: in an Auto Scaling group until the new one is up, when the old one is stopped at its work; in a Spot Fleet until the old one is
    taken, for a fleet never stops it. Default: false. Workers then only save a checkpoint when they hear of it."""


def check_types(faults: Faults, types: Sequence[InstanceType], accept_few_pools: bool) -> None:
    """Refuse types that AWS would refuse, that cannot share one machine image, or that are so few that one shortage stops the work."""
    named = {index: entry["name"] for index, entry in enumerate(types) if "name" in entry}
    names = list(named.values())
    for rank, (index, name) in enumerate(named.items()):
        path = f"instance_types[{index}].name"
        if not spelled_right(name):
            faults.add(path, name, SPELLING)
        elif not sold_as_spot(name):
            faults.add(path, name, "a type that AWS sells as Spot; mac, hpc and high-memory (u) types are not")
        if name in names[:rank]:
            faults.add(path, name, "each type once; a second override of it for the same subnet is a duplicate pool")
    kinds = {name: architecture(name) for name in names if spelled_right(name)}
    if len(set(kinds.values())) > 1:
        examples = " beside ".join(f"{name} ({kind})" for kind, name in {kind: name for name, kind in kinds.items()}.items())
        faults.say(
            "instance_types", f"{examples} is not allowed; allowed: one architecture, as one machine image serves all; g after a number is arm64"
        )
    if len(set(names)) < FEWEST_TYPES and not (names and accept_few_pools):
        faults.add(
            "instance_types", names, f"{FEWEST_TYPES} or more types; or fewer with risks.accept_few_pools, to stand still when they are sold out"
        )


def check_image(faults: Faults, types: Sequence[InstanceType], template: Template) -> None:
    """Refuse types that cannot boot the template's machine image: AWS would take the request and launch nothing."""
    wanted = template.get("architecture")
    names = [entry["name"] for entry in types if "name" in entry and spelled_right(entry["name"])]
    strangers = [name for name in names if wanted not in (None, architecture(name))]
    if strangers:
        faults.add("instance_types", strangers, f"{wanted} types, as image.architecture of the template says")


def check_subnets(faults: Faults, subnet_ids: Sequence[Any], accept_few_pools: bool) -> None:
    """Refuse subnets that are none, come twice, or are so few that one zone's shortage stops the work."""
    for index, subnet in enumerate(subnet_ids):
        if isinstance(subnet, str) and not subnet.startswith("subnet-"):
            faults.add(f"subnet_ids[{index}]", subnet, "a subnet id like subnet-0123456789abcdef0")
    _check_spread(faults, subnet_ids, accept_few_pools)


def checked_subnets(component: str, name: str, subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]], accept_few_pools: bool) -> Any:
    """The subnets as given where the program knows them; else an Output that is checked when they become known."""
    if isinstance(subnet_ids, Sequence):
        return subnet_ids

    def check(resolved: Sequence[Any]) -> Sequence[Any]:
        late = Faults(component, name)
        _check_spread(late, resolved, accept_few_pools)
        late.raise_any()
        return resolved

    return pulumi.Output.from_input(subnet_ids).apply(check)


def _check_spread(faults: Faults, subnet_ids: Sequence[Any], accept_few_pools: bool) -> None:
    known = [subnet for subnet in subnet_ids if isinstance(subnet, str)]
    for index, subnet in enumerate(subnet_ids):
        if isinstance(subnet, str) and subnet in subnet_ids[:index]:
            faults.add(f"subnet_ids[{index}]", subnet, "each subnet once; the same type in it twice is a duplicate pool")
    different = len(set(known)) + len(subnet_ids) - len(known)
    if different < FEWEST_SUBNETS and not (different and accept_few_pools):
        faults.add("subnet_ids", list(subnet_ids), f"{FEWEST_SUBNETS} or more subnets, one in each zone; or one with risks.accept_few_pools")


def each_pool(types: Sequence[InstanceType], subnet_ids: Any, make: Callable[[int, InstanceType, Any], T]) -> pulumi.Input[list[T]]:
    """`make(rank of the type, type, subnet)` for every type in every subnet; the first type has rank 0."""

    def cross(subnets: Sequence[Any]) -> list[T]:
        return [make(rank, entry, subnet) for subnet in subnets for rank, entry in enumerate(types)]

    return cross(subnet_ids) if isinstance(subnet_ids, Sequence) else subnet_ids.apply(cross)


def check_price(faults: Faults, risks: Risks) -> None:
    """Refuse a maximum price that is none, or whose effect nobody accepted."""
    price = risks.get("max_price")
    if price is None:
        return
    try:
        sound = LEAST_PRICE < float(price) < float("inf")
    except ValueError:
        sound = False
    if not sound:
        faults.add("risks.max_price", price, f"dollars per unit and hour, more than {LEAST_PRICE}, as in '0.12'")
    if not risks.get("accept_more_interruptions"):
        faults.add("risks.max_price", price, "left out, which means the on-demand price; or given with risks.accept_more_interruptions")


def warn(component: pulumi.Resource, types: Sequence[InstanceType], strategy: str, accept_few_pools: bool) -> None:
    """Say in the preview what AWS would take without a word, and what comes of it."""
    names = [entry["name"] for entry in types]
    for name, near in unheard_of(names).items():
        hint = f"; did you mean {near}?" if near else ""
        pulumi.log.warn(f"instance_types: {name} is unknown to this release of pulumi-aws{hint}", component)
    old = [name for name in names if runs_on_xen(name)]
    if len(names) < ADVISED_TYPES and not accept_few_pools:
        missing = f"; {', '.join(old)} (older, on Xen) may be missing in newer zones besides" if old else ""
        pulumi.log.warn(
            f"instance_types: {len(names)} types are few; with the {ADVISED_TYPES} that AWS advises some pool always has capacity to spare{missing}. "
            "Add types, or set risks.accept_few_pools.",
            component,
        )
    if strategy in ("lowestPrice", "lowest-price"):
        pulumi.log.warn(f"allocation_strategy: {strategy} draws from the pools that are interrupted most", component)
