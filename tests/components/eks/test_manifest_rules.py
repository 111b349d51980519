"""Our reading of Karpenter's definitions. tests/kubernetes asks the real API server about the same manifests."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi_spotbatch.eks.manifest_rules import DEFINITIONS, manifest_faults

from tests.components.recorder import deploy
from tests.kubernetes.manifests import QUOTED, faulty, pool_manifests, sound

PUBLISHED = Path.home() / "go/pkg/mod/github.com/aws/karpenter-provider-aws@v1.14.1/pkg/apis/crds"
"""Where Go keeps the module that the lab builds Karpenter from."""

FILES = {"NodePool": "karpenter.sh_nodepools.yaml", "EC2NodeClass": "karpenter.k8s.aws_ec2nodeclasses.yaml"}

_KEPT = (
    *("type", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
    *("x-kubernetes-int-or-string", "x-kubernetes-list-type"),
)


def rules(schema: Any) -> Iterator[dict[str, str]]:
    """Every rule anywhere in a definition."""
    if isinstance(schema, dict):
        yield from schema.get("x-kubernetes-validations", ())
        for inner in schema.values():
            yield from rules(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from rules(inner)


def test_nothing_sound_is_refused():
    judged = [(label, manifest_faults(manifest)) for label, manifest in sound() if manifest["kind"] in ("NodePool", "EC2NodeClass")]
    assert len(judged) > 300
    assert [(label, faults) for label, faults in judged if faults] == []


@pytest.mark.parametrize("manifest", [pytest.param(manifest, id=label) for label, manifest in faulty()])
def test_a_planted_fault_is_refused(manifest: dict[str, Any]):
    assert manifest_faults(manifest)


def test_every_rule_that_judges_one_manifest_alone_is_broken_once_and_told_in_its_own_words():
    told = {text.removeprefix("Invalid value: ") for _, manifest in faulty() for _, text in manifest_faults(manifest)}
    every = [rule for kind in ("NodePool", "EC2NodeClass") for rule in rules(json.loads((DEFINITIONS / f"{kind}.json").read_text()))]
    apart = [rule for rule in every if "oldSelf" not in rule["rule"]]
    assert (len(every), len(apart)) == (74, 71)
    assert {rule["message"] for rule in apart} - told == set()


def test_what_is_known_later_counts_as_sound():
    def program() -> None:
        described, _ = pool_manifests("later", QUOTED)
        described["spec"]["role"] = pulumi.Output.from_input("role")
        described["spec"]["subnetSelectorTerms"] = [{"id": pulumi.Output.from_input("subnet-1")}]
        described["spec"]["securityGroupSelectorTerms"] = [{"id": pulumi.Output.from_input("sg-1")}]
        described["spec"]["tags"] = {"team": pulumi.Output.from_input("batch")}
        assert manifest_faults(described) == []

    deploy(program)


def test_the_definitions_are_karpenters_own():
    """After a change of version: `python -m tests.components.eks.test_manifest_rules` writes them anew."""
    if not PUBLISHED.is_dir():
        pytest.skip("the Karpenter module is not on this machine; `make lab KUBERNETES=1` fetches it")
    for kind in FILES:
        assert (DEFINITIONS / f"{kind}.json").read_text() == published(kind)


def published(kind: str) -> str:
    definition = yaml.safe_load((PUBLISHED / FILES[kind]).read_text())
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
    return json.dumps(condensed(version["schema"]["openAPIV3Schema"]["properties"]["spec"]), indent=1, sort_keys=True) + "\n"


def condensed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A published schema without its prose: what `crds/` holds."""
    kept: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: condensed(inner) for name, inner in schema["properties"].items()}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            kept[inner] = condensed(schema[inner])
    if rules := schema.get("x-kubernetes-validations"):
        kept["x-kubernetes-validations"] = [{"rule": rule["rule"], "message": rule.get("message", "")} for rule in rules]
    return kept


if __name__ == "__main__":
    for name in FILES:
        (DEFINITIONS / f"{name}.json").write_text(published(name))
