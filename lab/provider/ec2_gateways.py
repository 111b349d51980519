"""Ways out of a network: internet and NAT gateways, addresses, endpoints of AWS's own services."""

import time
from collections.abc import Iterator

from lab.provider import policies
from lab.provider.ec2_tags import TaggedByEc2
from lab.provider.fault import Fault
from lab.provider.resource import only, resource, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_ENDPOINT_KINDS = ("Gateway", "Interface", "GatewayLoadBalancer", "Resource", "ServiceNetwork")
_READY_SECONDS = 60.0


@resource("ec2/internetGateway:InternetGateway")
class InternetGateway(TaggedByEc2):
    outputs = ("arn", "ownerId")

    def create(self, wanted: Properties) -> str:
        made = self.client("ec2").create_internet_gateway(TagSpecifications=self.tag_specifications("internet-gateway", wanted))
        return made["InternetGateway"]["InternetGatewayId"]

    def finish(self, identity: str, wanted: Properties) -> None:
        if wanted.get("vpcId"):
            self.client("ec2").attach_internet_gateway(InternetGatewayId=identity, VpcId=wanted["vpcId"])

    def read(self, identity: str, known: Properties) -> Properties:
        gateway = only(self.client("ec2").describe_internet_gateways(InternetGatewayIds=[identity])["InternetGateways"])
        attached = gateway.get("Attachments", [])
        arn = self.arn("ec2", f"internet-gateway/{identity}")
        vpc = attached[0]["VpcId"] if attached else None
        return {"arn": arn, "vpcId": vpc, "ownerId": self.account.id, "tags": tag_map(gateway.get("Tags"))}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if old.get("vpcId") != new.get("vpcId"):
            self._detach(identity)
            if new.get("vpcId"):
                self.client("ec2").attach_internet_gateway(InternetGatewayId=identity, VpcId=new["vpcId"])
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self._detach(identity)
        self.client("ec2").delete_internet_gateway(InternetGatewayId=identity)

    def _detach(self, identity: str) -> None:
        for gateway in self.client("ec2").describe_internet_gateways(InternetGatewayIds=[identity])["InternetGateways"]:
            for attached in gateway.get("Attachments", []):
                self.client("ec2").detach_internet_gateway(InternetGatewayId=identity, VpcId=attached["VpcId"])


