"""`spotbatch convert`: old Karpenter manifests into those that run today."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from spotbatch.tools.convert_provisioner import BadProvisioner, convert_provisioner


def command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="YAML with Provisioners and their AWSNodeTemplates")],
) -> None:
    """Print Karpenter v1 manifests for v1alpha5 ones, and on standard error everything that is not simply the same."""
    # Comes with Pulumi; a machine that only works has none.
    import yaml

    try:
        documents = [document for document in yaml.safe_load_all(file.read_text()) if document is not None]
    except yaml.YAMLError as fault:
        raise BadProvisioner(f"{file}: not YAML: {' '.join(str(fault).split())}") from None
    found = convert_provisioner(documents)
    print(yaml.safe_dump_all(found.manifests, sort_keys=False, width=120), end="")
    for note in found.notes:
        print(note, file=sys.stderr)
