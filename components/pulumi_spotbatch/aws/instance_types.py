"""What the name of an EC2 instance type tells without asking AWS."""

import difflib
import re
from collections.abc import Iterable
from typing import NotRequired, TypedDict

import pulumi_aws as aws

_NAME = re.compile(
    r"(?P<series>[a-z]+)-?(?P<generation>\d+)(?P<options>[a-z]*\d?)(?:-(?P<variant>[a-z0-9]+))?"
    r"\.(?:nano|micro|small|medium|large|\d{0,3}xlarge|metal(?:-\d{1,3}xl)?)"
    r"|mac-m\d[a-z]*\.metal"
)

SPELLING = "an instance type like m5.xlarge, c7g.2xlarge or m7i-flex.large: family, dot, size"

NOT_SOLD_AS_SPOT = ("hpc", "mac", "u")
"""Series that DescribeInstanceTypes lists without the usage class `spot`."""


class InstanceType(TypedDict):
    """One kind of machine that may be launched."""

    name: str
    """EC2's name of it, such as `m5.xlarge`."""
    weight: NotRequired[float]
    """Units of capacity that one machine of it counts for: twice the weight fills the target with half the machines. Default: 1."""


def spelled_right(name: str) -> bool:
    """Whether EC2 could have a type of this name: a known size, and a family built as EC2 builds them."""
    return _NAME.fullmatch(name) is not None


def sold_as_spot(name: str) -> bool:
    """False for the series that AWS sells on demand or on Dedicated Hosts only (mac, hpc, high memory)."""
    return not re.match(rf"(?:{'|'.join(NOT_SOLD_AS_SPOT)})[\d-]", name)


def architecture(name: str) -> str:
    """`arm64` or `x86_64`, which a machine image must match.

    Graviton families carry a `g` among the letters after the generation (`m6g`, `c7gn`, `g5g`, but not `g5`), Grace ones a variant
    that begins with `gb` (`p6e-gb200`), and `a1` is the first Graviton. Everything else that is sold as Spot is x86-64.
    https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"{name!r} is not {SPELLING}")
    graviton = "g" in (parts["options"] or "") or (parts["variant"] or "").startswith("gb")
    return "arm64" if graviton or name.startswith("a1.") else "x86_64"


def unheard_of(names: Iterable[str]) -> dict[str, str]:
    """Types that this release of pulumi-aws does not list, each with the nearest that it does (or nothing): new, or misspelt."""
    known = [member.value for member in aws.ec2.InstanceType]
    strangers = [name for name in names if name not in known]
    return {name: next(iter(difflib.get_close_matches(name, known, 1, 0.8)), "") for name in strangers}


def runs_on_xen(name: str) -> bool:
    """Whether the family is one of the older ones on Xen (`m4`, `c4`, `t2` and the like): newer zones may have none of it."""
    return re.match(r"(?:[cmr][1-4]|[dit]2|t1|i3|h1|x1e?)\.", name) is not None
