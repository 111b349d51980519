"""What the components say at preview, beside what the real API server says of the same manifests."""

import pytest
from pulumi_spotbatch.eks.manifest_rules import manifest_faults

from lab.kubernetes.api import KubernetesApi
from lab.kubernetes.refused import Refused
from spotbatch.tools.convert_provisioner import convert_provisioner

from .manifests import faulty
from .test_convert import FULL, LACKED, QUOTED, converted, provisioner, template


def test_a_broken_rule_is_told_in_the_words_of_the_api_server(api: KubernetesApi) -> None:
    compared, otherwise = 0, {}
    for label, manifest in faulty():
        ours = [text.removeprefix("Invalid value: ") for _, text in manifest_faults(manifest)]
        try:
            api.apply(manifest, dry_run=True)
        except Refused as refused:
            theirs = str(refused)
        else:
            theirs = ""
        compared += 1
        if not any(_key(text) in theirs for text in ours):
            otherwise[label] = (ours, theirs)
    assert compared > 100
    assert otherwise == {}


_SHARED = (
    *("Required value", "Unsupported value", "Too many", "should match", "field not declared in schema", "duplicate entries", "expected"),
    *("should be less than or equal to", "should be greater than or equal to", "should be at least", "should have at least", "may not be more than"),
)
"""What both say of a fault in the structure; around it each shows the value in its own way."""


def _key(text: str) -> str:
    """The part of a fault that is worded by Karpenter or Kubernetes."""
    return next((part for part in _SHARED if part in text and not text.startswith("expected at least one")), text)


@pytest.mark.parametrize("documents", [(QUOTED,), (QUOTED, LACKED)], ids=["alone", "with its template"])
def test_a_converted_provisioner_is_taken(api: KubernetesApi, documents: tuple[str, ...]) -> None:
    for manifest in converted(*documents).manifests:
        api.apply(manifest, dry_run=True)


def test_converted_fields_of_every_kind_are_taken(api: KubernetesApi) -> None:
    full = provisioner(
        ttlSecondsAfterEmpty=30,
        ttlSecondsUntilExpired=86400,
        weight=10,
        limits={"resources": {"cpu": 1000}},
        labels={"team": "a", "karpenter.sh/provisioner-name": "p"},
        annotations={"karpenter.sh/do-not-evict": "true"},
        kubeletConfiguration={"containerRuntime": "dockerd", "maxPods": 20, "evictionHard": {"memory.available": "5%"}},
        startupTaints=[{"key": "a", "effect": "NoExecute", "value": "b"}],
    )
    named = template(amiFamily="Custom", amiSelector={"aws::name": "a*", "aws::owners": "self,123456789012"})
    for documents in ([full, FULL], [provisioner(), named]):
        for manifest in convert_provisioner(documents).manifests:
            api.apply(manifest, dry_run=True)
