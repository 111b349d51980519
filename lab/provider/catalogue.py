"""Everything that the stand-in knows: importing a service's module declares its resource types."""

from lab.provider import (  # noqa: F401
    appautoscaling,
    autoscaling,
    cloudwatch,
    dynamodb,
    ec2,
    ec2_gateways,
    ec2_network,
    ec2_security,
    eks,
    eks_access,
    events,
    fis,
    iam,
    lambda_,
    logs,
    s3,
    scheduler,
    sns,
    sqs,
)
from lab.provider.look_ups import LOOK_UPS
from lab.provider.resource import RESOURCES

__all__ = ["LOOK_UPS", "RESOURCES"]
