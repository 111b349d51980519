import json

import pytest

from tests.components.iam_lint import iam_faults


def document(**changes: object) -> str:
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-east-1:123456789012:queue", **changes}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_sound_document_has_no_faults():
    assert iam_faults(document()) == []
    assert iam_faults(document(Condition={"StringEquals": {"aws:SourceAccount": "123456789012"}})) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Action": "sqs:SendMesage"},
        {"Action": "dynamo:GetItem"},
        {"Effect": "allow"},
        {"Resorce": "x"},
        {"Condition": {"StringEqual": {"aws:SourceAccount": "1"}}},
        {"Resource": "queue"},
    ],
    ids=str,
)
def test_a_planted_fault_is_found(changes: dict[str, object]):
    assert iam_faults(document(**changes))
