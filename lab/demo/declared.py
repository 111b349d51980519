"""Which file declares which resources of a stack."""

import re
from collections import Counter
from collections.abc import Iterable

from lab.places import CHECKOUT

COMPONENTS = CHECKOUT / "components/pulumi_spotbatch/aws"


def declaring_files() -> dict[str, str]:
    """File by component class, relative to the checkout."""
    found: dict[str, str] = {}
    for path in sorted(COMPONENTS.glob("*.py")):
        for name in re.findall(r"^class (\w+)\(pulumi\.ComponentResource\)", path.read_text(), re.MULTILINE):
            found[name] = str(path.relative_to(CHECKOUT))
    return found


def by_component(urns: Iterable[str]) -> list[tuple[str, int, str]]:
    """(component and name, resources in it, file) of a stack's URNs."""
    files = declaring_files()
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for urn in urns:
        types, name = urn.split("::")[2:4]
        chain = [part.rsplit(":", 1)[1] for part in types.split("$") if part.startswith("spotbatch:")]
        if not chain:
            continue
        if types.endswith(chain[-1]):
            names.setdefault(chain[0], name)
        else:
            counts[chain[0]] += 1
    return [(f"{kind} {names.get(kind, '')}", count, files.get(kind, "?")) for kind, count in sorted(counts.items())]
