"""What a worker machine may do beside working on its queue."""

import re
from collections.abc import Sequence

import pulumi

from .iam import allow, document

_READS = {"secretsmanager": "secretsmanager:GetSecretValue", "ssm": "ssm:GetParameter"}

ECR_IMAGE = re.compile(r"(?P<host>(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?)/(?P<repository>[^:@]+)[:@]?.*")
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html"""


def logs_policy(log_group_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Write to one's own log group."""
    # IAM's reference names the group for the first action and the stream for the second.
    return document(allow(["logs:CreateLogStream", "logs:PutLogEvents"], [log_group_arn, pulumi.Output.concat(log_group_arn, ":*")]))


def secrets_policy(arns: Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
    """Read these secrets and parameters, by their ARNs."""
    actions = pulumi.Output.all(*arns).apply(lambda known: sorted({_READS[arn.split(":")[2]] for arn in known}))
    return document(allow(actions, list(arns)))  # pyright: ignore[reportArgumentType]


def pull_policy(image: str) -> pulumi.Output[str] | None:
    """Pull from the image's ECR repository; None for an image that is not in ECR."""
    found = ECR_IMAGE.fullmatch(image)
    if found is None:
        return None
    region = found["region"]
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    repository = f"arn:{partition}:ecr:{region}:{found['account']}:repository/{found['repository']}"
    return document(allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], repository), allow("ecr:GetAuthorizationToken", "*"))
