"""EKS clusters and their node groups."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from lab.provider import shapes
from lab.provider.account import Account
from lab.provider.fault import Fault
from lab.provider.look_ups import look_up
from lab.provider.resource import Resource, lost_tags, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import UNKNOWN, Properties, same

_ACTIVE_SECONDS = 30


class EksResource(Resource):
    """What all of EKS has in common: requests by botocore's shapes, tags by ARN."""

    def request(self, wanted: Properties) -> Properties:
        tags = {"tags": wanted["tags"]} if wanted.get("tags") else {}
        return {**shapes.request({**wanted, "tags": None}, shapes.input_shape(*self.shape), self.renames), **tags}

    def retag(self, arn: str, old: Properties, new: Properties) -> None:
        for lost in lost_tags(old, new):
            # MiniStack heeds the first key of a request only.
            self.client("eks").untag_resource(resourceArn=arn, tagKeys=[lost])
        if new.get("tags"):
            self.client("eks").tag_resource(resourceArn=arn, tags=new["tags"])

    def tags(self, arn: str) -> Properties:
        """Those of now; a description keeps showing those of the creation."""
        return self.client("eks").list_tags_for_resource(resourceArn=arn)["tags"]

    def refuse_changes(self, old: Properties, new: Properties, possible: frozenset[str]) -> None:
        """MiniStack keeps a cluster and a node group as they were made: better to say so than to report a change that did not happen."""
        changed = {name for name in {*old, *new} if not name.startswith("__") and not same(old.get(name), new.get(name))}
        if beyond := sorted(changed - possible):
            raise ValueError(f"the lab's EKS cannot change {', '.join(beyond)} in place; allowed: {', '.join(sorted(possible))}, or make it anew")


