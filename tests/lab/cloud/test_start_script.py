"""The start script that SpotLaunchTemplate gives its machines, run on a machine of the lab with a job in its archive."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator

import pytest
from pulumi_spotbatch.aws.user_data import Archive, Start, user_data

from lab.cloud import LocalCloud
from tests.lab.cloud.fleets import eventually, fleet_config, machine, make_template, members, request_fleet

WORKER = b"""
import os, signal, sys, time
import job
def say(*words):
    print(*words, flush=True)
signal.signal(signal.SIGTERM, lambda *_: (say("draining"), sys.exit(0)))
say("worker", *sys.argv[1:], job.NAME)
say(*(f"{name}={os.environ.get(name)}" for name in ("SPOTBATCH_QUEUE", "SPOTBATCH_LOG_GROUP", "SPOTBATCH_LOG_STREAM", "AWS_DEFAULT_REGION")))
say("static keys:", "AWS_ACCESS_KEY_ID" in os.environ)
while True:
    time.sleep(0.1)
"""


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), auth=True) as running:
        yield running


@pytest.fixture(scope="module")
def profile(strict: LocalCloud) -> str:
    """A role that may read code from the bucket `queue`, as an instance profile."""
    iam = strict.client("iam")
    strict.client("s3").create_bucket(Bucket="queue")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    read = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::queue/code/*"}]}
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="worker", PolicyName="code", PolicyDocument=json.dumps(read))
    arn = iam.create_instance_profile(InstanceProfileName="worker")["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName="worker")
    return arn


def start(cloud: LocalCloud, profile: str, kind: str, code: bytes, digest: str | None = None):
    """A machine that starts from `code`, whose digest (of the tar inside) the script checks."""
    digest = digest or hashlib.sha256(gzip.decompress(code)).hexdigest()
    cloud.client("s3").put_object(Bucket="queue", Key=f"code/{digest}.tar.gz", Body=code)
    script = user_data(Start("job:Job", "http://127.0.0.1/queue", "logs", Archive("queue", f"code/{digest}.tar.gz", digest), processes=2))
    options = {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}
    template = make_template(cloud, script, IamInstanceProfile={"Arn": profile}, MetadataOptions=options)
    return members(cloud, request_fleet(cloud, fleet_config(template, [(kind, "a")])))[0]


def test_the_script_brings_the_job_and_starts_the_worker_under_systemd(strict: LocalCloud, profile: str):
    code = archive({"runtime/spotbatch/clouds/aws_service.py": WORKER, "job/job.py": b"NAME = 'from the archive'\n"})
    one = start(strict, profile, "m5.xlarge", code)
    assert eventually(lambda: "static keys:" in one.console.read_text(), seconds=30), one.console.read_text()
    said = one.console.read_text()
    assert "worker job:Job --processes 2 from the archive" in said
    assert f"SPOTBATCH_QUEUE=http://127.0.0.1/queue SPOTBATCH_LOG_GROUP=logs SPOTBATCH_LOG_STREAM={one.id} AWS_DEFAULT_REGION=us-east-1" in said
    assert "static keys: False" in said
    strict.client("ec2").terminate_instances(InstanceIds=[one.id])
    assert eventually(lambda: machine(strict, one.id).state == "terminated")
    assert "draining" in one.console.read_text()


def test_a_machine_whose_code_is_not_what_was_deployed_runs_nothing_and_powers_off(strict: LocalCloud, profile: str):
    one = start(strict, profile, "c5.xlarge", archive({"job/job.py": b""}), digest="0" * 64)
    assert eventually(lambda: "Power-off in 60 s" in one.console.read_text(), seconds=30), one.console.read_text()
    assert "Started spotbatch-worker" not in one.console.read_text()
