#!/bin/bash
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

cat >"$root/etc/spotbatch/worker.env" <<'END'
SPOTBATCH_QUEUE=https://sqs.us-east-1.amazonaws.com/123456789012/tasks
SPOTBATCH_LOG_GROUP=m-logs-1a2b3c4
END
cat >>"$root/etc/spotbatch/worker.env" <<END
AWS_DEFAULT_REGION=$region
SPOTBATCH_LOG_STREAM=$machine
PYTHONPYCACHEPREFIX=$root/var/lib/spotbatch/pycache
END

command -v docker >/dev/null || patiently dnf install -y -q docker
systemctl enable --now docker
usermod -a -G docker spotbatch
log_in() {
  aws ecr get-login-password --region eu-west-1 | docker login --username AWS --password-stdin 123456789012.dkr.ecr.eu-west-1.amazonaws.com
}
patiently log_in
patiently docker pull --quiet 123456789012.dkr.ecr.eu-west-1.amazonaws.com/job:1.4

cat >"$root/etc/systemd/system/spotbatch-worker.service" <<END
[Unit]
Description=spotbatch worker
Wants=network-online.target
After=network-online.target docker.service
StartLimitIntervalSec=300
StartLimitBurst=5
StartLimitAction=poweroff

[Service]
Type=exec
User=spotbatch
EnvironmentFile=$root/etc/spotbatch/worker.env
WorkingDirectory=$root/var/lib/spotbatch
ExecStart=/usr/bin/docker run --rm --name spotbatch-worker --init -e AWS_DEFAULT_REGION -e SPOTBATCH_LOG_GROUP -e SPOTBATCH_LOG_STREAM -e SPOTBATCH_QUEUE -e SPOTBATCH_SECRETS --entrypoint python 123456789012.dkr.ecr.eu-west-1.amazonaws.com/job:1.4 -m spotbatch.clouds.aws_service thumbnails:Thumbnails --processes 4
ExecStartPre=-/usr/bin/docker rm --force spotbatch-worker
ExecStopPost=+/bin/sh -c 'test "\$\$EXIT_STATUS" != 77 || systemctl poweroff'
RestartPreventExitStatus=77
Restart=on-failure
RestartSec=5
KillMode=mixed
TimeoutStopSec=110
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now spotbatch-worker
