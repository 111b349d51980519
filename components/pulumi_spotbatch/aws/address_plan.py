"""Which addresses each subnet of a network gets: arithmetic alone."""

import ipaddress
from dataclasses import dataclass

MOST_ZONES = 6

_BLOCK_BITS = 3
_PUBLIC_PREFIX = 28
"""The smallest subnet that AWS takes: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""


@dataclass(frozen=True)
class AddressPlan:
    """A range in eight equal blocks: one for each of up to six zones, one spare, and the last one for public subnets of 16 addresses.

    The plan of a zone does not depend on how many zones there are, so adding one moves nothing.
    """

    private: tuple[str, ...]
    public: tuple[str, ...]


def plan(cidr: str, zones: int) -> AddressPlan:
    """Subnets for `zones` (1 to 6) zones in `cidr` (a /16 to /22). Raises ValueError for another range."""
    blocks = list(_network(cidr).subnets(prefixlen_diff=_BLOCK_BITS))
    public = list(blocks[-1].subnets(new_prefix=_PUBLIC_PREFIX))
    return AddressPlan(tuple(map(str, blocks[:zones])), tuple(map(str, public[:zones])))


def is_plannable(cidr: str) -> bool:
    """Whether `cidr` is a private range of a size that fits."""
    try:
        return _network(cidr).is_private
    except ValueError:
        return False


def _network(cidr: str) -> ipaddress.IPv4Network:
    network = ipaddress.IPv4Network(cidr)
    if not 16 <= network.prefixlen <= 22:
        raise ValueError(f"{cidr} is not a /16 to /22")
    return network
