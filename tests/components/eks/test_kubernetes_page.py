"""What docs/kubernetes.md shows and says is so."""

import re
from pathlib import Path

import pytest
from pulumi_spotbatch.eks import SpotNodePool, job_manifest
from pulumi_spotbatch.eks import node_pool_manifests as shapes

from stacks.settings import EksSettings
from tests.components.recorder import deploy
from tests.components.samples import KARPENTER, SUBNETS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/kubernetes.md").read_text()


def test_its_program_deploys_karpenter_a_pool_and_a_job(preview: bool):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    recorded = deploy(lambda: exec(program, {}), preview=preview)
    types = {request.type.split(":")[-1] for request in recorded.requests}
    assert {"Release", "NodePool", "EC2NodeClass", "Job", "PodIdentityAssociation"} <= types
    inside = [request for request in recorded.requests if request.type.startswith("kubernetes:")]
    assert all("::batch::" in request.provider for request in inside), "nothing goes to the cluster of the day"


def test_it_lists_every_section_beside_the_file_that_documents_it():
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| `(\S+\.py)` \|$", PAGE, re.M))
    assert list(rows) == [section for section in EksSettings.model_fields if section != "tags"]
    assert [path for path in rows.values() if not (ROOT / path).is_file()] == []


def test_it_explains_every_status_that_the_job_sorts():
    told = {int(code) for row in re.findall(r"^\| ([\d, ]+) \| ", PAGE, re.M) for code in row.split(", ")}
    assert {job_manifest.INTERRUPTED, job_manifest.GIVEN_UP, job_manifest.BAD_JOB, job_manifest.UNREACHABLE} <= told


def test_the_pool_that_it_quotes_is_taken_and_set_as_it_says(caplog: pytest.LogCaptureFixture):
    (quoted,) = re.findall(r"both kinds of capacity, is `(\{.*?\}\})`", PAGE)
    deployment = deploy(
        lambda: SpotNodePool("pool", {"karpenter": KARPENTER, "subnet_ids": SUBNETS, "limits": {"cpu": 8}, **eval(quoted)})  # pyright: ignore[reportArgumentType]
    )
    spec = deployment.only("NodePool").inputs["spec"]
    assert f"| `terminationGracePeriod` | {shapes.GRACE_SECONDS} s |" in PAGE
    assert f"| `consolidationPolicy` | `{spec['disruption']['consolidationPolicy']}` |" in PAGE
    assert f"| `expireAfter` | `{spec['template']['spec']['expireAfter']}` |" in PAGE
