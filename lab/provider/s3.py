"""S3 buckets, what is set on them, and objects."""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from lab.provider import policies, shapes
from lab.provider.archive import content_of, zipped
from lab.provider.fault import Fault
from lab.provider.resource import Resource, resource, tag_list, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_FORBIDDEN = (("xn--", "sthree-", "amzn-s3-demo-"), ("-s3alias", "--ol-s3", ".mrap", "--x-s3"))
"""Starts and ends that AWS keeps for itself. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_DELETED_AT_ONCE = 1_000


@resource("s3/bucket:Bucket")
class Bucket(Resource):
    auto_name = "bucket"
    replaced_by = frozenset({"bucket", "bucketPrefix", "objectLockEnabled"})
    outputs = ("arn", "bucketDomainName", "bucketRegionalDomainName", "bucketRegion", "hostedZoneId")

    def shaped_name(self, name: str, wanted: Properties) -> str:
        return name.lower()

    def create(self, wanted: Properties) -> str:
        place = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.client("s3").create_bucket(Bucket=wanted["bucket"], **place)
        return wanted["bucket"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self.update(identity, {}, wanted)

    def read(self, identity: str, known: Properties) -> Properties:
        self.client("s3").head_bucket(Bucket=identity)
        return {
            "bucket": identity,
            "arn": f"arn:aws:s3:::{identity}",
            "bucketDomainName": f"{identity}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{identity}.s3.{self.region}.amazonaws.com",
            "bucketRegion": self.region,
            "tags": self._tags(identity),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if new.get("tags"):
            self.client("s3").put_bucket_tagging(Bucket=identity, Tagging={"TagSet": tag_list(new["tags"])})
        elif old.get("tags"):
            self.client("s3").delete_bucket_tagging(Bucket=identity)

    def delete(self, identity: str, known: Properties) -> None:
        if known.get("forceDestroy"):
            self._empty(identity)
        self.client("s3").delete_bucket(Bucket=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        name = wanted.get("bucket", "")
        starts, ends = _FORBIDDEN
        if name and (not _NAME.fullmatch(name) or name.startswith(starts) or name.endswith(ends) or _is_address(name)):
            wording = "InvalidBucketName: The specified bucket is not valid."
            yield Fault.allowed("bucket", name, wording, "3 to 63 of a-z, 0-9, - and ., not an IP address, not a form that AWS keeps for itself")

    def _tags(self, identity: str) -> dict[str, str]:
        try:
            return tag_map(self.client("s3").get_bucket_tagging(Bucket=identity)["TagSet"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchTagSet":
                raise
            return {}

    def _empty(self, identity: str) -> None:
        for page in self.client("s3").get_paginator("list_object_versions").paginate(Bucket=identity):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            keys = [{"Key": one["Key"], **({"VersionId": one["VersionId"]} if one.get("VersionId", "null") != "null" else {})} for one in found]
            for start in range(0, len(keys), _DELETED_AT_ONCE):
                self.client("s3").delete_objects(Bucket=identity, Delete={"Objects": keys[start : start + _DELETED_AT_ONCE], "Quiet": True})


class _BucketSetting(Resource):
    """One setting of a bucket as a resource of its own: a put, a get and a delete, under the bucket's name."""

    replaced_by = frozenset({"bucket", "expectedBucketOwner"})
    operation = ""
    """What boto3 calls it: `put_OPERATION`, `get_OPERATION`, `delete_OPERATION`."""
    removal = ""
    """Name of the operation that removes it, where it is another one."""

    def content(self, wanted: Properties) -> Properties:
        """The put's arguments beside the bucket."""
        raise NotImplementedError

    def declared(self, found: Properties, known: Properties) -> Properties | None:
        """The get's answer in Pulumi's names, or None where nothing is set."""
        raise NotImplementedError

    def create(self, wanted: Properties) -> str:
        self.update(wanted["bucket"], {}, wanted)
        return wanted["bucket"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        shown = self.declared(getattr(self.client("s3"), f"get_{self.operation}")(Bucket=identity), known)
        return None if shown is None else {**shown, "bucket": identity}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        getattr(self.client("s3"), f"put_{self.operation}")(Bucket=new["bucket"], **self.content(new))

    def delete(self, identity: str, known: Properties) -> None:
        getattr(self.client("s3"), self.removal or f"delete_{self.operation}")(Bucket=identity)


@resource("s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
class BucketPublicAccessBlock(_BucketSetting):
    operation = "public_access_block"

    def content(self, wanted: Properties) -> Properties:
        return {"PublicAccessBlockConfiguration": {name[:1].upper() + name[1:]: bool(wanted.get(name)) for name in _BLOCKS}}

    def declared(self, found: Properties, known: Properties) -> Properties:
        return {name: found["PublicAccessBlockConfiguration"].get(name[:1].upper() + name[1:], False) for name in _BLOCKS}


@resource("s3/bucketPolicy:BucketPolicy")
class BucketPolicy(_BucketSetting):
    operation = "bucket_policy"

    def content(self, wanted: Properties) -> Properties:
        return {"Policy": wanted["policy"]}

    def declared(self, found: Properties, known: Properties) -> Properties:
        return {"policy": found["Policy"]}

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if text := wanted.get("policy"):
            for fault in policies.faults("policy", text, policies.RESOURCE_POLICY, services=("s3",)):
                yield Fault(fault.path, fault.reason.replace("MalformedPolicyDocument", "MalformedPolicy", 1))
            if "bucket" in wanted:
                yield from _scope_faults(text, wanted["bucket"])


@resource("s3/bucketVersioning:BucketVersioning")
class BucketVersioning(_BucketSetting):
    operation = "bucket_versioning"

    def content(self, wanted: Properties) -> Properties:
        return {"VersioningConfiguration": {"Status": wanted["versioningConfiguration"]["status"]}}

    def declared(self, found: Properties, known: Properties) -> Properties | None:
        return {"versioningConfiguration": {"status": found["Status"]}} if found.get("Status") else None

    def delete(self, identity: str, known: Properties) -> None:
        # Versioning cannot be taken off a bucket, only suspended.
        self.client("s3").put_bucket_versioning(Bucket=identity, VersioningConfiguration={"Status": "Suspended"})

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        status = (wanted.get("versioningConfiguration") or {}).get("status", "Enabled")
        if status not in ("Enabled", "Suspended", "Disabled"):
            wording = "IllegalVersioningConfigurationException: The Versioning element must be specified"
            yield Fault.allowed("versioningConfiguration.status", status, wording, "Enabled, Suspended")


@resource("s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
class BucketServerSideEncryptionConfiguration(_BucketSetting):
    operation = "bucket_encryption"
    shape = ("s3", "PutBucketEncryption", "ServerSideEncryptionConfiguration")
    renames: ClassVar[Mapping[str, str]] = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"}

    def content(self, wanted: Properties) -> Properties:
        return {"ServerSideEncryptionConfiguration": shapes.request({"rules": wanted["rules"]}, shapes.input_shape(*self.shape), self.renames)}

    def declared(self, found: Properties, known: Properties) -> Properties:
        rules = []
        for rule in found["ServerSideEncryptionConfiguration"]["Rules"]:
            default = rule.get("ApplyServerSideEncryptionByDefault", {})
            shown = {"sseAlgorithm": default.get("SSEAlgorithm"), "kmsMasterKeyId": default.get("KMSMasterKeyID")}
            rules.append({"applyServerSideEncryptionByDefault": shown, "bucketKeyEnabled": rule.get("BucketKeyEnabled", False)})
        return {"rules": rules}


@resource("s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
class BucketLifecycleConfiguration(_BucketSetting):
    operation = "bucket_lifecycle_configuration"
    removal = "delete_bucket_lifecycle"
    shape = ("s3", "PutBucketLifecycleConfiguration", "LifecycleConfiguration")
    renames: ClassVar[Mapping[str, str]] = {"id": "ID"}

    def content(self, wanted: Properties) -> Properties:
        return {"LifecycleConfiguration": shapes.request({"rules": wanted["rules"]}, shapes.input_shape(*self.shape), self.renames)}

    def declared(self, found: Properties, known: Properties) -> Properties:
        return {"rules": [_lower(rule) for rule in found["Rules"]]}

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        for index, rule in enumerate(wanted.get("rules", [])):
            path = f"rules[{index}]"
            actions = ("expiration", "transitions", "noncurrentVersionExpiration", "noncurrentVersionTransitions", "abortIncompleteMultipartUpload")
            if not any(rule.given(name) for name in actions):
                yield Fault.allowed(path, rule.get("id"), "InvalidRequest: At least one action needs to be specified in a rule", ", ".join(actions))
            days = (rule.get("expiration") or {}).get("days")
            if days is not None and float(days) < 1:
                wording = "InvalidArgument: 'Days' for Expiration action must be a positive integer"
                yield Fault.allowed(f"{path}.expiration.days", days, wording, "1 or more")


@resource("s3/bucketOwnershipControls:BucketOwnershipControls")
class BucketOwnershipControls(_BucketSetting):
    operation = "bucket_ownership_controls"
    shape = ("s3", "PutBucketOwnershipControls", "OwnershipControls")

    def content(self, wanted: Properties) -> Properties:
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": wanted["rule"]["objectOwnership"]}]}}

    def declared(self, found: Properties, known: Properties) -> Properties:
        return {"rule": {"objectOwnership": found["OwnershipControls"]["Rules"][0]["ObjectOwnership"]}}

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        allowed = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")
        if (owner := (wanted.get("rule") or {}).get("objectOwnership", allowed[0])) not in allowed:
            yield Fault.allowed("rule.objectOwnership", owner, "MalformedXML: The XML you provided was not well-formed", ", ".join(allowed))


@resource("s3/bucketObjectv2:BucketObjectv2")
class BucketObjectv2(Resource):
    replaced_by = frozenset({"bucket", "key"})
    outputs = ("arn", "etag", "versionId")
    changing_outputs = ("etag", "versionId")

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return f"{wanted['bucket']}/{wanted['key']}"

    def read(self, identity: str, known: Properties) -> Properties:
        bucket, _, key = identity.partition("/")
        head = self.client("s3").head_object(Bucket=bucket, Key=key)
        return {
            "bucket": bucket,
            "key": key,
            "arn": f"arn:aws:s3:::{identity}",
            "etag": head["ETag"].strip('"'),
            "versionId": head.get("VersionId", ""),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        more = {"ContentType": new.get("contentType"), "StorageClass": new.get("storageClass"), "CacheControl": new.get("cacheControl")}
        body = self._body(new)
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        settings = {name: value for name, value in more.items() if value}
        self.client("s3").put_object(Bucket=new["bucket"], Key=new["key"], Body=body, ContentMD5=digest, **settings)

    def delete(self, identity: str, known: Properties) -> None:
        bucket, _, key = identity.partition("/")
        self.client("s3").delete_object(Bucket=bucket, Key=key)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        given = [name for name in ("content", "contentBase64", "source") if wanted.given(name)]
        if len(given) > 1:
            yield Fault.allowed(given[1], given, "ConflictsWith: content, contentBase64 and source exclude each other", "one of them")

    def _body(self, wanted: Properties) -> bytes:
        if "source" in wanted:
            source = wanted["source"]
            return zipped(source) if "assets" in source else content_of(source)
        if "contentBase64" in wanted:
            return base64.b64decode(wanted["contentBase64"])
        return wanted.get("content", "").encode()


def _scope_faults(text: str, bucket: str) -> Iterator[Fault]:
    document = policies.parsed(text)
    statements = document.get("Statement") if isinstance(document, Mapping) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        named = statement.get("Resource", []) if isinstance(statement, Mapping) else []
        for arn in named if isinstance(named, list) else [named]:
            if re.match(r"arn:[\w-]+:s3:::", str(arn)) and str(arn).split(":::", 1)[1].split("/")[0] != bucket:
                yield Fault.allowed("policy", arn, "MalformedPolicy: Policy has invalid resource", f"arn:aws:s3:::{bucket} and what is in it")


def _lower(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"id" if key == "ID" else key[:1].lower() + key[1:]: _lower(entry) for key, entry in value.items()}
    return [_lower(entry) for entry in value] if isinstance(value, list) else value


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
