"""What one worker machine is."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ..validation import Faults, between, like, one_of, some
from . import code_archive, user_data
from .iam import trust
from .machine_policies import logs_policy, pull_policy, secrets_policy
from .queue_access import QueueAccess
from .tagging import POOL, QUEUE, check_tags, own_tags, pool_of
from .template import Template

_IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
"""https://docs.aws.amazon.com/linux/al2023/ug/ec2.html#launch-via-aws-cli"""

_LOG_DAYS = 30

_TAGGED = ("instance", "volume", "network-interface", "spot-instances-request")

_SECRET_ARN = r"arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:\d{12}:secret|ssm:[a-z0-9-]+:\d{12}:parameter)[:/].+"


class Code(TypedDict):
    """How a machine gets runtime and job: exactly one of `folder`, `image`, `requirement`, `on_image`."""

    folder: NotRequired[str]
    """Folder with the job. It is packed with the runtime and a boto3 for the machine's Python, and uploaded to the queue's bucket; names that
    begin with a dot, `__pycache__`, `node_modules` and `venv` stay out. At most 64 MiB. Default: `.`, the Pulumi program's own folder."""
    image: NotRequired[str]
    """Container image with Python 3.11 or newer as `python`, `spotbatch[aws]` and the job, such as
    `123456789012.dkr.ecr.eu-west-1.amazonaws.com/job:1.4`. Docker comes from the machine's distribution; pulling from ECR is allowed to the role."""
    requirement: NotRequired[str]
    """What pip installs, such as `my-job==1.4`; it must bring `spotbatch[aws]`."""
    index_url: NotRequired[str]
    """Package index for `requirement`, without a password in it. Default: pip's own. A private index: leave this out, and keep the whole
    address in a secret that `secrets` names PIP_INDEX_URL."""
    on_image: NotRequired[str]
    """Path of a Python on the machine image that has `spotbatch[aws]` and the job, such as `/opt/job/bin/python`. Needs `image.id`."""


class MachineImage(TypedDict):
    """What a machine boots from."""

    id: NotRequired[pulumi.Input[str]]
    """Machine image to use, `ami-...`. Default: the newest Amazon Linux 2023 at the first deployment, and the same one ever after."""
    release: NotRequired[str]
    """Any text. Change it, to today's date for instance, and the next `up` takes what is the newest Amazon Linux 2023 then."""
    architecture: NotRequired[str]
    """x86_64 (default) or arm64. With `id` it only has to agree with the fleet's instance types."""
    root_device: NotRequired[str]
    """Device name of the image's root volume. Default: /dev/xvda, as on Amazon Linux."""
    root_gib: NotRequired[int]
    """Size of the root volume in GiB, 8 to 16384, not below that of the image. Default: 20."""


