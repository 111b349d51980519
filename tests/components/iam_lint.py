"""cfn-lint as judge of IAM documents: unknown actions, keys, condition operators, malformed ARNs."""

import json
from typing import Any

from cfnlint.api import lint_all

_KINDS = {
    "identity": ("AWS::IAM::ManagedPolicy", "PolicyDocument", {}),
    "trust": ("AWS::IAM::Role", "AssumeRolePolicyDocument", {}),
    "queue": ("AWS::SQS::QueuePolicy", "PolicyDocument", {"Queues": ["https://sqs.us-east-1.amazonaws.com/123456789012/queue"]}),
    "bucket": ("AWS::S3::BucketPolicy", "PolicyDocument", {"Bucket": "some-bucket"}),
}


def iam_faults(document: str, kind: str = "identity") -> list[str]:
    """What cfn-lint says of an IAM document (JSON); `kind`: identity, trust, queue or bucket. Empty: sound."""
    resource, field, more = _KINDS[kind]
    template: dict[str, Any] = {"Resources": {"Subject": {"Type": resource, "Properties": {field: json.loads(document), **more}}}}
    return [f"{match.rule.id} {match.message}" for match in lint_all(json.dumps(template)) if match.rule.severity != "informational"]
