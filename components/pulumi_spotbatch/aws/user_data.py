"""The script with which a machine starts its worker. Pure text: the same settings give the same script."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from spotbatch.exit_status import CANNOT_POWER_OFF

from .machine_policies import ECR_IMAGE

LIMIT_BYTES = 16 * 1024
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html: 16 KB before base64."""

STOP_SECONDS = 110
"""How long systemd waits for a worker to drain: the two-minute warning of AWS, less ten seconds for the machine to go down. The agent asks
for 90 at most."""


@dataclass(frozen=True)
class Archive:
    """Runtime and job come as one archive from the queue's bucket."""

    bucket: str
    key: str
    digest: str


@dataclass(frozen=True)
class Container:
    """Runtime and job come as a container image."""

    image: str


@dataclass(frozen=True)
class Requirement:
    """Runtime and job are installed by pip."""

    requirement: str
    index_url: str | None = None


@dataclass(frozen=True)
class OnImage:
    """The machine image has runtime and job."""

    python: str


Source = Archive | Container | Requirement | OnImage


@dataclass(frozen=True)
class Start:
    """What a machine must know to start its worker."""

    worker: str
    queue_url: str
    log_group: str
    code: Source
    processes: int | None = None
    """None: one for each CPU of the machine."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Environment variable -> ARN in Secrets Manager or the Parameter Store; the values are fetched on the machine."""


class UserDataTooLarge(pulumi.RunError):
    """The script is larger than AWS takes. Pulumi prints the text without a traceback."""


def user_data(start: Start) -> str:
    """The script, free of secrets. Raises UserDataTooLarge.

    Every path is under `$SPOTBATCH_ROOT`, which is empty on a real machine, and the metadata service is where
    `$AWS_EC2_METADATA_SERVICE_ENDPOINT` says, so that a lab can run the same script.
    """
    script = "\n".join([_HEAD, _environment(start), *_code(start), _unit(start)])
    if len(script.encode()) > LIMIT_BYTES:
        raise UserDataTooLarge(f"the machine's start script has {len(script.encode())} bytes, AWS takes {LIMIT_BYTES}: name fewer secrets")
    return script


_HEAD = """#!/bin/bash
# Brings runtime and job to this machine and starts the worker. Its output is in /var/log/cloud-init-output.log.
set -euo pipefail
root="${SPOTBATCH_ROOT:-}"
imds="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}"

# A machine that cannot start its worker would idle for money: it goes, and its pool replaces it.
leave_unless_started() {
  local status=$?
  if [[ $status != 0 ]]; then
    echo "spotbatch: start failed with status $status at: $BASH_COMMAND; powering off in a minute" >&2
    shutdown -h +1
  fi
}
trap leave_unless_started EXIT

# Repositories and buckets may be out of reach for some seconds after boot.
patiently() {
  local pause
  for pause in 1 2 4 8 16; do
    "$@" && return 0
    echo "spotbatch: trying again in $pause s: $1" >&2
    sleep "$pause"
  done
  "$@"
}

look_up() {
  curl -sSf --max-time 5 --retry 5 --retry-connrefused "$@"
}
token="$(look_up -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "${imds%/}/latest/api/token")"
region="$(look_up -H "X-aws-ec2-metadata-token: $token" "${imds%/}/latest/meta-data/placement/region")"
machine="$(look_up -H "X-aws-ec2-metadata-token: $token" "${imds%/}/latest/meta-data/instance-id")"
export AWS_DEFAULT_REGION="$region"

id -u spotbatch >/dev/null 2>&1 || useradd --system --home-dir /var/lib/spotbatch --shell /sbin/nologin spotbatch
mkdir -p "$root/etc/spotbatch" "$root/etc/sudoers.d" "$root/etc/systemd/system" "$root/opt/spotbatch" "$root/var/lib/spotbatch"
chown spotbatch "$root/var/lib/spotbatch"
# A drained machine that outlives its deadline powers itself off.
echo 'spotbatch ALL=(root) NOPASSWD: /usr/sbin/shutdown' >"$root/etc/sudoers.d/spotbatch"
chmod 0440 "$root/etc/sudoers.d/spotbatch"
"""

_PYTHON = """
# The system's own python3 is 3.9 on Amazon Linux 2023, for as long as that release lives.
newest_python() {
  command -v python3.14 || command -v python3.13 || command -v python3.12 || command -v python3.11
}
install_python() {
  newest_python >/dev/null || dnf install -y -q python3.13 || dnf install -y -q python3.12 || dnf install -y -q python3.11
}
patiently install_python
python="$(newest_python)"
"""

_PASSED = ("AWS_DEFAULT_REGION", "SPOTBATCH_LOG_GROUP", "SPOTBATCH_LOG_STREAM", "SPOTBATCH_QUEUE", "SPOTBATCH_SECRETS")


_CONTAINER = "spotbatch-worker"

