"""What a worker prints and which secrets it gets, on a machine of the lab with the role that SpotLaunchTemplate gives it, IAM enforced."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi_spotbatch.aws import SpotLaunchTemplate
from pulumi_spotbatch.aws.code_archive import runtime_files

from lab.cloud import LocalCloud, MarketMachine
from tests.components.recorder import Deployment, deploy
from tests.components.samples import ACCOUNT, JOB, QUEUE, REGION
from tests.lab.cloud.fleets import eventually, fleet_config, machine, make_template, members, request_fleet

AGENT = b"""
import os, signal, sys, time

def stop(number, frame):
    print("given back")
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
print("token is", os.environ["TOKEN"])
while True:
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), auth=True) as running:
        yield running


def archive() -> bytes:
    """The real runtime, with an agent that only prints."""
    files = {f"runtime/{name}": path.read_bytes() for name, path in runtime_files()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in {**files, "runtime/spotbatch/agent.py": AGENT}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def launch(cloud: LocalCloud, kind: str, *, left_out: str = "") -> tuple[str, MarketMachine]:
    """The log group and a machine, as the component declares it, with all of its policies but one."""
    name = f"machine-{kind.replace('.', '-')}"
    secret = cloud.client("secretsmanager").create_secret(Name=f"{name}-token", SecretString="opened")["ARN"]
    args: Any = {
        "worker": "thumbnails:Thumbnails",
        "queue": {**QUEUE, "bucket_name": f"{name}-bucket", "worker_policy": may_fetch(f"{name}-bucket")},
        "vpc_id": "vpc-1",
        "code": {"folder": str(JOB)},
        "secrets": {"TOKEN": secret},
    }
    declared = deploy(lambda: SpotLaunchTemplate(name, args))
    cloud.client("logs").create_log_group(logGroupName=f"{name}-logs")

    profile = role(cloud, name, declared, left_out)
    script = base64.b64decode(declared.only("LaunchTemplate").inputs["userData"]).decode()
    code, key = archive(), declared.only("BucketObjectv2").inputs["key"]
    packed, ours = key.removeprefix("code/").removesuffix(".tar.gz"), hashlib.sha256(gzip.decompress(code)).hexdigest()
    cloud.client("s3").create_bucket(Bucket=f"{name}-bucket")
    cloud.client("s3").put_object(Bucket=f"{name}-bucket", Key=key.replace(packed, ours), Body=code)
    options = {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}
    template = make_template(cloud, script.replace(packed, ours), IamInstanceProfile={"Arn": profile}, MetadataOptions=options)
    return f"{name}-logs", members(cloud, request_fleet(cloud, fleet_config(template, [(kind, "a")])))[0]


def role(cloud: LocalCloud, name: str, declared: Deployment, left_out: str) -> str:
    """The declared role with its policies, as an instance profile."""
    iam = cloud.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=declared.only("Role").inputs["assumeRolePolicy"])
    recorded, real = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:", f"arn:aws:logs:{REGION}:000000000000:log-group:"
    for policy in declared.all("RolePolicy"):
        if policy.name != f"{name}-{left_out}":
            document = policy.inputs["policy"].replace(recorded, real)
            iam.put_role_policy(RoleName=name, PolicyName=policy.name, PolicyDocument=document)
    arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return arn


def may_fetch(bucket: str) -> str:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/code/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def shipped(cloud: LocalCloud, group: str) -> list[tuple[str, str]]:
    events = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    return [(event["logStreamName"], event["message"]) for event in events]


def test_lines_leave_while_the_worker_runs_and_the_last_one_before_the_deadline(strict: LocalCloud):
    group, one = launch(strict, "m5.xlarge")
    assert eventually(lambda: (one.id, "token is opened") in shipped(strict, group), seconds=40), one.console.read_text()
    strict.market.interrupt(one.id, notice_seconds=4)
    strict.client("ec2").terminate_instances(InstanceIds=[one.id])
    assert eventually(lambda: machine(strict, one.id).state == "terminated")
    assert (one.id, "given back") in shipped(strict, group)


def test_without_permission_to_log_the_work_goes_on_and_the_console_says_why(strict: LocalCloud):
    group, one = launch(strict, "c5.xlarge", left_out="may-log")
    assert eventually(lambda: "lines cannot be sent" in one.console.read_text(), seconds=40), one.console.read_text()
    assert "token is opened" in one.console.read_text()
    assert shipped(strict, group) == []


def test_without_permission_for_a_secret_nothing_starts_and_the_log_names_the_secret(strict: LocalCloud):
    group, one = launch(strict, "r5.xlarge", left_out="may-read-secrets")

    def told() -> list[str]:
        return [line for _, line in shipped(strict, group) if line.startswith("spotbatch: secret TOKEN: permission missing")]

    assert eventually(told, seconds=40), one.console.read_text()
    assert "allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:" in told()[0]
    assert "token is" not in one.console.read_text()
