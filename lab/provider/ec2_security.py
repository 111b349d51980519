"""Security groups and their rules, inside the group or as resources of their own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.provider.ec2_network import cidr_faults
from lab.provider.ec2_tags import TaggedByEc2
from lab.provider.fault import Fault
from lab.provider.resource import only, resource, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties, covers

_EVERYTHING = "-1"
_PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "all", _EVERYTHING)
_DEFAULT_DESCRIPTION = "Managed by Pulumi"


@resource("ec2/securityGroup:SecurityGroup")
class SecurityGroup(TaggedByEc2):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "description", "vpcId"})
    outputs = ("arn", "ownerId", "vpcId", "ingress", "egress")

    def create(self, wanted: Properties) -> str:
        network = {"VpcId": wanted["vpcId"]} if wanted.get("vpcId") else {}
        return self.client("ec2").create_security_group(
            GroupName=wanted["name"],
            Description=wanted.get("description") or _DEFAULT_DESCRIPTION,
            TagSpecifications=self.tag_specifications("security-group", wanted),
            **network,
        )["GroupId"]

    def finish(self, identity: str, wanted: Properties) -> None:
        # The provider takes AWS's own rule, everything out, away: a group lets through what is declared.
        if standing := self._describe(identity).get("IpPermissionsEgress"):
            self.client("ec2").revoke_security_group_egress(GroupId=identity, IpPermissions=standing)
        self._allow(identity, {}, wanted)

    def read(self, identity: str, known: Properties) -> Properties:
        group = self._describe(identity)
        return {
            "arn": self.arn("ec2", f"security-group/{identity}"),
            "name": group["GroupName"],
            "description": group.get("Description", ""),
            "vpcId": group.get("VpcId"),
            "ownerId": self.account.id,
            "ingress": [_declared(one) for one in group.get("IpPermissions", [])],
            "egress": [_declared(one) for one in group.get("IpPermissionsEgress", [])],
            "tags": tag_map(group.get("Tags")),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self._allow(identity, old, new)
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_security_group(GroupId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if (name := wanted.get("name", "")).startswith("sg-"):
            yield Fault.allowed("name", name, "InvalidParameterValue: The name of a security group must not begin with sg-")
        for side in ("ingress", "egress"):
            for index, rule in enumerate(wanted.get(side, [])):
                yield from _rule_faults(f"{side}[{index}]", rule)

    def _allow(self, identity: str, old: Properties, new: Properties) -> None:
        """Take back the rules that went, then give those that came."""
        calls = {
            "ingress": (self.client("ec2").revoke_security_group_ingress, self.client("ec2").authorize_security_group_ingress),
            "egress": (self.client("ec2").revoke_security_group_egress, self.client("ec2").authorize_security_group_egress),
        }
        for side, (revoke, authorize) in calls.items():
            before, after = old.get(side, []), new.get(side, [])
            if gone := [_permission(rule, identity) for rule in before if not any(covers(one, rule) for one in after)]:
                revoke(GroupId=identity, IpPermissions=gone)
            if come := [_permission(rule, identity) for rule in after if not any(covers(one, rule) for one in before)]:
                authorize(GroupId=identity, IpPermissions=come)

    def _describe(self, identity: str) -> Properties:
        return only(self.client("ec2").describe_security_groups(GroupIds=[identity])["SecurityGroups"])


class _GroupRule(TaggedByEc2):
    """One rule of a group, with an id of its own."""

    replaced_by = frozenset({"securityGroupId"})
    outputs = ("arn", "securityGroupRuleId")
    side = ""

    def create(self, wanted: Properties) -> str:
        authorize = getattr(self.client("ec2"), f"authorize_security_group_{self.side}")
        made = authorize(GroupId=wanted["securityGroupId"], IpPermissions=[self._permission(wanted)])
        if made.get("SecurityGroupRules"):
            return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return self._found(wanted)["SecurityGroupRuleId"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        rules = self.client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [known["securityGroupId"]]}])
        rule = next((one for one in rules["SecurityGroupRules"] if one["SecurityGroupRuleId"] == identity), None)
        if rule is None:
            return None
        ports = {"fromPort": rule.get("FromPort"), "toPort": rule.get("ToPort")} if rule["IpProtocol"] != _EVERYTHING else {}
        return {
            **ports,
            "arn": self.arn("ec2", f"security-group-rule/{identity}"),
            "securityGroupRuleId": identity,
            "securityGroupId": rule["GroupId"],
            "ipProtocol": rule["IpProtocol"],
            "cidrIpv4": rule.get("CidrIpv4"),
            "cidrIpv6": rule.get("CidrIpv6"),
            "prefixListId": rule.get("PrefixListId"),
            "referencedSecurityGroupId": (rule.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "description": rule.get("Description"),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        names = {"ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort", "cidrIpv4": "CidrIpv4", "cidrIpv6": "CidrIpv6"}
        names |= {"prefixListId": "PrefixListId", "referencedSecurityGroupId": "ReferencedGroupId", "description": "Description"}
        rule = {aws: new[name] for name, aws in names.items() if name in new}
        change = [{"SecurityGroupRuleId": identity, "SecurityGroupRule": rule}]
        self.client("ec2").modify_security_group_rules(GroupId=new["securityGroupId"], SecurityGroupRules=change)

    def delete(self, identity: str, known: Properties) -> None:
        revoke = getattr(self.client("ec2"), f"revoke_security_group_{self.side}")
        revoke(GroupId=known["securityGroupId"], IpPermissions=[self._permission(known)])

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        peers = [name for name in ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId") if wanted.given(name)]
        if len(peers) != 1:
            wording = "InvalidParameterCombination: exactly one peer must be specified"
            yield Fault.allowed(
                peers[1] if peers else "cidrIpv4", peers, wording, "one of cidrIpv4, cidrIpv6, prefixListId, referencedSecurityGroupId"
            )
        rule = {"protocol": wanted.get("ipProtocol", _EVERYTHING), "fromPort": wanted.get("fromPort"), "toPort": wanted.get("toPort")}
        for fault in _rule_faults("", rule):
            yield Fault({".protocol": "ipProtocol", ".fromPort": "fromPort", ".toPort": "toPort"}[fault.path], fault.reason)
        yield from cidr_faults("cidrIpv4", wanted.get("cidrIpv4"), "InvalidParameterValue", (0, 32))

    def _permission(self, wanted: Properties) -> Properties:
        permission: Properties = {"IpProtocol": str(wanted["ipProtocol"])}
        permission |= {aws: int(wanted[name]) for name, aws in (("fromPort", "FromPort"), ("toPort", "ToPort")) if wanted.get(name) is not None}
        words = {"Description": wanted["description"]} if wanted.get("description") else {}
        if wanted.get("cidrIpv4"):
            permission["IpRanges"] = [{"CidrIp": wanted["cidrIpv4"], **words}]
        elif wanted.get("cidrIpv6"):
            permission["Ipv6Ranges"] = [{"CidrIpv6": wanted["cidrIpv6"], **words}]
        elif wanted.get("prefixListId"):
            permission["PrefixListIds"] = [{"PrefixListId": wanted["prefixListId"], **words}]
        else:
            permission["UserIdGroupPairs"] = [{"GroupId": wanted["referencedSecurityGroupId"], **words}]
        return permission

    def _found(self, wanted: Properties) -> Properties:
        rules = self.client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [wanted["securityGroupId"]]}])
        fits = [one for one in rules["SecurityGroupRules"] if one["IsEgress"] == (self.side == "egress") and self._is(one, wanted)]
        return fits[0]

    def _is(self, rule: Properties, wanted: Properties) -> bool:
        return rule["IpProtocol"] == str(wanted["ipProtocol"]) and rule.get("CidrIpv4") == wanted.get("cidrIpv4")


@resource("vpc/securityGroupEgressRule:SecurityGroupEgressRule")
class SecurityGroupEgressRule(_GroupRule):
    side = "egress"


@resource("vpc/securityGroupIngressRule:SecurityGroupIngressRule")
class SecurityGroupIngressRule(_GroupRule):
    side = "ingress"


def _rule_faults(path: str, rule: Mapping[str, Any]) -> Iterator[Fault]:
    protocol = str(rule.get("protocol", _EVERYTHING))
    if not protocol.isdigit() and protocol.lower() not in _PROTOCOLS:
        wording = f"InvalidParameterValue: Invalid value '{protocol}' for IP protocol. Unknown protocol."
        yield Fault.allowed(f"{path}.protocol", protocol, wording, ", ".join(_PROTOCOLS))
    low, high = rule.get("fromPort"), rule.get("toPort")
    for name, port in (("fromPort", low), ("toPort", high)):
        if port is not None and protocol in ("tcp", "udp") and not 0 <= float(port) <= 65_535:
            yield Fault.allowed(f"{path}.{name}", port, f"InvalidParameterValue: Invalid value '{port}' for portRange.", "0 to 65535")
    if low is not None and high is not None and protocol in ("tcp", "udp") and float(low) > float(high):
        yield Fault.allowed(f"{path}.fromPort", low, "InvalidParameterValue: Invalid TCP/UDP port range: from is above to", f"up to {high}")
    if protocol == _EVERYTHING and "cidrBlocks" in rule and (low or high):
        yield Fault.allowed(f"{path}.fromPort", low, "from_port and to_port must be 0 for all protocols", 0)
    for index, block in enumerate(rule.get("cidrBlocks") or []):
        yield from cidr_faults(f"{path}.cidrBlocks[{index}]", block, "InvalidParameterValue", (0, 32))


def _permission(rule: Mapping[str, Any], group: str) -> Properties:
    words = {"Description": rule["description"]} if rule.get("description") else {}
    protocol = str(rule["protocol"])
    permission: Properties = {"IpProtocol": protocol}
    if protocol != _EVERYTHING:
        permission |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    peers = [*(rule.get("securityGroups") or []), *([group] if rule.get("self") else [])]
    lists: Iterable[tuple[str, list[Properties]]] = (
        ("IpRanges", [{"CidrIp": block, **words} for block in rule.get("cidrBlocks") or []]),
        ("Ipv6Ranges", [{"CidrIpv6": block, **words} for block in rule.get("ipv6CidrBlocks") or []]),
        ("PrefixListIds", [{"PrefixListId": one, **words} for one in rule.get("prefixListIds") or []]),
        ("UserIdGroupPairs", [{"GroupId": one, **words} for one in peers]),
    )
    return permission | {name: entries for name, entries in lists if entries}


def _declared(permission: Mapping[str, Any]) -> Properties:
    return {
        "protocol": permission["IpProtocol"],
        "fromPort": permission.get("FromPort", 0),
        "toPort": permission.get("ToPort", 0),
        "cidrBlocks": [one["CidrIp"] for one in permission.get("IpRanges", [])],
        "ipv6CidrBlocks": [one["CidrIpv6"] for one in permission.get("Ipv6Ranges", [])],
        "prefixListIds": [one["PrefixListId"] for one in permission.get("PrefixListIds", [])],
        "securityGroups": [one["GroupId"] for one in permission.get("UserIdGroupPairs", [])],
    }
