"""What the interruption handler's functions are made of: the runtime's own files, no more."""

import importlib.util
from pathlib import Path

import pulumi

ENTRY = "spotbatch.clouds.aws_lambda.handle"


def archive() -> pulumi.AssetArchive:
    """`spotbatch` without its tools and other clouds; boto3 is in Lambda's own runtime.

    File by file, so that an `up` shows a change when the code has changed and at no other time: not for a new checkout, another
    machine's compressor, or a cache folder beside the sources.
    """
    spec = importlib.util.find_spec("spotbatch")
    assert spec is not None and spec.origin is not None
    home = Path(spec.origin).parent
    files = [*home.glob("*.py"), *(home / "strategies").glob("*.py"), home / "clouds" / "__init__.py", *(home / "clouds").glob("aws*.py")]
    return pulumi.AssetArchive({f"spotbatch/{path.relative_to(home).as_posix()}": pulumi.FileAsset(path) for path in sorted(files)})
