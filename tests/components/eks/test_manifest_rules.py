"""Our reading of Karpenter's definitions. tests/kubernetes asks the real API server about the same manifests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi_spotbatch.eks import manifest_rules
from pulumi_spotbatch.eks.manifest_rules import manifest_faults

from tests.components.recorder import deploy
from tests.kubernetes.manifests import QUOTED, faulty, pool_manifests, sound

DEFINITIONS = Path(manifest_rules.__file__).parent / "crds"


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
    published = Path.home() / "go/pkg/mod/github.com/aws/karpenter-provider-aws@v1.14.1/pkg/apis/crds"
    if not published.is_dir():
        pytest.skip("the Karpenter module is not on this machine; `make lab` fetches it")
    for kind, name in (("NodePool", "karpenter.sh_nodepools.yaml"), ("EC2NodeClass", "karpenter.k8s.aws_ec2nodeclasses.yaml")):
        definition = yaml.safe_load((published / name).read_text())
        (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
        theirs = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        assert json.loads((DEFINITIONS / f"{kind}.json").read_text()) == manifest_rules.condensed(theirs)