@resource("eks/cluster:Cluster")
class Cluster(EksResource):
    auto_name = "name"
    replaced_by = frozenset({"name", "roleArn", "kubernetesNetworkConfig", "bootstrapSelfManagedAddons", "outpostConfig"})
    outputs = ("arn", "certificateAuthority", "clusterId", "createdAt", "endpoint", "identities", "platformVersion", "status")
    shape = ("eks", "CreateCluster")
    renames: ClassVar[Mapping[str, str]] = {"vpcConfig": "resourcesVpcConfig"}

    def planned(self, wanted: Properties) -> Properties:
        vpc = wanted.get("vpcConfig")
        return {**wanted, "vpcConfig": {"clusterSecurityGroupId": UNKNOWN, "vpcId": UNKNOWN, **vpc}} if isinstance(vpc, Mapping) else wanted

    def create(self, wanted: Properties) -> str:
        logs = wanted.get("enabledClusterLogTypes")
        more = {"logging": {"clusterLogging": [{"types": logs, "enabled": True}]}} if logs else {}
        return self.client("eks").create_cluster(**self.request(wanted), **more)["cluster"]["name"]

    def finish(self, identity: str, wanted: Properties) -> None:
        until = time.monotonic() + _ACTIVE_SECONDS
        while (status := self.client("eks").describe_cluster(name=identity)["cluster"]["status"]) != "ACTIVE":
            if time.monotonic() > until:
                raise TimeoutError(f"cluster {identity} is {status} after {_ACTIVE_SECONDS} s")
            time.sleep(0.1)

    def read(self, identity: str, known: Properties) -> Properties:
        found = self.client("eks").describe_cluster(name=identity)["cluster"]
        endpoint, authority = _api_server(found)
        oidc = found["identity"]["oidc"]["issuer"]
        logs = [entry["types"] for entry in found.get("logging", {}).get("clusterLogging", []) if entry.get("enabled")]
        vpc = found["resourcesVpcConfig"]
        return {
            "name": identity,
            "arn": found["arn"],
            "clusterId": identity,
            "certificateAuthority": {"data": authority},
            "createdAt": str(found["createdAt"]),
            "endpoint": endpoint,
            "identities": [{"oidcs": [{"issuer": oidc}]}],
            "platformVersion": found["platformVersion"],
            "status": found["status"],
            "roleArn": found["roleArn"],
            "version": found["version"],
            "vpcConfig": vpc,
            "accessConfig": found.get("accessConfig") or None,
            "enabledClusterLogTypes": sorted(entry for types in logs for entry in types) or None,
            "tags": self.tags(found["arn"]),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.refuse_changes(old, new, frozenset({"tags", "tagsAll", "deletionProtection"}))
        self.retag(self.arn("eks", f"cluster/{identity}"), old, new)

    def delete(self, identity: str, known: Properties) -> None:
        if known.get("deletionProtection"):
            raise ValueError(f"InvalidRequestException: Cluster {identity} has deletion protection enabled")
        # MiniStack would take the node groups along.
        if left := self.client("eks").list_nodegroups(clusterName=identity)["nodegroups"]:
            raise ValueError(f"ResourceInUseException: Cluster has nodegroups attached: {', '.join(left)}")
        self.client("eks").delete_cluster(name=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from role_faults(wanted, "roleArn")
        yield from version_faults(wanted)
        vpc = wanted.get("vpcConfig")
        if isinstance(vpc, Wanted) and vpc.known("subnetIds") and len(set(vpc.get("subnetIds", []))) < 2:
            wording = "InvalidParameterException: Subnets specified must be in at least two different AZs"
            yield Fault.allowed("vpcConfig.subnetIds", vpc.get("subnetIds", []), wording, "two subnets or more")
        if isinstance(vpc, Wanted) and vpc.get("endpointPublicAccess") is False and vpc.get("endpointPrivateAccess") is not True:
            wording = "InvalidParameterException: Private and public endpoint access cannot be false"
            yield Fault.allowed("vpcConfig.endpointPrivateAccess", False, wording, "true where endpointPublicAccess is false")


@resource("eks/nodeGroup:NodeGroup")
class NodeGroup(EksResource):
    auto_name = "nodeGroupName"
    replaced_by = frozenset(
        {
            *("amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "nodeGroupName", "nodeGroupNamePrefix"),
            *("nodeRoleArn", "remoteAccess", "subnetIds"),
        }
    )
    outputs = ("arn", "resources", "status")
    shape = ("eks", "CreateNodegroup")
    renames: ClassVar[Mapping[str, str]] = {"nodeGroupName": "nodegroupName", "nodeRoleArn": "nodeRole", "subnetIds": "subnets"}

    def create(self, wanted: Properties) -> str:
        made = self.client("eks").create_nodegroup(**self.request(wanted))["nodegroup"]
        return f"{made['clusterName']}:{made['nodegroupName']}"

    def read(self, identity: str, known: Properties) -> Properties:
        cluster, _, name = identity.partition(":")
        found = self.client("eks").describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
        groups = [{"name": entry["name"]} for entry in found["resources"]["autoScalingGroups"]]
        return {
            **{key: found[key] for key in ("amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "scalingConfig", "status")},
            "arn": found["nodegroupArn"],
            "labels": found.get("labels") or None,
            "nodeGroupName": name,
            "nodeRoleArn": found["nodeRole"],
            "resources": [{"autoscalingGroups": groups}],
            "subnetIds": found["subnets"],
            "taints": found.get("taints") or None,
            "tags": self.tags(found["nodegroupArn"]),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.refuse_changes(old, new, frozenset({"tags", "tagsAll"}))
        self.retag(self.read(identity, new)["arn"], old, new)

    def delete(self, identity: str, known: Properties) -> None:
        cluster, _, name = identity.partition(":")
        self.client("eks").delete_nodegroup(clusterName=cluster, nodegroupName=name)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from role_faults(wanted, "nodeRoleArn")
        yield from version_faults(wanted)
        sizes = wanted.get("scalingConfig")
        if isinstance(sizes, Wanted) and all(name in sizes for name in ("minSize", "desiredSize", "maxSize")):
            low, desired, high = (int(sizes[name]) for name in ("minSize", "desiredSize", "maxSize"))
            if not low <= desired <= high:
                wording = f"InvalidParameterException: desired capacity {desired} must be from minimum {low} to maximum {high}"
                yield Fault.allowed("scalingConfig.desiredSize", desired, wording)


@look_up("eks/getCluster:getCluster")
def _cluster(account: Account, asked: Properties) -> Properties:
    found = Cluster(account, asked.get("region", "")).read(asked["name"], {})
    authority = found.pop("certificateAuthority")
    return {**{name: value for name, value in found.items() if value is not None}, "certificateAuthorities": [authority], "id": asked["name"]}


def role_faults(wanted: Wanted, name: str) -> Iterator[Fault]:
    """A role is given by its ARN, where EC2 would take a name as well."""
    if (arn := wanted.get(name)) and not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/\S+", arn):
        yield Fault.allowed(name, arn, f"InvalidParameterException: {arn} is not a valid role ARN", "arn:aws:iam::ACCOUNT:role/NAME")


def version_faults(wanted: Wanted) -> Iterator[Fault]:
    if (version := wanted.get("version")) and not re.fullmatch(r"1\.\d\d", str(version)):
        yield Fault.allowed("version", version, "InvalidParameterException: unsupported Kubernetes version", "1.NN, for example 1.36")


def _api_server(cluster: Mapping[str, Any]) -> tuple[str, str]:
    """Address and certificate of the lab's own API server where one runs: it is what every EKS cluster of this lab leads to."""
    if not (path := os.environ.get("KUBECONFIG")):
        return cluster["endpoint"], cluster["certificateAuthority"]["data"]
    shown = yaml.safe_load(Path(path).read_text())["clusters"][0]["cluster"]
    return shown["server"], shown["certificate-authority-data"]
