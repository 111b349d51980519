"""Serves the components to programs in other languages: what Pulumi starts for `pulumi package add`."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pulumi
from pulumi.provider import main
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError


class Host(ComponentProvider):
    """Serves every component of `pulumi_spotbatch`, and hands a fault in the arguments on as it is, without a traceback."""

    def __init__(self) -> None:
        from pulumi_spotbatch import aws, eks

        exported = [getattr(cloud, name) for cloud in (aws, eks) for name in cloud.__all__]
        components = [one for one in exported if isinstance(one, type) and issubclass(one, pulumi.ComponentResource)]
        super().__init__(components, "spotbatch", version=version("spotbatch"))

    def construct(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().construct(*args, **kwargs)
        except ComponentInitError as error:
            if isinstance(error.inner, pulumi.RunError):
                raise error.inner from None
            raise


if __name__ == "__main__":
    # The engine runs this folder, not an installed package, where the virtual environment was made by hand.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main(Host(), sys.argv[1:])
