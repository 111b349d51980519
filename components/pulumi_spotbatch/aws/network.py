"""A network for machines that need no address of their own."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ..validation import Faults, Rule, between, like, one_of, some
from .address_plan import MOST_ZONES, AddressPlan, is_plannable, plan
from .tagging import check_tags, own_tags

_INTERFACE_SERVICES = ("autoscaling", "logs", "sqs")
"""What a worker calls beside S3 and DynamoDB."""


class NetworkArgs(TypedDict):
    """What a Network needs to know."""

    cidr: NotRequired[str]
    """Private addresses to use, a /16 to /22. Default: 10.0.0.0/16, 8187 machines in each zone."""
    zones: NotRequired[int]
    """Zones to spread over, 2 to 6; each is a pool of its own for every instance type. Default: 3. Adding one moves nothing."""
    way_out: NotRequired[str]
    """nat (default): one NAT gateway; if its zone fails, the others lose the way out. nat_per_zone: one in each zone. endpoints: no way out
    but AWS's own services, through interface endpoints. S3 and DynamoDB never take this way, and cost nothing on theirs.
    In us-east-1 a NAT gateway costs 0.045 USD an hour (33 USD a month) and 0.045 USD for each GB; an interface endpoint 0.01 USD an hour in
    each zone and 0.01 USD for each GB, so the three of the default over three zones cost 66 USD a month.
    https://aws.amazon.com/vpc/pricing/, https://aws.amazon.com/privatelink/pricing/ (as of 2025)"""
    interface_services: NotRequired[Sequence[str]]
    """With endpoints: services that get an interface endpoint. Default: autoscaling, logs, sqs. Secrets need secretsmanager or ssm, images
    in ECR need ecr.api and ecr.dkr besides."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags for every resource that takes tags. Default: the stack's own tag alone."""