class SpotLaunchTemplateArgs(TypedDict):
    """What a SpotLaunchTemplate needs to know."""

    worker: str
    """Class to run, as `MODULE:CLASS`."""
    queue: QueueAccess
    """The queue it works on: `SqsTaskQueue.access`."""
    vpc_id: NotRequired[pulumi.Input[str]]
    """Network in which to make a security group that lets nothing in. Give this or `security_group_ids`."""
    security_group_ids: NotRequired[Sequence[pulumi.Input[str]]]
    """Security groups to use instead of making one. They must let out what the job needs, HTTPS at least."""
    code: NotRequired[Code]
    """How a machine gets its code. Default: an archive of the Pulumi program's own folder."""
    image: NotRequired[MachineImage]
    """What a machine boots from. Default: Amazon Linux 2023 for x86_64 with an encrypted root volume of 20 GiB."""
    processes: NotRequired[int]
    """Worker processes on each machine, 1 to 256. Default: one for each CPU."""
    secrets: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Environment variable -> ARN of a secret (Secrets Manager) or parameter (Parameter Store). The machine reads the value when the worker
    starts; it is in no template, plan or state. A key of your own (KMS) must let the role decrypt. Default: none."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags for every resource that takes tags, and for each machine, its volume, network interface and Spot request. Machines read their
    tags from their metadata, so keys are letters, digits and + - = . , _ : @. Default: the stack's and the pool's own tags."""


class SpotLaunchTemplate(pulumi.ComponentResource):
    """Describe a worker machine once, for fleets and groups alike: it starts the job by itself and can do nothing else.

    Creates the launch template (metadata only with tokens, root volume gp3 and encrypted, no public address, terminated when it shuts
    down), the role and its instance profile (this queue and its own logs, nothing more), a log group that keeps 30 days, a security
    group without ingress unless given, and the code archive in the queue's bucket. Archives of earlier versions stay there, so that a
    machine of the version before can still start.

    Leaves to you: where machines run (`SpotFleet`, `SpotAutoScalingGroup`), a way out of the subnets (`Network`), and what else the job
    may do: attach policies to `role_name`.

    Says nothing of Spot itself, as Auto Scaling refuses templates that do. Raises InvalidArgs.
    """

    template_id: pulumi.Output[str]
    """Launch template id."""
    version: pulumi.Output[str]
    """Newest version, as a number in a string. A pool that is given it is rolled when anything about the machines changes."""
    role_name: pulumi.Output[str]
    """Role of the machines: attach what else the job may do."""
    role_arn: pulumi.Output[str]
    """ARN of the machines' role, for policies of buckets and keys."""
    security_group_id: pulumi.Output[str]
    """Security group of the machines; the first one if several were given."""
    log_group_name: pulumi.Output[str]
    """Log group with one stream for each machine, named by its id."""

    def __init__(self, name: str, args: SpotLaunchTemplateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:SpotLaunchTemplate", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = own_tags(given.get("tags"))
        self._pool = pool_of(name)
        code, image = given.get("code", {}), given.get("image", {})
        self._architecture = image.get("architecture", "x86_64")

        log_group = aws.cloudwatch.LogGroup(f"{name}-logs", retention_in_days=_LOG_DAYS, tags=self._tags, opts=self._child)
        role = aws.iam.Role(f"{name}-role", assume_role_policy=trust("ec2.amazonaws.com"), tags=self._tags, opts=self._child)
        policies = self._policies(name, role, given, log_group)
        profile = aws.iam.InstanceProfile(f"{name}-profile", role=role.name, tags=self._tags, opts=self._child)
        groups = given.get("security_group_ids") or [self._security_group(name, given.get("vpc_id"))]
        template = aws.ec2.LaunchTemplate(
            f"{name}-template",
            update_default_version=True,
            image_id=image["id"] if "id" in image else self._pinned_image(name, image),
            instance_initiated_shutdown_behavior="terminate",
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(arn=profile.arn),
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                # A container is one hop further: with 1 it could not get a token, and would never see a notice.
                http_put_response_hop_limit=2 if "image" in code else 1,
                instance_metadata_tags="enabled",
            ),
            network_interfaces=[
                aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                    device_index=0, associate_public_ip_address="false", delete_on_termination="true", security_groups=groups
                )
            ],
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=image.get("root_device", "/dev/xvda"),
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        encrypted="true", volume_type="gp3", volume_size=image.get("root_gib", 20), delete_on_termination="true"
                    ),
                )
            ],
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=self._machine_tags(name, given["queue"])) for kind in _TAGGED
            ],
            user_data=self._user_data(name, given, log_group),
            tags=self._tags,
            # Machines start as soon as a fleet knows the template: by then they must be allowed to work.
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
        )

        self.template_id, self.version = template.id, template.latest_version.apply(str)
        self.role_name, self.role_arn = role.name, role.arn
        self.security_group_id = pulumi.Output.from_input(groups[0])
        self.log_group_name = log_group.name
        self.register_outputs(
            {
                "templateId": self.template_id,
                "version": self.version,
                "roleName": self.role_name,
                "roleArn": self.role_arn,
                "securityGroupId": self.security_group_id,
                "logGroupName": self.log_group_name,
            }
        )

    @property
    def launch(self) -> Template:
        """The template in the form in which fleets and groups take it: `{"template": machine.launch, ...}`."""
        return {
            "id": self.template_id,
            "version": self.version,
            "role_name": self.role_name,
            "pool_tag": self._pool,
            "architecture": self._architecture,
        }

    def _machine_tags(self, name: str, queue: QueueAccess) -> dict[str, pulumi.Input[str]]:
        return {"Name": name, **self._tags, POOL: self._pool, QUEUE: queue["url"]}

    def _pinned_image(self, name: str, image: MachineImage) -> pulumi.Output[str]:
        """The newest image when this was first deployed: a stash keeps what it was given until `release` changes."""
        architecture = image.get("architecture", "x86_64")
        newest = aws.ssm.get_parameter_output(name=_IMAGE_PARAMETER.format(architecture=architecture), opts=pulumi.InvokeOutputOptions(parent=self))
        pin = pulumi.Stash(
            f"{name}-image",
            input=newest.insecure_value,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["input"], replacement_trigger=f"{architecture} {image.get('release', '')}"),
        )
        return pin.output

    def _security_group(self, name: str, vpc_id: pulumi.Input[str] | None) -> pulumi.Output[str]:
        return aws.ec2.SecurityGroup(
            f"{name}-closed",
            description="Workers: nothing in, everything out",
            vpc_id=vpc_id,
            egress=[aws.ec2.SecurityGroupEgressArgs(protocol="-1", from_port=0, to_port=0, cidr_blocks=["0.0.0.0/0"], ipv6_cidr_blocks=["::/0"])],
            tags=self._tags,
            opts=self._child,
        ).id

    def _policies(
        self, name: str, role: "aws.iam.Role", given: SpotLaunchTemplateArgs, log_group: "aws.cloudwatch.LogGroup"
    ) -> list[pulumi.Resource]:
        secrets, image = list(given.get("secrets", {}).values()), given.get("code", {}).get("image", "")
        documents = {
            "work": given["queue"]["worker_policy"],
            "log": logs_policy(log_group.arn),
            "read-secrets": secrets_policy(secrets) if secrets else None,
            "pull": pull_policy(image),
        }
        return [
            aws.iam.RolePolicy(f"{name}-may-{what}", role=role.name, policy=text, opts=self._child)
            for what, text in documents.items()
            if text is not None
        ]

    def _user_data(self, name: str, given: SpotLaunchTemplateArgs, log_group: "aws.cloudwatch.LogGroup") -> pulumi.Output[str]:
        code, queue = given.get("code", {}), given["queue"]
        folder = _folder(code)
        try:
            archive = code_archive.build(folder) if folder else None
        except OSError as fault:
            raise pulumi.RunError(f"SpotLaunchTemplate {name!r}: code.folder: {str(folder)!r} cannot be packed: {fault}") from None
        if archive:
            aws.s3.BucketObjectv2(
                f"{name}-code",
                bucket=queue["bucket_name"],
                key=archive.key,
                source=pulumi.FileAsset(str(archive.path)),
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )

        def script(known: list) -> str:
            queue_url, log_group_name, bucket, secrets = known
            start = user_data.Start(given["worker"], queue_url, log_group_name, _source(code, archive, bucket), given.get("processes"), secrets)
            return base64.b64encode(user_data.user_data(start).encode()).decode()

        return pulumi.Output.all(queue["url"], log_group.name, queue["bucket_name"], dict(given.get("secrets", {}))).apply(script)


