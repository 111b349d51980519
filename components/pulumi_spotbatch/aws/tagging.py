"""Tags that tell which stack and pool a resource belongs to."""

import re
from collections.abc import Mapping

import pulumi

from ..validation import Faults

POOL, QUEUE, STACK = "spotbatch:pool", "spotbatch:queue", "spotbatch:stack"


def own_tags(tags: Mapping[str, pulumi.Input[str]] | None) -> dict[str, pulumi.Input[str]]:
    """The owner's tags and the stack's own: `spotbatch:stack` is PROJECT/STACK."""
    return {**(tags or {}), STACK: f"{pulumi.get_project()}/{pulumi.get_stack()}"}


def pool_of(name: str) -> str:
    """Value of `spotbatch:pool` for the machines of the template called `name`: no other stack of the account has it."""
    return f"{name}-{pulumi.get_project()}-{pulumi.get_stack()}"


def check_tags(faults: Faults, tags: Mapping[str, pulumi.Input[str]] | None, *, on_machines: bool = False) -> None:
    """Refuse tags that AWS would refuse, or that would hide ours.

    Limits: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions. Where machines read their own tags
    (`on_machines`), keys are narrower: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-tags-in-IMDS.html
    """
    for key, value in (tags or {}).items():
        path = f"tags[{key!r}]"
        if key.lower().startswith(("aws:", "spotbatch:")):
            faults.add(path, key, "a key that does not begin with aws: or spotbatch:")
        elif not re.fullmatch(r"[\w .:/=+@-]{1,128}", key):
            faults.add(path, key, "1 to 128 letters, digits, spaces and . : / = + @ _ -")
        elif on_machines and (not re.fullmatch(r"[A-Za-z0-9+=.,_:@-]+", key) or key in (".", "..", "_index")):
            faults.add(path, key, "letters, digits and + - = . , _ : @ only, as machines read their tags from their metadata")
        if isinstance(value, str) and not re.fullmatch(r"[\w .:/=+@-]{0,256}", value):
            faults.add(path, value, "up to 256 letters, digits, spaces and . : / = + @ _ -")
    if len(tags or {}) > 45:
        faults.add("tags", len(tags or {}), "45 tags at most, as AWS takes 50 and the component adds its own")
