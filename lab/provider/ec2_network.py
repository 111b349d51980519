"""Networks: their address ranges, subnets and routes."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from lab.provider.ec2_tags import TaggedByEc2
from lab.provider.fault import Fault
from lab.provider.resource import Resource, only, resource, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
}
_DESTINATIONS = {"destinationCidrBlock": "DestinationCidrBlock", "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock"}


@resource("ec2/vpc:Vpc")
class Vpc(TaggedByEc2):
    replaced_by = frozenset({"cidrBlock", "instanceTenancy"})
    outputs = ("arn", "defaultRouteTableId", "defaultSecurityGroupId", "defaultNetworkAclId", "mainRouteTableId", "ownerId")

    def create(self, wanted: Properties) -> str:
        made = self.client("ec2").create_vpc(
            CidrBlock=wanted["cidrBlock"],
            InstanceTenancy=wanted.get("instanceTenancy", "default"),
            TagSpecifications=self.tag_specifications("vpc", wanted),
        )
        return made["Vpc"]["VpcId"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self._set_dns(identity, wanted)

    def read(self, identity: str, known: Properties) -> Properties:
        vpc = only(self.client("ec2").describe_vpcs(VpcIds=[identity])["Vpcs"])
        mine = [{"Name": "vpc-id", "Values": [identity]}]
        groups = self.client("ec2").describe_security_groups(Filters=mine)["SecurityGroups"]
        tables = self.client("ec2").describe_route_tables(Filters=mine)["RouteTables"]
        main = next((table["RouteTableId"] for table in tables if any(one.get("Main") for one in table.get("Associations", []))), "")
        return {
            "arn": self.arn("ec2", f"vpc/{identity}"),
            "cidrBlock": vpc["CidrBlock"],
            "instanceTenancy": vpc.get("InstanceTenancy", "default"),
            "enableDnsSupport": self._dns(identity, "enableDnsSupport"),
            "enableDnsHostnames": self._dns(identity, "enableDnsHostnames"),
            "ownerId": self.account.id,
            "defaultSecurityGroupId": next((group["GroupId"] for group in groups if group["GroupName"] == "default"), ""),
            "defaultRouteTableId": main,
            "mainRouteTableId": main,
            "tags": tag_map(vpc.get("Tags")),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self._set_dns(identity, new)
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_vpc(VpcId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from cidr_faults("cidrBlock", wanted.get("cidrBlock"), "InvalidVpc.Range", (16, 28))
        if not (wanted.given("cidrBlock") or wanted.given("ipv4IpamPoolId")):
            yield Fault("cidrBlock", "MissingParameter: The request must contain the parameter cidrBlock or ipv4IpamPoolId")
        if wanted.get("enableDnsHostnames") and wanted.get("enableDnsSupport") is False:
            yield Fault("enableDnsHostnames", "InvalidParameterValue: DNS hostnames need enableDnsSupport; allowed: both, or no hostnames")

    def _dns(self, identity: str, attribute: str) -> bool:
        return self.client("ec2").describe_vpc_attribute(VpcId=identity, Attribute=attribute)[attribute[:1].upper() + attribute[1:]]["Value"]

    def _set_dns(self, identity: str, wanted: Properties) -> None:
        self.client("ec2").modify_vpc_attribute(VpcId=identity, EnableDnsSupport={"Value": wanted.get("enableDnsSupport", True)})
        self.client("ec2").modify_vpc_attribute(VpcId=identity, EnableDnsHostnames={"Value": wanted.get("enableDnsHostnames", False)})


@resource("ec2/subnet:Subnet")
class Subnet(TaggedByEc2):
    replaced_by = frozenset({"vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"})
    outputs = ("arn", "availabilityZoneId", "ownerId")

    def create(self, wanted: Properties) -> str:
        place = {"AvailabilityZone": wanted["availabilityZone"]} if wanted.get("availabilityZone") else {}
        specifications = self.tag_specifications("subnet", wanted)
        made = self.client("ec2").create_subnet(VpcId=wanted["vpcId"], CidrBlock=wanted["cidrBlock"], TagSpecifications=specifications, **place)
        return made["Subnet"]["SubnetId"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self._set_public(identity, wanted)

    def read(self, identity: str, known: Properties) -> Properties:
        subnet = only(self.client("ec2").describe_subnets(SubnetIds=[identity])["Subnets"])
        return {
            "arn": subnet.get("SubnetArn") or self.arn("ec2", f"subnet/{identity}"),
            "vpcId": subnet["VpcId"],
            "cidrBlock": subnet["CidrBlock"],
            "availabilityZone": subnet["AvailabilityZone"],
            "availabilityZoneId": subnet.get("AvailabilityZoneId", ""),
            "mapPublicIpOnLaunch": subnet.get("MapPublicIpOnLaunch", False),
            "ownerId": self.account.id,
            "tags": tag_map(subnet.get("Tags")),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self._set_public(identity, new)
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_subnet(SubnetId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from cidr_faults("cidrBlock", wanted.get("cidrBlock"), "InvalidSubnet.Range", (16, 28))
        zone = wanted.get("availabilityZone")
        if zone and not (zone.startswith(self.region) and zone != self.region):
            wording = f"InvalidParameterValue: Value ({zone}) for parameter availabilityZone is invalid. It is no zone of {self.region}"
            yield Fault.allowed("availabilityZone", zone, wording, f"a zone such as {self.region}a")

    def _set_public(self, identity: str, wanted: Properties) -> None:
        self.client("ec2").modify_subnet_attribute(SubnetId=identity, MapPublicIpOnLaunch={"Value": wanted.get("mapPublicIpOnLaunch", False)})


@resource("ec2/routeTable:RouteTable")
class RouteTable(TaggedByEc2):
    replaced_by = frozenset({"vpcId"})
    outputs = ("arn", "ownerId")

    def create(self, wanted: Properties) -> str:
        made = self.client("ec2").create_route_table(VpcId=wanted["vpcId"], TagSpecifications=self.tag_specifications("route-table", wanted))
        return made["RouteTable"]["RouteTableId"]

    def read(self, identity: str, known: Properties) -> Properties:
        table = only(self.client("ec2").describe_route_tables(RouteTableIds=[identity])["RouteTables"])
        arn = self.arn("ec2", f"route-table/{identity}")
        return {"arn": arn, "vpcId": table["VpcId"], "ownerId": self.account.id, "tags": tag_map(table.get("Tags"))}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_route_table(RouteTableId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if wanted.get("routes"):
            yield Fault("routes", "the lab makes routes by aws.ec2.Route only; allowed: no routes in the table")


@resource("ec2/route:Route")
class Route(Resource):
    replaced_by = frozenset({"routeTableId", *_DESTINATIONS})
    outputs = ("origin", "state")

    def create(self, wanted: Properties) -> str:
        self.client("ec2").create_route(RouteTableId=wanted["routeTableId"], **_destination(wanted), **_target(wanted))
        return f"r-{wanted['routeTableId']}:{next(iter(_destination(wanted).values()))}"

    def read(self, identity: str, known: Properties) -> Properties | None:
        table, _, destination = identity.removeprefix("r-").partition(":")
        for route in only(self.client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"])["Routes"]:
            for name, aws in _DESTINATIONS.items():
                if route.get(aws) == destination:
                    targets = {ours: route[theirs] for ours, theirs in _TARGETS.items() if route.get(theirs)}
                    found = {name: destination, **{ours: None for ours in _TARGETS if ours in known}, **targets}
                    return {**found, "routeTableId": table, "state": route.get("State", "active"), "origin": route.get("Origin", "CreateRoute")}
        return None

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client("ec2").replace_route(RouteTableId=new["routeTableId"], **_destination(new), **_target(new))

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_route(RouteTableId=known["routeTableId"], **_destination(known))

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        given = [name for name in _TARGETS if wanted.given(name)]
        if len(given) != 1:
            wording = "InvalidParameterCombination: exactly one target of a route must be specified"
            yield Fault.allowed(given[1] if given else "gatewayId", given, wording, ", ".join(_TARGETS))
        if not any(wanted.given(name) for name in (*_DESTINATIONS, "destinationPrefixListId")):
            yield Fault("destinationCidrBlock", "MissingParameter: The request must contain the parameter destinationCidrBlock")
        yield from cidr_faults("destinationCidrBlock", wanted.get("destinationCidrBlock"), "InvalidParameterValue", (0, 32))


@resource("ec2/routeTableAssociation:RouteTableAssociation")
class RouteTableAssociation(Resource):
    # A changed association has a new id, which an update cannot give; and a subnet has only one.
    updated_by = frozenset()
    deleted_first = True

    def create(self, wanted: Properties) -> str:
        place = {"SubnetId": wanted["subnetId"]} if wanted.get("subnetId") else {"GatewayId": wanted["gatewayId"]}
        return self.client("ec2").associate_route_table(RouteTableId=wanted["routeTableId"], **place)["AssociationId"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        for table in self.client("ec2").describe_route_tables()["RouteTables"]:
            for association in table.get("Associations", []):
                if association["RouteTableAssociationId"] == identity:
                    return {"routeTableId": table["RouteTableId"], "subnetId": association.get("SubnetId"), "gatewayId": association.get("GatewayId")}
        return None

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").disassociate_route_table(AssociationId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if wanted.given("subnetId") == wanted.given("gatewayId"):
            yield Fault("subnetId", "InvalidParameterCombination: exactly one of subnetId and gatewayId must be specified")


def cidr_faults(path: str, value: Any, code: str, sizes: tuple[int, int]) -> Iterator[Fault]:
    """A block that is no block, has host bits, or is larger or smaller than allowed."""
    if value is None:
        return
    try:
        block = ipaddress.ip_network(value)
    except ValueError as error:
        wording = f"InvalidParameterValue: Value ({value}) for parameter cidrBlock is invalid. This is not a valid CIDR block: {error}"
        yield Fault.allowed(path, value, wording, "ADDRESS/LENGTH such as 10.0.0.0/16")
        return
    if not sizes[0] <= block.prefixlen <= sizes[1]:
        yield Fault.allowed(path, value, f"{code}: The CIDR '{value}' is invalid.", f"a block from /{sizes[0]} to /{sizes[1]}")


def _destination(wanted: Properties) -> dict[str, str]:
    return {aws: wanted[name] for name, aws in _DESTINATIONS.items() if wanted.get(name)}


def _target(wanted: Properties) -> dict[str, str]:
    return {aws: wanted[name] for name, aws in _TARGETS.items() if wanted.get(name)}
