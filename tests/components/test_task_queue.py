import json

import pytest
from pulumi_spotbatch.aws import SqsTaskQueue
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy


def queue(preview: bool = False, **args) -> Deployment:
    return deploy(lambda: SqsTaskQueue("tasks", args), preview=preview)  # pyright: ignore[reportArgumentType]


def test_the_queue_tells_by_its_tags_where_table_bucket_and_dead_letters_are():
    deployment = queue()
    tags = deployment.named("tasks-queue").inputs["tags"]
    assert tags["spotbatch:table"] == deployment.outputs["tasks"]["tableName"]
    assert tags["spotbatch:bucket"] == deployment.outputs["tasks"]["bucketName"]
    assert tags["spotbatch:dead-letters"] == deployment.outputs["tasks"]["deadLettersUrl"]


def test_the_table_is_found_by_run_by_state_and_by_kind_and_recovers_to_any_second():
    table = queue().only("Table").inputs
    indexes = {index["name"]: [(key["attributeName"], key["keyType"]) for key in index["keySchemas"]] for index in table["globalSecondaryIndexes"]}
    assert indexes == {
        "by_run": [("run", "HASH"), ("key", "RANGE")],
        "by_state": [("state", "HASH"), ("machine", "RANGE")],
        "by_kind": [("kind", "HASH"), ("key", "RANGE")],
    }
    assert all(index["projectionType"] == "ALL" for index in table["globalSecondaryIndexes"])
    used = {"key"} | {attribute for keys in indexes.values() for attribute, _ in keys}
    assert {attribute["name"] for attribute in table["attributes"]} == used
    assert table["pointInTimeRecovery"]["enabled"]
    assert table["serverSideEncryption"]["enabled"]
    assert table["ttl"] == {"attributeName": "expires", "enabled": True}
    assert table["billingMode"] == "PAY_PER_REQUEST"


def test_the_bucket_is_closed_encrypted_and_drops_only_unfinished_uploads():
    deployment = queue()
    closed = deployment.only("BucketPublicAccessBlock").inputs
    assert all(closed[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"))
    rule = deployment.only("BucketServerSideEncryptionConfiguration").inputs["rules"][0]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "AES256"
    (rule,) = deployment.only("BucketLifecycleConfiguration").inputs["rules"]
    assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}
    assert "expiration" not in rule


def test_both_queues_are_encrypted_and_kept_as_long_as_sqs_can():
    queues = queue().all("Queue")
    assert len(queues) == 2
    assert all(request.inputs["sqsManagedSseEnabled"] and request.inputs["messageRetentionSeconds"] == 1209600 for request in queues)


def test_without_tls_nobody_gets_through():
    deployment = queue()
    for request in [*deployment.all("QueuePolicy"), deployment.only("BucketPolicy")]:
        (statement,) = json.loads(request.inputs["policy"])["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_bell_that_is_handed_back_again_and_again_does_not_become_a_dead_letter_soon():
    redrive = json.loads(queue().named("tasks-queue").inputs["redrivePolicy"])
    assert redrive["maxReceiveCount"] == 1000


def test_data_is_protected_and_the_name_of_what_protects_it_says_how_to_let_it_go(preview: bool):
    deployment = queue(preview)
    guarded = {request.name for request in deployment.requests if request.raw.protect}
    assert guarded == {"tasks-bucket", "tasks-ledger", "tasks-data-is-kept-unless-delete_data-is-true"}
    assert deployment.only("Table").inputs["deletionProtectionEnabled"]
    assert not deployment.only("Bucket").inputs["forceDestroy"]


def test_a_destroy_comes_to_the_guard_before_it_comes_to_the_data():
    deployment = queue()
    guard = deployment.only("Stash").raw.dependencies
    assert {urn.split("::")[-1] for urn in guard} == {"tasks-bucket", "tasks-ledger", "tasks-dead-letters", "tasks-queue"}


def test_with_delete_data_everything_goes_at_once(preview: bool):
    deployment = queue(preview, delete_data=True)
    assert not [request.name for request in deployment.requests if request.raw.protect]
    assert not deployment.only("Table").inputs["deletionProtectionEnabled"]
    assert deployment.only("Bucket").inputs["forceDestroy"]


def test_the_worker_policy_names_this_queue_and_no_wildcard_action():
    deployment = queue()
    policy = deployment.outputs["tasks"]["workerPolicy"]
    assert iam_faults(policy) == []
    for statement in json.loads(policy)["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action or action.startswith("ec2:")]
        assert ":tasks-" in statement["Resource"]


def test_policies_are_sound():
    deployment = queue()
    for request in deployment.all("QueuePolicy"):
        assert iam_faults(request.inputs["policy"], "queue") == []
    assert iam_faults(deployment.only("BucketPolicy").inputs["policy"], "bucket") == []


def test_access_hands_over_the_queue_whole():
    access = {}

    def program() -> None:
        for key, value in SqsTaskQueue("tasks", {}).access.items():
            value.apply(lambda known, key=key: access.__setitem__(key, known))  # pyright: ignore

    outputs = deploy(program).outputs["tasks"]
    assert access["url"] == outputs["queueUrl"]
    assert access["worker_policy"] == outputs["workerPolicy"]
    assert set(access) == {
        "url", "arn", "name", "bucket_name", "bucket_arn", "table_name", "table_arn", "dead_letters_url", "dead_letters_arn", "worker_policy",
    }  # fmt: skip


def test_every_fault_is_told_at_once():
    with pytest.raises(InvalidArgs) as raised:
        queue(delete_data="yes", delete_dat=True, tags={"spotbatch:x": "y"})
    assert raised.value.faults == (
        "delete_dat: no such argument; did you mean delete_data?",
        "delete_data: 'yes' is not allowed; allowed: true or false",
        "tags['spotbatch:x']: 'spotbatch:x' is not allowed; allowed: a key that does not begin with aws: or spotbatch:",
    )
