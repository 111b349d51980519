"""Old Provisioners become NodePools that do the same, and what cannot be carried over is said. Judged by Karpenter's own definitions."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi_spotbatch.eks.manifest_rules import manifest_faults

from spotbatch.tools.convert_provisioner import BadProvisioner, Conversion, convert_provisioner

QUOTED = """
apiVersion: karpenter.sh/v1alpha5
kind: Provisioner
metadata:
  name: batch-workers
spec:
  requirements:
    - key: karpenter.sh/capacity-type
      operator: In
      values: ["spot", "on-demand"]
    - key: node.kubernetes.io/instance-type
      operator: In
      values: ["m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge"]
  taints:
    - key: batch
      effect: NoSchedule
  consolidation:
    enabled: true
"""
"""The Provisioner that people quote. Its own webhook refused it, as it names no provider; nothing limits it either."""

LACKED = """
apiVersion: karpenter.k8s.aws/v1alpha1
kind: AWSNodeTemplate
metadata:
  name: batch-workers
spec:
  subnetSelector: {karpenter.sh/discovery: batch}
  securityGroupSelector: {karpenter.sh/discovery: batch}
  instanceProfile: KarpenterNodeInstanceProfile-batch
"""


def converted(*texts: str) -> Conversion:
    return convert_provisioner([document for text in texts for document in yaml.safe_load_all(text)])


def provisioner(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "karpenter.sh/v1alpha5", "kind": "Provisioner", "metadata": {"name": "p"}, "spec": {"providerRef": {"name": "t"}, **spec}}


def template(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "karpenter.k8s.aws/v1alpha1", "kind": "AWSNodeTemplate", "metadata": {"name": "t"}, "spec": spec}


FULL = template(
    amiFamily="Bottlerocket",
    subnetSelector={"aws::ids": "subnet-1,subnet-2"},
    securityGroupSelector={"Name": "a,b", "team": "batch"},
    instanceProfile="profile",
    tags={"team": "batch", "karpenter.sh/provisioner-name": "p", "kubernetes.io/cluster/c": "owned"},
    blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "100Gi", "volumeType": "gp3", "encrypted": True}}],
    metadataOptions={"httpPutResponseHopLimit": 1},
    detailedMonitoring=True,
    userData="[settings]",
    context="fleet",
)


def parts(conversion: Conversion) -> tuple[dict[str, Any], dict[str, Any]]:
    """Specs of the one class and the one pool."""
    described, pool = conversion.manifests
    assert (described["kind"], pool["kind"]) == ("EC2NodeClass", "NodePool")
    return described["spec"], pool["spec"]


def said(conversion: Conversion, text: str) -> bool:
    return any(text in note for note in conversion.notes)


def test_the_pool_that_people_quote_is_converted_with_what_it_lacks():
    found = converted(QUOTED, LACKED)
    described, pool = parts(found)
    requirements = {one["key"]: one["values"] for one in pool["template"]["spec"]["requirements"]}
    assert requirements == {
        "karpenter.sh/capacity-type": ["spot", "on-demand"],
        "node.kubernetes.io/instance-type": ["m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge"],
        "kubernetes.io/os": ["linux"],
        "kubernetes.io/arch": ["amd64"],
    }
    assert pool["template"]["spec"]["taints"] == [{"key": "batch", "effect": "NoSchedule"}]
    assert pool["disruption"]["consolidationPolicy"] == "WhenEmptyOrUnderutilized"
    assert pool["template"]["spec"]["expireAfter"] == "Never"
    assert described["instanceProfile"] == "KarpenterNodeInstanceProfile-batch"
    assert described["subnetSelectorTerms"] == [{"tags": {"karpenter.sh/discovery": "batch"}}]
    assert described["amiSelectorTerms"] == [{"alias": "al2@latest"}]
    assert "replace-me" not in str(found.manifests)
    for note in (
        "spec.limits: missing",
        "for batch take WhenEmpty",
        "Amazon Linux 2 has no images for Kubernetes 1.33",
        "expireAfter Never written out",
    ):
        assert said(found, note), note


def test_alone_it_says_where_something_has_to_be_filled_in():
    found = converted(QUOTED)
    assert said(found, "no AWSNodeTemplate batch-workers in the file")
    assert {note.split(": ")[1] for note in found.notes if "replace-me" in note} == {
        "spec",
        "spec.instanceProfile",
        "spec.subnetSelectorTerms",
        "spec.securityGroupSelectorTerms",
    }


@pytest.mark.parametrize(
    "documents",
    [
        [*yaml.safe_load_all(QUOTED)],
        [*yaml.safe_load_all(QUOTED), *yaml.safe_load_all(LACKED)],
        [provisioner(ttlSecondsAfterEmpty=30, ttlSecondsUntilExpired=86400, weight=10, limits={"resources": {"cpu": 1000}}), FULL],
        [provisioner(labels={"team": "a", "karpenter.sh/provisioner-name": "p"}, annotations={"karpenter.sh/do-not-evict": "true"}), FULL],
        [provisioner(kubeletConfiguration={"containerRuntime": "dockerd", "maxPods": 20, "evictionHard": {"memory.available": "5%"}}), FULL],
        [provisioner(startupTaints=[{"key": "a", "effect": "NoExecute", "value": "b"}]), template(amiFamily="Ubuntu", launchTemplate="mine")],
        [provisioner(), template(amiFamily="Custom", amiSelector={"aws::name": "a*", "aws::owners": "self,123456789012"})],
        [provisioner(), template(amiFamily="Ubuntu", amiSelector={"aws-ids": "ami-1,ami-2"}, securityGroupSelector={"aws::ids": "sg-1"})],
        [provisioner(), template(amiFamily="Windows2022", subnetSelector={"Name": "*"})],
        [{**provisioner(), "spec": {"provider": {"instanceProfile": "p", "subnetSelector": {"a": "b"}}}}],
    ],
    ids=str,
)
def test_what_comes_out_is_what_karpenter_takes(documents: list[dict[str, Any]]):
    found = convert_provisioner(documents)
    assert [faults for manifest in found.manifests if (faults := manifest_faults(manifest))] == []


def test_the_old_defaults_are_written_out():
    found = convert_provisioner([provisioner(), FULL])
    described, pool = parts(found)
    requirements = {one["key"]: one["values"] for one in pool["template"]["spec"]["requirements"]}
    assert requirements == {
        "kubernetes.io/os": ["linux"],
        "kubernetes.io/arch": ["amd64"],
        "karpenter.sh/capacity-type": ["on-demand"],
        "karpenter.k8s.aws/instance-category": ["c", "m", "r"],
        "karpenter.k8s.aws/instance-generation": ["2"],
    }
    assert pool["disruption"] == {
        "consolidationPolicy": "WhenEmpty",
        "consolidateAfter": "Never",
        "budgets": [{"nodes": "0", "reasons": ["Drifted"]}, {"nodes": "100%", "reasons": ["Underutilized", "Empty"]}],
    }
    assert described["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpProtocolIPv6": "disabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "required",
    }
    (bare, _) = parts(convert_provisioner([provisioner(), template(instanceProfile="p")]))
    assert bare["metadataOptions"]["httpPutResponseHopLimit"] == 2


def test_an_architecture_that_is_a_label_is_not_overruled():
    _, pool = parts(convert_provisioner([provisioner(labels={"kubernetes.io/arch": "arm64"}), FULL]))
    assert "kubernetes.io/arch" not in {one["key"] for one in pool["template"]["spec"]["requirements"]}


def test_times_and_limits_take_their_new_form():
    _, pool = parts(convert_provisioner([provisioner(ttlSecondsAfterEmpty=30, ttlSecondsUntilExpired=60, limits={"resources": {"cpu": 9}}), FULL]))
    assert pool["disruption"]["consolidationPolicy"] == "WhenEmpty"
    assert pool["disruption"]["consolidateAfter"] == "30s"
    assert pool["template"]["spec"]["expireAfter"] == "60s"
    assert pool["limits"] == {"cpu": 9}


def test_a_comma_becomes_several_terms():
    described, _ = parts(convert_provisioner([provisioner(), FULL]))
    assert described["subnetSelectorTerms"] == [{"id": "subnet-1"}, {"id": "subnet-2"}]
    assert described["securityGroupSelectorTerms"] == [{"tags": {"Name": "a", "team": "batch"}}, {"tags": {"Name": "b", "team": "batch"}}]


def test_what_is_dropped_or_moved_is_said():
    documents = [
        {
            **provisioner(
                labels={"karpenter.sh/provisioner-name": "p"},
                annotations={"karpenter.sh/do-not-consolidate": "true"},
                kubeletConfiguration={"containerRuntime": "dockerd", "maxPods": 20},
                requirements=[{"key": "karpenter.sh/provisioner-name", "operator": "Exists"}],
            ),
            "metadata": {"name": "p", "uid": "1"},
            "status": {},
        },
        template(launchTemplate="mine", tags={"kubernetes.io/cluster/c": "owned"}),
    ]
    found = convert_provisioner(documents)
    for text in (
        "Provisioner p: metadata.uid: dropped",
        "Provisioner p: status: dropped",
        "spec.labels[karpenter.sh/provisioner-name]: dropped",
        "spec.annotations[karpenter.sh/do-not-consolidate]: has become karpenter.sh/do-not-disrupt",
        "spec.requirements[0]: dropped",
        "spec.kubeletConfiguration.containerRuntime: 'dockerd' dropped",
        "spec.kubeletConfiguration: has moved to the EC2NodeClass",
        "spec.launchTemplate: 'mine' dropped",
        "spec.tags[kubernetes.io/cluster/c]: dropped",
    ):
        assert said(found, text), text
    assert found.manifests[0]["spec"]["kubelet"] == {"maxPods": 20}


def test_two_pools_share_a_class_unless_their_kubelets_differ():
    same = [{**provisioner(), "metadata": {"name": name}} for name in ("a", "b")]
    assert [one["kind"] for one in convert_provisioner([*same, FULL]).manifests] == ["EC2NodeClass", "NodePool", "NodePool"]
    other = {**provisioner(kubeletConfiguration={"maxPods": 5}), "metadata": {"name": "b"}}
    found = convert_provisioner([same[0], other, FULL])
    assert [(one["kind"], one["metadata"]["name"]) for one in found.manifests] == [
        ("EC2NodeClass", "t"),
        ("NodePool", "a"),
        ("EC2NodeClass", "t-b"),
        ("NodePool", "b"),
    ]
    assert found.manifests[3]["spec"]["template"]["spec"]["nodeClassRef"]["name"] == "t-b"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("text", "document 1: 'text' is not allowed; allowed: karpenter.sh/v1alpha5 Provisioner or karpenter.k8s.aws/v1alpha1 AWSNodeTemplate"),
        ({"apiVersion": "karpenter.sh/v1", "kind": "NodePool"}, "document 1: karpenter.sh/v1 NodePool is not allowed"),
        ({**provisioner(), "metadata": {}}, "document 1: metadata.name: missing"),
        ({**provisioner(), "spec": ["a"]}, "Provisioner p: spec: ['a'] is not a mapping"),
        (provisioner(taint=[]), "Provisioner p: spec.taint: no such field; did you mean taints?"),
        (provisioner(provider={"subnetSelectr": {}}), "Provisioner p: spec.provider.subnetSelectr: no such field; did you mean subnetSelector?"),
        (provisioner(provider={"amiFamily": "AL2"}), "Provisioner p: spec.provider: beside spec.providerRef; allowed: one of them"),
        (provisioner(consolidation={"enabled": True}, ttlSecondsAfterEmpty=3), "Provisioner p: spec.consolidation.enabled: beside"),
        (provisioner(ttlSecondsUntilExpired=-1), "Provisioner p: spec.ttlSecondsUntilExpired: -1 is not allowed; allowed: a whole number"),
        (provisioner(ttlSecondsAfterEmpty="30s"), "Provisioner p: spec.ttlSecondsAfterEmpty: '30s' is not allowed"),
        (provisioner(requirements=[{"key": "a"}]), "Provisioner p: spec.requirements[0]: {'key': 'a'} is not allowed; allowed: key, operator"),
        (provisioner(requirements=[{"key": "a", "operator": "Is"}]), "Provisioner p: spec.requirements[0].operator: 'Is' is not allowed"),
        (provisioner(requirements=[{"key": "a", "operator": "In"}]), "Provisioner p: spec.requirements[0].values: missing"),
        (provisioner(taints=[{"key": "a"}]), "Provisioner p: spec.taints[0]: {'key': 'a'} is not allowed; allowed: a key, and an effect"),
        (template(subnetSelectors={}), "AWSNodeTemplate t: spec.subnetSelectors: no such field; did you mean subnetSelector?"),
        (template(), "no Provisioner in it; allowed: one or more, of karpenter.sh/v1alpha5"),
    ],
    ids=str,
)
def test_bad_input_is_named(document: Any, fault: str):
    with pytest.raises(BadProvisioner) as raised:
        convert_provisioner([document])
    assert any(line.startswith(fault) for line in str(raised.value).splitlines()), str(raised.value)


def test_the_command_prints_manifests_and_tells_the_rest_apart(tmp_path: Path):
    path = tmp_path / "provisioner.yaml"
    path.write_text(f"{QUOTED}---{LACKED}")
    command = [str(Path(sys.executable).with_name("spotbatch")), "convert", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [one["kind"] for one in yaml.safe_load_all(done.stdout)] == ["EC2NodeClass", "NodePool"]
    assert "Provisioner batch-workers: spec.limits: missing" in done.stderr
    for text in ("{", "a: b", "kind: Provisioner"):
        path.write_text(text)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("spotbatch: error: ") and "Traceback" not in done.stderr
