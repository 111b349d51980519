"""Where the tasks of a stack live."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ..validation import Faults
from .iam import allow, deny_plain_http, document
from .queue_access import QueueAccess
from .tagging import check_tags, own_tags

_INDEXES = {"by_run": ("run", "key"), "by_state": ("state", "machine"), "by_kind": ("kind", "key")}

_BELL_RECEIVES = 1000
"""A draining worker hands bells back, and each time counts as a receive, so this is the most that SQS takes.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""

_DAYS_14 = 14 * 24 * 3600


class SqsTaskQueueArgs(TypedDict):
    """What an SqsTaskQueue needs to know."""

    delete_data: NotRequired[bool]
    """Whether `pulumi destroy` may delete the ledger, items, checkpoints and results. Default: false; destroy then refuses at its preview,
    naming this argument (with `--skip-preview`, once it comes to the queue). To delete after all, set it to true and run `pulumi up` first."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags for every resource that takes tags. Default: the stack's own tag alone."""


class SqsTaskQueue(pulumi.ComponentResource):
    """Keep every task, its progress and its results, whatever happens to the machines.

    Creates the doorbell queue and its dead letters (both encrypted, TLS only, kept for 14 days), the ledger table (on demand, encrypted,
    point-in-time recovery, expiry by the attribute `expires`) and the bucket for items, checkpoints, results and code (public access
    blocked, TLS only, encrypted with the bucket's own key). Unfinished uploads are dropped after a day. The bucket keeps no old
    versions: each key is written once and never changed, so a version could only keep what the runtime has removed.

    Leaves to you: who may submit. Give people and pipelines `worker_policy`, or less.

    Costs nothing while idle but storage. Raises InvalidArgs.
    """

    queue_url: pulumi.Output[str]
    """URL of the doorbell queue. This names the whole queue to workers and to `spotbatch --queue`: its tags lead to table and bucket."""
    queue_arn: pulumi.Output[str]
    """ARN of the doorbell queue."""
    queue_name: pulumi.Output[str]
    """Name of the doorbell queue, the `Queue` dimension of its metrics."""
    dead_letters_url: pulumi.Output[str]
    """URL of the queue that keeps messages nobody could read, each with its reason."""
    dead_letters_arn: pulumi.Output[str]
    """ARN of the queue that keeps messages nobody could read."""
    table_name: pulumi.Output[str]
    """Ledger table."""
    table_arn: pulumi.Output[str]
    """ARN of the ledger table."""
    bucket_name: pulumi.Output[str]
    """Bucket with items, checkpoints, results and code."""
    bucket_arn: pulumi.Output[str]
    """ARN of the bucket."""
    worker_policy: pulumi.Output[str]
    """IAM policy document (JSON) that lets a machine work on this queue and on nothing else."""

    def __init__(self, name: str, args: SqsTaskQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        faults = Faults("SqsTaskQueue", name)
        given = faults.read(SqsTaskQueueArgs, args)
        check_tags(faults, given.get("tags"))
        faults.raise_any()
        super().__init__("spotbatch:index:SqsTaskQueue", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._delete_data = given.get("delete_data", False)
        self._kept = pulumi.ResourceOptions(parent=self, protect=not self._delete_data)
        tags = own_tags(given.get("tags"))
        bucket = self._bucket(name, tags)
        table = self._table(name, tags)
        dead_letters = self._queue(f"{name}-dead-letters", tags)
        bells = self._queue(
            f"{name}-queue",
            {**tags, "spotbatch:table": table.name, "spotbatch:bucket": bucket.bucket, "spotbatch:dead-letters": dead_letters.url},
            receive_wait_time_seconds=20,
            visibility_timeout_seconds=60,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": _BELL_RECEIVES}),
        )

        # Pulumi names a protected resource and gives no other reason, so this one's name is the message. A destroy comes to it first.
        pulumi.Stash(
            f"{name}-data-is-kept-unless-delete_data-is-true",
            input=self._delete_data,
            opts=pulumi.ResourceOptions.merge(self._kept, pulumi.ResourceOptions(depends_on=[bucket, table, dead_letters, bells])),
        )

        self.queue_url, self.queue_arn, self.queue_name = bells.url, bells.arn, bells.name
        self.dead_letters_url, self.dead_letters_arn = dead_letters.url, dead_letters.arn
        self.table_name, self.table_arn = table.name, table.arn
        self.bucket_name, self.bucket_arn = bucket.bucket, bucket.arn
        self.worker_policy = worker_policy(bells.arn, dead_letters.arn, table.arn, bucket.arn)
        self.register_outputs(
            {
                "queueUrl": self.queue_url,
                "queueArn": self.queue_arn,
                "queueName": self.queue_name,
                "deadLettersUrl": self.dead_letters_url,
                "deadLettersArn": self.dead_letters_arn,
                "tableName": self.table_name,
                "tableArn": self.table_arn,
                "bucketName": self.bucket_name,
                "bucketArn": self.bucket_arn,
                "workerPolicy": self.worker_policy,
            }
        )

    @property
    def access(self) -> QueueAccess:
        """The queue in the form in which templates and handlers take it: `{"queue": tasks.access, ...}`."""
        return {
            "url": self.queue_url,
            "arn": self.queue_arn,
            "name": self.queue_name,
            "bucket_name": self.bucket_name,
            "bucket_arn": self.bucket_arn,
            "table_name": self.table_name,
            "table_arn": self.table_arn,
            "dead_letters_url": self.dead_letters_url,
            "dead_letters_arn": self.dead_letters_arn,
            "worker_policy": self.worker_policy,
        }

    def _queue(self, name: str, tags: Mapping[str, pulumi.Input[str]], **settings: object) -> "aws.sqs.Queue":
        queue = aws.sqs.Queue(
            name,
            message_retention_seconds=_DAYS_14,
            sqs_managed_sse_enabled=True,
            tags=tags,
            opts=self._child,
            **settings,  # pyright: ignore[reportArgumentType]
        )
        aws.sqs.QueuePolicy(f"{name}-policy", queue_url=queue.url, policy=document(deny_plain_http(queue.arn, "sqs:*")), opts=self._child)
        return queue

    def _table(self, name: str, tags: Mapping[str, pulumi.Input[str]]) -> "aws.dynamodb.Table":
        return aws.dynamodb.Table(
            f"{name}-ledger",
            billing_mode="PAY_PER_REQUEST",
            hash_key="key",
            attributes=[aws.dynamodb.TableAttributeArgs(name=attribute, type="S") for attribute in ("key", "kind", "machine", "run", "state")],
            global_secondary_indexes=[
                aws.dynamodb.TableGlobalSecondaryIndexArgs(
                    name=index,
                    projection_type="ALL",
                    key_schemas=[
                        aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgs(attribute_name=hash_key, key_type="HASH"),
                        aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgs(attribute_name=range_key, key_type="RANGE"),
                    ],
                )
                for index, (hash_key, range_key) in _INDEXES.items()
            ],
            point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True),
            ttl=aws.dynamodb.TableTtlArgs(attribute_name="expires", enabled=True),
            deletion_protection_enabled=not self._delete_data,
            tags=tags,
            opts=self._kept,
        )

    def _bucket(self, name: str, tags: Mapping[str, pulumi.Input[str]]) -> "aws.s3.Bucket":
        bucket = aws.s3.Bucket(f"{name}-bucket", force_destroy=self._delete_data, tags=tags, opts=self._kept)
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-bucket-closed",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-bucket-encryption",
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    )
                )
            ],
            opts=self._child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-bucket-leftovers",
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="unfinished-uploads",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=1
                    ),
                )
            ],
            opts=self._child,
        )
        aws.s3.BucketPolicy(
            f"{name}-bucket-policy",
            bucket=bucket.bucket,
            policy=document(deny_plain_http([bucket.arn, pulumi.Output.concat(bucket.arn, "/*")], "s3:*")),
            # S3 refuses two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        return bucket


def worker_policy(
    queue_arn: pulumi.Input[str], dead_letters_arn: pulumi.Input[str], table_arn: pulumi.Input[str], bucket_arn: pulumi.Input[str]
) -> pulumi.Output[str]:
    """What a machine may do: take bells and ring, read and swap records, read and write payloads of runs, fetch its code."""
    return document(
        allow(
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:ListQueueTags",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            queue_arn,
        ),
        allow("sqs:SendMessage", dead_letters_arn),
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], table_arn),
        allow("dynamodb:Query", pulumi.Output.concat(table_arn, "/index/*")),
        allow(["s3:GetObject", "s3:PutObject"], pulumi.Output.concat(bucket_arn, "/runs/*")),
        # What earlier claims of a task left behind, once it is done; never its items.
        allow("s3:DeleteObject", pulumi.Output.concat(bucket_arn, "/runs/*/tasks/*")),
        allow("s3:GetObject", pulumi.Output.concat(bucket_arn, "/code/*")),
        # To tell a payload that is missing from one that may not be read: S3 answers 403 to both.
        allow("s3:ListBucket", bucket_arn, {"StringLike": {"s3:prefix": "runs/*"}}),
    )
