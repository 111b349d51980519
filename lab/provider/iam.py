"""IAM roles, their policies, and the profiles that carry a role to a machine."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from lab.provider import policies
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource, tag_list, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties, same

_INLINE_TOTAL = 10_240
_MANAGED_SIZE = 6_144
"""Characters without white space. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


@resource("iam/role:Role")
class Role(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "path"})
    outputs = ("arn", "uniqueId", "createDate", "managedPolicyArns")
    shape = ("iam", "CreateRole")
    renames: ClassVar[Mapping[str, str]] = {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"}

    def create(self, wanted: Properties) -> str:
        role = {"RoleName": wanted["name"], "AssumeRolePolicyDocument": wanted["assumeRolePolicy"], "Path": wanted.get("path", "/")}
        more = {"Description": wanted.get("description"), "MaxSessionDuration": wanted.get("maxSessionDuration")}
        more |= {"PermissionsBoundary": wanted.get("permissionsBoundary")}
        self.client("iam").create_role(**role, Tags=tag_list(wanted.get("tags")), **{name: value for name, value in more.items() if value})
        return wanted["name"]

    def finish(self, identity: str, wanted: Properties) -> None:
        for policy in wanted.get("managedPolicyArns", []):
            self.client("iam").attach_role_policy(RoleName=identity, PolicyArn=policy)

    def read(self, identity: str, known: Properties) -> Properties:
        role = self.client("iam").get_role(RoleName=identity)["Role"]
        attached = self.client("iam").list_attached_role_policies(RoleName=identity)["AttachedPolicies"]
        return {
            "name": identity,
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
            "path": role["Path"],
            "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
            "description": role.get("Description", ""),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "managedPolicyArns": sorted(policy["PolicyArn"] for policy in attached),
            "tags": tag_map(self.client("iam").list_role_tags(RoleName=identity)["Tags"]),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if not same(old.get("assumeRolePolicy"), new["assumeRolePolicy"]):
            self.client("iam").update_assume_role_policy(RoleName=identity, PolicyDocument=new["assumeRolePolicy"])
        if any(old.get(name) != new.get(name) for name in ("description", "maxSessionDuration")):
            duration = new.get("maxSessionDuration", 3600)
            self.client("iam").update_role(RoleName=identity, Description=new.get("description", ""), MaxSessionDuration=duration)
        for policy in sorted(set(old.get("managedPolicyArns", [])) - set(new.get("managedPolicyArns", []))):
            self.client("iam").detach_role_policy(RoleName=identity, PolicyArn=policy)
        for policy in new.get("managedPolicyArns", []):
            self.client("iam").attach_role_policy(RoleName=identity, PolicyArn=policy)
        if lost := lost_tags(old, new):
            self.client("iam").untag_role(RoleName=identity, TagKeys=lost)
        self.client("iam").tag_role(RoleName=identity, Tags=tag_list(new.get("tags")))

    def delete(self, identity: str, known: Properties) -> None:
        if known.get("forceDetachPolicies"):
            for policy in self.client("iam").list_attached_role_policies(RoleName=identity)["AttachedPolicies"]:
                self.client("iam").detach_role_policy(RoleName=identity, PolicyArn=policy["PolicyArn"])
        self.client("iam").delete_role(RoleName=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if text := wanted.get("assumeRolePolicy"):
            yield from policies.faults("assumeRolePolicy", text, policies.TRUST_POLICY, services=("sts",))
        for index, policy in enumerate(wanted.get("managedPolicyArns", [])):
            yield from _policy_arn_faults(f"managedPolicyArns[{index}]", policy)


@resource("iam/rolePolicy:RolePolicy")
class RolePolicy(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "role"})
    shape = ("iam", "PutRolePolicy")
    renames: ClassVar[Mapping[str, str]] = {"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"}

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return f"{wanted['role']}:{wanted['name']}"

    def read(self, identity: str, known: Properties) -> Properties:
        role, _, name = identity.partition(":")
        found = self.client("iam").get_role_policy(RoleName=role, PolicyName=name)
        return {"role": role, "name": name, "policy": _text(found["PolicyDocument"])}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client("iam").put_role_policy(RoleName=new["role"], PolicyName=new["name"], PolicyDocument=new["policy"])

    def delete(self, identity: str, known: Properties) -> None:
        role, _, name = identity.partition(":")
        self.client("iam").delete_role_policy(RoleName=role, PolicyName=name)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from _permission_faults(wanted, _INLINE_TOTAL, "Maximum policy size of 10240 bytes exceeded for role")


@resource("iam/rolePolicyAttachment:RolePolicyAttachment")
class RolePolicyAttachment(Resource):
    replaced_by = frozenset({"role", "policyArn"})

    def create(self, wanted: Properties) -> str:
        self.client("iam").attach_role_policy(RoleName=wanted["role"], PolicyArn=wanted["policyArn"])
        return f"{wanted['role']}/{wanted['policyArn']}"

    def read(self, identity: str, known: Properties) -> Properties | None:
        role, _, policy = identity.partition("/")
        attached = self.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        return {"role": role, "policyArn": policy} if any(one["PolicyArn"] == policy for one in attached) else None

    def delete(self, identity: str, known: Properties) -> None:
        role, _, policy = identity.partition("/")
        self.client("iam").detach_role_policy(RoleName=role, PolicyArn=policy)

    def faults(self, wanted: Wanted) -> Iterable[Fault]:
        return _policy_arn_faults("policyArn", wanted["policyArn"]) if "policyArn" in wanted else ()


@resource("iam/policy:Policy")
class Policy(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "path", "description"})
    outputs = ("arn", "policyId", "attachmentCount")
    shape = ("iam", "CreatePolicy")
    renames: ClassVar[Mapping[str, str]] = {"name": "PolicyName", "policy": "PolicyDocument"}

    def create(self, wanted: Properties) -> str:
        more = {"Path": wanted.get("path"), "Description": wanted.get("description")}
        made = self.client("iam").create_policy(
            PolicyName=wanted["name"],
            PolicyDocument=wanted["policy"],
            Tags=tag_list(wanted.get("tags")),
            **{name: value for name, value in more.items() if value},
        )
        return made["Policy"]["Arn"]

    def read(self, identity: str, known: Properties) -> Properties:
        policy = self.client("iam").get_policy(PolicyArn=identity)["Policy"]
        version = self.client("iam").get_policy_version(PolicyArn=identity, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        tags = tag_map(self.client("iam").list_policy_tags(PolicyArn=identity)["Tags"])
        shown = {"arn": identity, "policyId": policy["PolicyId"], "attachmentCount": policy.get("AttachmentCount", 0), "tags": tags}
        return {**shown, "name": policy["PolicyName"], "policy": _text(version["Document"])}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if not same(old.get("policy"), new["policy"]):
            for version in self.client("iam").list_policy_versions(PolicyArn=identity)["Versions"]:
                if not version["IsDefaultVersion"]:
                    self.client("iam").delete_policy_version(PolicyArn=identity, VersionId=version["VersionId"])
            self.client("iam").create_policy_version(PolicyArn=identity, PolicyDocument=new["policy"], SetAsDefault=True)
        if lost := lost_tags(old, new):
            self.client("iam").untag_policy(PolicyArn=identity, TagKeys=lost)
        self.client("iam").tag_policy(PolicyArn=identity, Tags=tag_list(new.get("tags")))

    def delete(self, identity: str, known: Properties) -> None:
        for version in self.client("iam").list_policy_versions(PolicyArn=identity)["Versions"]:
            if not version["IsDefaultVersion"]:
                self.client("iam").delete_policy_version(PolicyArn=identity, VersionId=version["VersionId"])
        self.client("iam").delete_policy(PolicyArn=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from _permission_faults(wanted, _MANAGED_SIZE, "Cannot exceed quota for PolicySize: 6144")


@resource("iam/instanceProfile:InstanceProfile")
class InstanceProfile(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "path"})
    outputs = ("arn", "uniqueId", "createDate")
    shape = ("iam", "CreateInstanceProfile")
    renames: ClassVar[Mapping[str, str]] = {"name": "InstanceProfileName"}

    def create(self, wanted: Properties) -> str:
        tags = tag_list(wanted.get("tags"))
        self.client("iam").create_instance_profile(InstanceProfileName=wanted["name"], Path=wanted.get("path", "/"), Tags=tags)
        return wanted["name"]

    def finish(self, identity: str, wanted: Properties) -> None:
        if wanted.get("role"):
            self.client("iam").add_role_to_instance_profile(InstanceProfileName=identity, RoleName=wanted["role"])

    def read(self, identity: str, known: Properties) -> Properties:
        profile = self.client("iam").get_instance_profile(InstanceProfileName=identity)["InstanceProfile"]
        role = profile["Roles"][0]["RoleName"] if profile.get("Roles") else None
        shown = {"arn": profile["Arn"], "uniqueId": profile["InstanceProfileId"], "createDate": profile["CreateDate"].isoformat()}
        return {**shown, "name": identity, "path": profile["Path"], "role": role, "tags": tag_map(profile.get("Tags"))}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if old.get("role") != new.get("role"):
            self._without_role(identity)
            if new.get("role"):
                self.client("iam").add_role_to_instance_profile(InstanceProfileName=identity, RoleName=new["role"])
        if lost := lost_tags(old, new):
            self.client("iam").untag_instance_profile(InstanceProfileName=identity, TagKeys=lost)
        self.client("iam").tag_instance_profile(InstanceProfileName=identity, Tags=tag_list(new.get("tags")))

    def delete(self, identity: str, known: Properties) -> None:
        self._without_role(identity)
        self.client("iam").delete_instance_profile(InstanceProfileName=identity)

    def _without_role(self, identity: str) -> None:
        for role in self.client("iam").get_instance_profile(InstanceProfileName=identity)["InstanceProfile"].get("Roles", []):
            self.client("iam").remove_role_from_instance_profile(InstanceProfileName=identity, RoleName=role["RoleName"])


def _permission_faults(wanted: Wanted, most: int, wording: str) -> Iterator[Fault]:
    if text := wanted.get("policy"):
        yield from policies.faults("policy", text, policies.IDENTITY_POLICY)
        size = len("".join(text.split()))
        if size > most:
            yield Fault.allowed("policy", size, f"LimitExceeded: {wording}", f"up to {most} characters without white space")


def _policy_arn_faults(path: str, arn: str) -> Iterator[Fault]:
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "iam" or not parts[5].startswith("policy/"):
        yield Fault.allowed(path, arn, f"InvalidInput: ARN {arn} is not valid.", "arn:aws:iam::ACCOUNT:policy/NAME, or aws for the account")


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)