def _folder(code: Code) -> Path | None:
    """The job's folder where machines get an archive."""
    return None if {"image", "requirement", "on_image"} & set(code) else Path(code.get("folder", "."))


def _source(code: Code, archive: code_archive.CodeArchive | None, bucket: str) -> user_data.Source:
    if archive:
        return user_data.Archive(bucket, archive.key, archive.digest)
    if "image" in code:
        return user_data.Container(code["image"])
    if "requirement" in code:
        return user_data.Requirement(code["requirement"], code.get("index_url"))
    return user_data.OnImage(code.get("on_image", ""))


_RULES = {
    "worker": like(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "MODULE:CLASS, such as etl:Survival"),
    "security_group_ids": some(),
    "code.image": like(r"[\w.-]+[\w./:@-]*", "a container image such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/job:1.4"),
    "code.requirement": like(r"[A-Za-z0-9][^\n]*", "what pip installs, such as my-job==1.4"),
    "code.index_url": like(r"https?://[^\s@]+", "an address without name and password (a private index: a secret named PIP_INDEX_URL)", hidden=True),
    "code.on_image": like(r"/[\w./+-]+", "the absolute path of a Python, such as /opt/job/bin/python"),
    "image.id": like(r"ami-[0-9a-f]+", "a machine image id, ami-..."),
    "image.architecture": one_of("x86_64", "arm64"),
    "image.root_device": like(r"/dev/\w+", "a device name such as /dev/xvda"),
    "image.root_gib": between(8, 16384),
    "processes": between(1, 256),
    "secrets[]": like(_SECRET_ARN, "the ARN of a secret or parameter, arn:aws:secretsmanager:... or arn:aws:ssm:...", hidden=True),
}


def checked(name: str, args: SpotLaunchTemplateArgs) -> SpotLaunchTemplateArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("SpotLaunchTemplate", name)
    given = faults.read(SpotLaunchTemplateArgs, args, _RULES)
    code, image = given.get("code", {}), given.get("image", {})
    forms = [form for form in ("folder", "image", "requirement", "on_image") if form in code]
    if len(forms) > 1:
        faults.add("code", forms, "one of folder, image, requirement, on_image")
    if "index_url" in code and "requirement" not in code:
        faults.say("code.index_url", "it stands without code.requirement; allowed: left out, or given with it")
    if "on_image" in code and "id" not in image:
        faults.say("image.id", "missing; allowed: the machine image that has code.on_image")
    if "release" in image and "id" in image:
        faults.add("image.release", image["release"], "left out where image.id is given: change the id instead")
    stated = {key for key, value in args.items() if value is not None} if isinstance(args, Mapping) else set()
    if ("vpc_id" in stated) == ("security_group_ids" in stated):
        faults.say("vpc_id", "give either vpc_id, to have a security group made in it, or security_group_ids")
    for variable in given.get("secrets", {}):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            faults.add(f"secrets[{variable!r}]", variable, "the name of an environment variable: letters, digits and _")
    folder = _folder(code)
    if folder and "worker" in given:
        for path, text in code_archive.job_faults(folder, given["worker"]):
            faults.say(path, text)
    check_tags(faults, given.get("tags"), on_machines=True)
    faults.raise_any()
    return given
