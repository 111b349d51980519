"""How fleets and groups are told which machines to launch."""

from typing import NotRequired, TypedDict

import pulumi


class Template(TypedDict):
    """What a pool needs of a launch template: pass `SpotLaunchTemplate.launch`."""

    id: pulumi.Input[str]
    """Launch template id, `lt-...`."""
    version: pulumi.Input[str]
    """Version to launch, as a number in a string. A new one rolls the pool; `$Latest` would hide that from a preview."""
    role_name: pulumi.Input[str]
    """Role of the machines, to which a pool adds what only it needs, such as completing its lifecycle hook."""
    pool_tag: pulumi.Input[str]
    """Value of the machines' `spotbatch:pool` tag, by which drills and reports find them."""
    architecture: NotRequired[str]
    """x86_64 or arm64, what the template's machine image runs on: pools refuse instance types of the other. Default: not compared."""