class Network(pulumi.ComponentResource):
    """Give machines a private place in several zones, from which they reach what they work with and nobody reaches them.

    Creates the network, a private subnet in each zone, gateway endpoints for S3 and DynamoDB (free), and a way out: NAT gateway or
    interface endpoints. The zones of the first deployment stay, also when AWS opens or closes one.

    Leaves to you: connections to other networks. Where you have a network already, pass its subnets to the fleets instead.

    Raises InvalidArgs; at `up`, when the region has fewer zones than asked for.
    """

    vpc_id: pulumi.Output[str]
    """The network."""
    subnet_ids: pulumi.Output[Sequence[str]]
    """The private subnets, one for each zone."""
    zones: pulumi.Output[Sequence[str]]
    """Their zones, in the same order."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:Network", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name, self._tags = name, own_tags(given.get("tags"))
        count, way_out = given.get("zones", 3), given.get("way_out", "nat")
        cidr = given.get("cidr", "10.0.0.0/16")
        addresses = plan(cidr, count)
        zones = self._pinned_zones(count)
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region

        vpc = aws.ec2.Vpc(
            f"{name}-vpc", cidr_block=cidr, enable_dns_support=True, enable_dns_hostnames=True, tags=self._named("vpc"), opts=self._child
        )
        subnets = [self._subnet(f"private-{i}", vpc, block, zones[i]) for i, block in enumerate(addresses.private)]
        tables = [self._table(f"private-{i}", vpc, subnet) for i, subnet in enumerate(subnets)]
        for service in ("dynamodb", "s3"):
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=vpc.id,
                vpc_endpoint_type="Gateway",
                service_name=pulumi.Output.concat("com.amazonaws.", region, ".", service),
                route_table_ids=[table.id for table in tables],
                tags=self._named(service),
                opts=self._child,
            )
        if way_out == "endpoints":
            self._interfaces(vpc, cidr, region, subnets, given.get("interface_services", _INTERFACE_SERVICES))
        else:
            self._gateways(vpc, addresses, zones, tables, count if way_out == "nat_per_zone" else 1)

        self.vpc_id = vpc.id
        self._subnets = [subnet.id for subnet in subnets]
        self.subnet_ids = pulumi.Output.all(*self._subnets)
        self.zones = pulumi.Output.all(*zones)
        self.register_outputs({"vpcId": self.vpc_id, "subnetIds": self.subnet_ids, "zones": self.zones})

    @property
    def subnets(self) -> Sequence[pulumi.Output[str]]:
        """The private subnets one by one: `{"subnet_ids": network.subnets, ...}` lets a fleet's first preview show its pools."""
        return self._subnets

    def _pinned_zones(self, count: int) -> list[pulumi.Output[str]]:
        """Zones by name, as they were when this was first deployed: a zone that comes or goes must not move a subnet."""
        open_to_all = aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])
        found = aws.get_availability_zones_output(state="available", filters=[open_to_all], opts=pulumi.InvokeOutputOptions(parent=self))
        pin = pulumi.Stash(f"{self._name}-zones", input=found.names.apply(sorted), opts=pulumi.ResourceOptions(parent=self, ignore_changes=["input"]))

        def zone(names: Sequence[str], index: int) -> str:
            if index >= len(names):
                raise pulumi.RunError(f"Network {self._name!r}: zones: {count} is not allowed; allowed: up to {len(names)} here ({', '.join(names)})")
            return names[index]

        return [pin.output.apply(lambda names, index=index: zone(names, index)) for index in range(count)]

    def _subnet(self, role: str, vpc: "aws.ec2.Vpc", block: str, zone: pulumi.Input[str]) -> "aws.ec2.Subnet":
        return aws.ec2.Subnet(
            f"{self._name}-{role}",
            vpc_id=vpc.id,
            cidr_block=block,
            availability_zone=zone,
            map_public_ip_on_launch=False,
            tags=self._named(role),
            opts=self._child,
        )

    def _table(self, role: str, vpc: "aws.ec2.Vpc", subnet: "aws.ec2.Subnet") -> "aws.ec2.RouteTable":
        table = aws.ec2.RouteTable(f"{self._name}-{role}-routes", vpc_id=vpc.id, tags=self._named(role), opts=self._child)
        aws.ec2.RouteTableAssociation(f"{self._name}-{role}-uses", subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
        return table

    def _gateways(
        self, vpc: "aws.ec2.Vpc", addresses: AddressPlan, zones: list[pulumi.Output[str]], tables: "list[aws.ec2.RouteTable]", count: int
    ) -> None:
        name, child = self._name, self._child
        internet = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, tags=self._named("internet"), opts=child)
        gateways: list[aws.ec2.NatGateway] = []
        for i in range(count):
            subnet = self._subnet(f"public-{i}", vpc, addresses.public[i], zones[i])
            table = self._table(f"public-{i}", vpc, subnet)
            outward = aws.ec2.Route(
                f"{name}-public-{i}-out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=internet.id, opts=child
            )
            address = aws.ec2.Eip(f"{name}-nat-{i}-address", domain="vpc", tags=self._named(f"nat-{i}"), opts=child)
            gateways.append(
                aws.ec2.NatGateway(
                    f"{name}-nat-{i}",
                    subnet_id=subnet.id,
                    allocation_id=address.id,
                    tags=self._named(f"nat-{i}"),
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[outward]),
                )
            )
        for i, table in enumerate(tables):
            gateway = gateways[i % count]
            aws.ec2.Route(
                f"{name}-private-{i}-out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", nat_gateway_id=gateway.id, opts=child
            )

    def _interfaces(
        self, vpc: "aws.ec2.Vpc", cidr: str, region: pulumi.Output[str], subnets: "list[aws.ec2.Subnet]", services: Sequence[str]
    ) -> None:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            description="HTTPS from within the network",
            vpc_id=vpc.id,
            ingress=[aws.ec2.SecurityGroupIngressArgs(protocol="tcp", from_port=443, to_port=443, cidr_blocks=[cidr])],
            tags=self._named("endpoints"),
            opts=self._child,
        )
        for service in services:
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}",
                vpc_id=vpc.id,
                vpc_endpoint_type="Interface",
                service_name=pulumi.Output.concat("com.amazonaws.", region, ".", service),
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in subnets],
                security_group_ids=[group.id],
                tags=self._named(service),
                opts=self._child,
            )

    def _named(self, role: str) -> dict[str, pulumi.Input[str]]:
        return {"Name": f"{self._name}-{role}", **self._tags}


_RULES = {
    "cidr": Rule("a private range from /16 to /22 that begins at its first address, such as 10.0.0.0/16", is_plannable),
    "zones": between(2, MOST_ZONES),
    "way_out": one_of("nat", "nat_per_zone", "endpoints"),
    "interface_services": some(),
    "interface_services[]": like(r"[a-z0-9][a-z0-9.-]*", "the last part of an endpoint's service name, such as sqs or ecr.api"),
}


def checked(name: str, args: NetworkArgs) -> NetworkArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("Network", name)
    given = faults.read(NetworkArgs, args, _RULES)
    services = given.get("interface_services")
    if services and given.get("way_out") != "endpoints":
        faults.add("interface_services", services, "left out, or given with way_out endpoints")
    for service in {"s3", "dynamodb"} & set(services or ()):
        faults.add("interface_services", service, "other services: S3 and DynamoDB have their gateway endpoints, which are free")
    for service in sorted({service for service in services or () if list(services or ()).count(service) > 1}):
        faults.add("interface_services", service, "each service once")
    check_tags(faults, given.get("tags"))
    faults.raise_any()
    return given
