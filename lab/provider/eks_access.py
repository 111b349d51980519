"""Who may do what with an EKS cluster: access entries, their policies, Pod Identity; and add-ons."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from lab.provider.eks import EksResource, role_faults
from lab.provider.fault import Fault
from lab.provider.resource import Gone, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_ENTRY_TYPES = ("STANDARD", "FARGATE_LINUX", "EC2_LINUX", "EC2_WINDOWS", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX")
"""https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessEntry.html"""
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


@resource("eks/accessEntry:AccessEntry")
class AccessEntry(EksResource):
    replaced_by = frozenset({"clusterName", "principalArn", "type"})
    outputs = ("accessEntryArn", "createdAt", "modifiedAt")
    shape = ("eks", "CreateAccessEntry")
    renames: ClassVar[Mapping[str, str]] = {"userName": "username"}

    def create(self, wanted: Properties) -> str:
        cluster = self.client("eks").describe_cluster(name=wanted["clusterName"])["cluster"]
        if cluster.get("accessConfig", {}).get("authenticationMode", "CONFIG_MAP") == "CONFIG_MAP":
            words = "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."
            raise ValueError(f"InvalidRequestException: {words}")
        self.client("eks").create_access_entry(**self.request(wanted))
        return f"{wanted['clusterName']}:{wanted['principalArn']}"

    def read(self, identity: str, known: Properties) -> Properties:
        cluster, _, principal = identity.partition(":")
        found = self.client("eks").describe_access_entry(clusterName=cluster, principalArn=principal)["accessEntry"]
        return {
            "clusterName": cluster,
            "principalArn": principal,
            "accessEntryArn": found["accessEntryArn"],
            "createdAt": str(found["createdAt"]),
            "modifiedAt": str(found["modifiedAt"]),
            "type": found["type"],
            "userName": found.get("username") or None,
            "kubernetesGroups": found.get("kubernetesGroups") or None,
            "tags": self.tags(found["accessEntryArn"]),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        cluster, _, principal = identity.partition(":")
        more = {"username": new["userName"]} if new.get("userName") else {}
        groups = new.get("kubernetesGroups") or []
        found = self.client("eks").update_access_entry(clusterName=cluster, principalArn=principal, kubernetesGroups=groups, **more)
        self.retag(found["accessEntry"]["accessEntryArn"], old, new)

    def delete(self, identity: str, known: Properties) -> None:
        cluster, _, principal = identity.partition(":")
        self.client("eks").delete_access_entry(clusterName=cluster, principalArn=principal)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        kind = wanted.get("type", "STANDARD")
        if kind not in _ENTRY_TYPES:
            yield Fault.allowed("type", kind, f"InvalidParameterException: Invalid type {kind}", ", ".join(_ENTRY_TYPES))
        elif kind != "STANDARD" and wanted.known("type"):
            for name in ("kubernetesGroups", "userName"):
                if wanted.get(name):
                    wording = f"InvalidParameterException: {name} cannot be given for an entry of type {kind}"
                    yield Fault.allowed(name, wanted[name], wording, "left out, or type STANDARD")
        if (principal := wanted.get("principalArn")) and not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:(role|user)/\S+", principal):
            wording = "InvalidParameterException: The specified principalArn is invalid: invalid principal"
            yield Fault.allowed("principalArn", principal, wording, "the ARN of an IAM role or user")


@resource("eks/accessPolicyAssociation:AccessPolicyAssociation")
class AccessPolicyAssociation(EksResource):
    updated_by = frozenset()
    outputs = ("associatedAt", "modifiedAt")
    shape = ("eks", "AssociateAccessPolicy")

    def create(self, wanted: Properties) -> str:
        self.client("eks").associate_access_policy(**self.request(wanted))
        return f"{wanted['clusterName']}#{wanted['principalArn']}#{wanted['policyArn']}"

    def read(self, identity: str, known: Properties) -> Properties:
        cluster, principal, policy = identity.split("#")
        listed = self.client("eks").list_associated_access_policies(clusterName=cluster, principalArn=principal)["associatedAccessPolicies"]
        found = next((entry for entry in listed if entry["policyArn"] == policy), None)
        if found is None:
            raise Gone
        scope = {name: value for name, value in found["accessScope"].items() if value}
        times = {name: str(found[name]) for name in ("associatedAt", "modifiedAt")}
        return {"clusterName": cluster, "principalArn": principal, "policyArn": policy, "accessScope": scope, **times}

    def delete(self, identity: str, known: Properties) -> None:
        cluster, principal, policy = identity.split("#")
        self.client("eks").disassociate_access_policy(clusterName=cluster, principalArn=principal, policyArn=policy)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if (policy := wanted.get("policyArn")) and not re.fullmatch(r"arn:aws[\w-]*:eks::aws:cluster-access-policy/\w+", policy):
            wording = "InvalidParameterException: The policyArn parameter format is not valid"
            yield Fault.allowed("policyArn", policy, wording, "arn:aws:eks::aws:cluster-access-policy/NAME")
        scope = wanted.get("accessScope")
        if isinstance(scope, Wanted) and scope.get("type") == "namespace" and scope.known("namespaces") and not scope.get("namespaces"):
            wording = "InvalidParameterException: namespaces must be given where the scope is a namespace"
            yield Fault.allowed("accessScope.namespaces", [], wording, "one name or more")


@resource("eks/podIdentityAssociation:PodIdentityAssociation")
class PodIdentityAssociation(EksResource):
    replaced_by = frozenset({"clusterName", "namespace", "serviceAccount"})
    outputs = ("associationArn", "associationId", "externalId")
    shape = ("eks", "CreatePodIdentityAssociation")

    def create(self, wanted: Properties) -> str:
        return self.client("eks").create_pod_identity_association(**self.request(wanted))["association"]["associationId"]

    def read(self, identity: str, known: Properties) -> Properties:
        found = self.client("eks").describe_pod_identity_association(clusterName=known["clusterName"], associationId=identity)["association"]
        names = ("clusterName", "namespace", "serviceAccount", "roleArn", "associationArn", "associationId", "targetRoleArn", "externalId", "policy")
        shown = {name: found.get(name) for name in names}
        return {**shown, "disableSessionTags": found.get("disableSessionTags", False), "tags": found.get("tags", {})}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        names = ("roleArn", "disableSessionTags", "targetRoleArn", "policy")
        self.refuse_changes(old, new, frozenset(names))
        settings = {name: new[name] for name in names if new.get(name) is not None}
        self.client("eks").update_pod_identity_association(clusterName=new["clusterName"], associationId=identity, **settings)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("eks").delete_pod_identity_association(clusterName=known["clusterName"], associationId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from role_faults(wanted, "roleArn")
        for name in ("namespace", "serviceAccount"):
            if (given := wanted.get(name)) is not None and not all(re.fullmatch(_DNS_LABEL, part) for part in given.split(".")):
                yield Fault.allowed(name, given, f"InvalidParameterException: {name} is not a valid Kubernetes name", "small letters, digits and -")


@resource("eks/addon:Addon")
class Addon(EksResource):
    replaced_by = frozenset({"addonName", "clusterName"})
    outputs = ("arn", "createdAt", "modifiedAt")
    shape = ("eks", "CreateAddon")
    renames: ClassVar[Mapping[str, str]] = {"resolveConflictsOnCreate": "resolveConflicts"}

    def create(self, wanted: Properties) -> str:
        self.client("eks").create_addon(**self.request(wanted))
        return f"{wanted['clusterName']}:{wanted['addonName']}"

    def read(self, identity: str, known: Properties) -> Properties:
        cluster, _, name = identity.partition(":")
        found = self.client("eks").describe_addon(clusterName=cluster, addonName=name)["addon"]
        optional = ("addonVersion", "configurationValues", "serviceAccountRoleArn")
        return {
            **{key: found.get(key) or None for key in optional},
            **{key: str(found[key]) for key in ("createdAt", "modifiedAt")},
            "clusterName": cluster,
            "addonName": name,
            "arn": found["addonArn"],
            "tags": self.tags(found["addonArn"]),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        cluster, _, name = identity.partition(":")
        names = ("addonVersion", "configurationValues", "serviceAccountRoleArn")
        settings = {key: new[key] for key in names if new.get(key) is not None}
        self.client("eks").update_addon(clusterName=cluster, addonName=name, **settings)
        self.retag(self.read(identity, new)["arn"], old, new)

    def delete(self, identity: str, known: Properties) -> None:
        cluster, _, name = identity.partition(":")
        self.client("eks").delete_addon(clusterName=cluster, addonName=name)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        for name, allowed in (("resolveConflictsOnCreate", ("NONE", "OVERWRITE")), ("resolveConflictsOnUpdate", ("NONE", "OVERWRITE", "PRESERVE"))):
            if wanted.get(name) is not None and wanted[name] not in allowed:
                yield Fault.allowed(name, wanted[name], f"InvalidParameterException: {name} is not valid", ", ".join(allowed))
        if text := wanted.get("configurationValues"):
            try:
                json.loads(text)
            except ValueError as error:
                wording = "InvalidParameterException: ConfigurationValue provided in request is not supported"
                yield Fault.allowed("configurationValues", text, f"{wording}: {error}", "JSON")
