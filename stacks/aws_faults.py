"""What is wrong with the values of `spotbatch:aws`, found before anything is declared."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pulumi_spotbatch.aws import Template, auto_scaling_group, drill, fleet, interruption_handler, launch_template, network

from .aws import machine_args, pool_args
from .section_faults import QUEUE, SUBNETS, missing, refused
from .settings import AwsSettings

NEEDED_BY = {
    "network": ("machine", "fleet", "group"),
    "queue": ("machine", "fleet", "group", "interruptions", "drill"),
    "machine": ("fleet", "group", "drill"),
    "interruptions": ("drill",),
}
"""Sections without which others cannot be."""

# They stand where another component's outputs will stand.
_TEMPLATE = Template(id="lt-0", version="1", role_name="role", pool_tag="pool")

_ALARM = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:stand-in"


def faults(settings: AwsSettings, present: frozenset[str]) -> Iterator[str]:
    """`path: text` for each fault; `present` has the sections that the file has, faulty ones too."""
    yield from section_faults(settings, present)
    yield from value_faults(settings)


def value_faults(settings: AwsSettings) -> Iterator[str]:
    """`path: text` for each fault that the components find, paths with the arguments' own names; sections are checked apart."""
    yield from refused(_checks(settings))


def section_faults(settings: AwsSettings, present: frozenset[str]) -> Iterator[str]:
    """`path: text` for each section that another cannot do without; `present` has the sections that the file has, faulty ones too."""
    yield from missing(NEEDED_BY, present)
    for section, pool in (("fleet", settings.fleet), ("group", settings.group)):
        if pool and pool.scaling and "interruptions" not in present:
            yield f"interruptions: missing, but needed by {section}.scaling, as it publishes the backlog"
    place = settings.network
    if place and place.subnet_ids == () and not {"fleet", "group"} & present:
        yield "network.subnet_ids: [] is not allowed; allowed: one or more subnets of one network"
    if place and place.subnet_ids is not None and place.model_fields_set != {"subnet_ids"}:
        others = ", ".join(sorted(place.model_fields_set - {"subnet_ids"}))
        yield f"network: subnet_ids beside {others} is not allowed; allowed: subnets that exist, or what describes a network to make"


def _checks(settings: AwsSettings) -> Mapping[str, Callable[[], object]]:
    """Each section's arguments before the rules of its component."""
    tags = settings.tags or {}
    checks: dict[str, Callable[[], object]] = {}

    def add(section: str, check: Callable[[str, Any], object], args: Any) -> None:
        checks[section] = lambda: check(section, args)

    subnet_ids = SUBNETS
    if settings.network and settings.network.subnet_ids is not None:
        subnet_ids = settings.network.subnet_ids
    elif settings.network:
        add("network", network.checked, settings.network.args(tags=tags))
    if settings.machine:
        add("machine", launch_template.checked, machine_args(settings.machine, QUEUE, "vpc-1", tags))
    if settings.fleet:
        add("fleet", fleet.checked, pool_args(settings.fleet, _TEMPLATE, subnet_ids, "queue", tags))
    if settings.group:
        add("group", auto_scaling_group.checked, pool_args(settings.group, _TEMPLATE, subnet_ids, "queue", tags))
    if settings.interruptions:
        add("interruptions", interruption_handler.checked, settings.interruptions.args(queue=QUEUE, tags=tags))
    if settings.drill:
        add("drill", drill.checked, settings.drill.args(pool_tag="pool", stop_alarm_arn=_ALARM, tags=tags))
    return checks