# A container outlives a docker command that was killed: two agents would take the machine from each other without end. After=docker.service
# is for the way down: systemd would stop the daemon, and so the container, beside the draining worker.
_AROUND_CONTAINER = f"""ExecStartPre=-/usr/bin/docker rm --force {_CONTAINER}
ExecStopPost=+/bin/sh -c 'test "\\$\\$EXIT_STATUS" != {CANNOT_POWER_OFF} || systemctl poweroff'
RestartPreventExitStatus={CANNOT_POWER_OFF}
"""


def _environment(start: Start) -> str:
    lines = {
        "SPOTBATCH_QUEUE": start.queue_url,
        "SPOTBATCH_LOG_GROUP": start.log_group,
        "SPOTBATCH_SECRETS": json.dumps(dict(start.secrets), sort_keys=True) if start.secrets else "",
    }
    text = "\n".join(f"{name}={_quoted(value)}" for name, value in lines.items() if value)
    return f"""cat >"$root/etc/spotbatch/worker.env" <<'END'
{text}
END
cat >>"$root/etc/spotbatch/worker.env" <<END
AWS_DEFAULT_REGION=$region
SPOTBATCH_LOG_STREAM=$machine
PYTHONPYCACHEPREFIX=$root/var/lib/spotbatch/pycache
END
"""


def _code(start: Start) -> list[str]:
    match start.code:
        case Archive(bucket, key, digest):
            source = shlex.quote(f"s3://{bucket}/{key}")
            return [
                _PYTHON,
                f"""archive="$root/opt/spotbatch/code.tar.gz"
patiently aws s3 cp --only-show-errors {source} "$archive"
gzip -dc "$archive" | sha256sum | grep -q '^{digest} '
tar -xzf "$archive" -C "$root/opt/spotbatch" --no-same-owner
rm "$archive"
echo "PYTHONPATH=$root/opt/spotbatch/runtime:$root/opt/spotbatch/job" >>"$root/etc/spotbatch/worker.env"
""",
            ]
        case Requirement(requirement, index_url):
            index = f"--index-url {shlex.quote(index_url)} " if index_url else ""
            return [
                _PYTHON,
                _private_index(start.secrets.get("PIP_INDEX_URL")),
                f""""$python" -m venv "$root/opt/spotbatch/venv"
python="$root/opt/spotbatch/venv/bin/python"
patiently "$python" -m pip install --quiet --no-input {index}{shlex.quote(requirement)}
""",
            ]
        case Container(image):
            return [_docker(image)]
        case OnImage(python):
            return [f"python={shlex.quote(python)}\n"]


def _private_index(arn: str | None) -> str:
    """pip needs its index before there is a runtime that could open secrets."""
    if arn is None:
        return ""
    if arn.split(":")[2] == "ssm":
        fetch = f"aws ssm get-parameter --with-decryption --name {shlex.quote(arn)} --query Parameter.Value --output text"
    else:
        fetch = f"aws secretsmanager get-secret-value --secret-id {shlex.quote(arn)} --query SecretString --output text"
    return f"""PIP_INDEX_URL="$({fetch})"
export PIP_INDEX_URL
"""


def _docker(image: str) -> str:
    registry = ECR_IMAGE.fullmatch(image)
    login = ""
    if registry:
        login = f"""log_in() {{
  aws ecr get-login-password --region {registry["region"]} | docker login --username AWS --password-stdin {registry["host"]}
}}
patiently log_in
"""
    return f"""command -v docker >/dev/null || patiently dnf install -y -q docker
systemctl enable --now docker
usermod -a -G docker spotbatch
{login}patiently docker pull --quiet {shlex.quote(image)}
"""


def _unit(start: Start) -> str:
    processes, after, around = str(start.processes) if start.processes else "$(nproc)", "", ""
    entry = f"-m spotbatch.clouds.aws_service {start.worker} --processes {processes}"
    if isinstance(start.code, Container):
        passed = " ".join(f"-e {name}" for name in _PASSED)
        command = f"/usr/bin/docker run --rm --name {_CONTAINER} --init {passed} --entrypoint python {shlex.quote(start.code.image)} {entry}"
        after, around = " docker.service", _AROUND_CONTAINER
    else:
        command = f"$python {entry}"
    return f"""cat >"$root/etc/systemd/system/spotbatch-worker.service" <<END
[Unit]
Description=spotbatch worker
Wants=network-online.target
After=network-online.target{after}
StartLimitIntervalSec=300
StartLimitBurst=5
StartLimitAction=poweroff

[Service]
Type=exec
User=spotbatch
EnvironmentFile=$root/etc/spotbatch/worker.env
WorkingDirectory=$root/var/lib/spotbatch
ExecStart={command}
{around}Restart=on-failure
RestartSec=5
KillMode=mixed
TimeoutStopSec={STOP_SECONDS}
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now spotbatch-worker
"""


def _quoted(value: str) -> str:
    return "'" + value + "'" if re.search(r"[^\w./:@=+-]", value) else value