@resource("ec2/eip:Eip")
class Eip(TaggedByEc2):
    replaced_by = frozenset({"domain", "publicIpv4Pool", "networkBorderGroup"})
    outputs = ("arn", "allocationId", "publicIp", "publicDns")

    def create(self, wanted: Properties) -> str:
        made = self.client("ec2").allocate_address(Domain="vpc", TagSpecifications=self.tag_specifications("elastic-ip", wanted))
        return made["AllocationId"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        found = self.client("ec2").describe_addresses(AllocationIds=[identity])["Addresses"]
        if not found:
            return None
        arn = self.arn("ec2", f"elastic-ip/{identity}")
        shown = {"arn": arn, "allocationId": identity, "publicIp": found[0]["PublicIp"], "domain": found[0].get("Domain", "vpc")}
        return {**shown, "tags": tag_map(found[0].get("Tags"))}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").release_address(AllocationId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if (domain := wanted.get("domain", "vpc")) != "vpc":
            yield Fault.allowed("domain", domain, "InvalidParameterValue: EC2-Classic is retired", "vpc")


@resource("ec2/natGateway:NatGateway")
class NatGateway(TaggedByEc2):
    updated_by = frozenset({"tags", "secondaryAllocationIds", "secondaryPrivateIpAddresses"})
    outputs = ("associationId", "networkInterfaceId", "privateIp", "publicIp")

    def create(self, wanted: Properties) -> str:
        address = {"AllocationId": wanted["allocationId"]} if wanted.get("allocationId") else {}
        made = self.client("ec2").create_nat_gateway(
            SubnetId=wanted["subnetId"],
            ConnectivityType=wanted.get("connectivityType", "public"),
            TagSpecifications=self.tag_specifications("natgateway", wanted),
            **address,
        )
        return made["NatGateway"]["NatGatewayId"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self._wait(identity, "available")

    def read(self, identity: str, known: Properties) -> Properties | None:
        gateway = self._describe(identity)
        if gateway.get("State") in (None, "deleting", "deleted"):
            return None
        address = (gateway.get("NatGatewayAddresses") or [{}])[0]
        return {
            "subnetId": gateway["SubnetId"],
            "connectivityType": gateway.get("ConnectivityType", "public"),
            # Fixed at creation, and not told by every emulator.
            "allocationId": address.get("AllocationId", known.get("allocationId")),
            "publicIp": address.get("PublicIp"),
            "privateIp": address.get("PrivateIp"),
            "networkInterfaceId": address.get("NetworkInterfaceId"),
            "tags": tag_map(gateway.get("Tags")),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_nat_gateway(NatGatewayId=identity)
        self._wait(identity, "deleted")

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        kind = wanted.get("connectivityType", "public")
        if kind not in ("public", "private"):
            yield Fault.allowed("connectivityType", kind, "InvalidParameterValue: Value for connectivityType is invalid", "public, private")
        elif kind == "public" and not wanted.given("allocationId") and wanted.known("connectivityType"):
            yield Fault("allocationId", "MissingParameter: The request must contain the parameter AllocationId for a public NAT gateway")
        elif kind == "private" and wanted.given("allocationId"):
            yield Fault("allocationId", "InvalidParameterCombination: a private NAT gateway takes no address")

    def _describe(self, identity: str) -> Properties:
        found = self.client("ec2").describe_nat_gateways(NatGatewayIds=[identity])["NatGateways"]
        return found[0] if found else {}

    def _wait(self, identity: str, state: str) -> None:
        until = time.monotonic() + _READY_SECONDS
        while (now := self._describe(identity).get("State", "deleted")) != state:
            if now == "failed" or time.monotonic() > until:
                raise ValueError(f"{identity} is {now}, not {state}")
            time.sleep(0.2)


@resource("ec2/vpcEndpoint:VpcEndpoint")
class VpcEndpoint(TaggedByEc2):
    replaced_by = frozenset({"vpcId", "serviceName", "vpcEndpointType"})
    outputs = ("arn", "state", "dnsEntries", "networkInterfaceIds", "ownerId", "prefixListId", "requesterManaged", "cidrBlocks")

    def create(self, wanted: Properties) -> str:
        lists = {"RouteTableIds": "routeTableIds", "SubnetIds": "subnetIds", "SecurityGroupIds": "securityGroupIds", "PolicyDocument": "policy"}
        made = self.client("ec2").create_vpc_endpoint(
            VpcId=wanted["vpcId"],
            ServiceName=wanted["serviceName"],
            VpcEndpointType=wanted.get("vpcEndpointType", "Gateway"),
            TagSpecifications=self.tag_specifications("vpc-endpoint", wanted),
            **{aws: wanted[name] for aws, name in lists.items() if wanted.get(name)},
            **({"PrivateDnsEnabled": wanted["privateDnsEnabled"]} if "privateDnsEnabled" in wanted else {}),
        )
        return made["VpcEndpoint"]["VpcEndpointId"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        found = self.client("ec2").describe_vpc_endpoints(VpcEndpointIds=[identity])["VpcEndpoints"]
        if not found or found[0].get("State") in ("deleting", "deleted"):
            return None
        endpoint = found[0]
        return {
            "arn": self.arn("ec2", f"vpc-endpoint/{identity}"),
            "state": endpoint.get("State", "available"),
            "vpcId": endpoint["VpcId"],
            "serviceName": endpoint["ServiceName"],
            "vpcEndpointType": endpoint.get("VpcEndpointType", "Gateway"),
            "routeTableIds": endpoint.get("RouteTableIds", []),
            "subnetIds": endpoint.get("SubnetIds", []),
            "networkInterfaceIds": endpoint.get("NetworkInterfaceIds", []),
            "ownerId": self.account.id,
            "tags": tag_map(endpoint.get("Tags")),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        change = {}
        for name, aws in (("routeTableIds", "RouteTableIds"), ("subnetIds", "SubnetIds"), ("securityGroupIds", "SecurityGroupIds")):
            before, after = set(old.get(name, [])), set(new.get(name, []))
            change |= {f"Add{aws}": sorted(after - before)} if after - before else {}
            change |= {f"Remove{aws}": sorted(before - after)} if before - after else {}
        if old.get("policy") != new.get("policy"):
            change |= {"PolicyDocument": new["policy"]} if new.get("policy") else {"ResetPolicy": True}
        if change:
            self.client("ec2").modify_vpc_endpoint(VpcEndpointId=identity, **change)
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[identity])

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        kind = wanted.get("vpcEndpointType", "Gateway")
        if kind not in _ENDPOINT_KINDS:
            yield Fault.allowed("vpcEndpointType", kind, "InvalidParameter: Endpoint type is not valid", ", ".join(_ENDPOINT_KINDS))
        elif kind == "Gateway" and wanted.known("vpcEndpointType"):
            for name in ("subnetIds", "securityGroupIds", "privateDnsEnabled"):
                if wanted.get(name):
                    yield Fault.allowed(name, wanted[name], f"InvalidParameter: {name} is not applicable to a Gateway endpoint", "routeTableIds")
            if (service := wanted.get("serviceName")) and service.rpartition(".")[2] not in ("s3", "dynamodb"):
                wording = f"InvalidParameter: Endpoint type (Gateway) does not match available service types ([Interface]) of {service}"
                yield Fault.allowed("vpcEndpointType", kind, wording, "Interface")
        elif kind == "Interface" and wanted.get("routeTableIds"):
            yield Fault("routeTableIds", "InvalidParameter: Route table IDs are only supported for Gateway type VPC Endpoint; allowed: subnetIds")
        if text := wanted.get("policy"):
            yield from policies.faults("policy", text, policies.RESOURCE_POLICY)
