import ipaddress
from itertools import combinations
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi_spotbatch.aws import Network
from pulumi_spotbatch.aws.address_plan import MOST_ZONES, is_plannable, plan
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.recorder import Deployment, deploy

private_ranges = st.one_of(
    st.tuples(st.just(10), st.integers(0, 255)), st.tuples(st.just(172), st.integers(16, 31)), st.tuples(st.just(192), st.just(168))
).flatmap(
    lambda start: st.integers(16, 22).flatmap(
        lambda prefix: st.integers(0, 2 ** (prefix - 16) - 1).map(
            lambda block: f"{ipaddress.IPv4Address((start[0] << 24) + (start[1] << 16) + (block << (32 - prefix)))}/{prefix}"
        )
    )
)


def network(preview: bool = False, answers: Any = None, **args: Any) -> Deployment:
    return deploy(lambda: Network("net", args), preview=preview, answers=answers)  # pyright: ignore[reportArgumentType]


@given(private_ranges, st.integers(1, MOST_ZONES))
def test_no_two_subnets_overlap_and_all_lie_within_the_range(cidr: str, zones: int):
    assert is_plannable(cidr)
    addresses = plan(cidr, zones)
    subnets = [ipaddress.IPv4Network(block) for block in (*addresses.private, *addresses.public)]
    assert len(subnets) == 2 * zones
    assert all(subnet.subnet_of(ipaddress.IPv4Network(cidr)) for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    assert all(16 <= subnet.prefixlen <= 28 for subnet in subnets)


@given(private_ranges, st.integers(1, MOST_ZONES - 1))
def test_one_more_zone_moves_no_subnet(cidr: str, zones: int):
    fewer, more = plan(cidr, zones), plan(cidr, zones + 1)
    assert more.private[:zones] == fewer.private
    assert more.public[:zones] == fewer.public


def test_one_nat_gateway_is_the_way_out_of_three_zones_by_default(preview: bool):
    deployment = network(preview)
    assert len(deployment.all("NatGateway")) == 1
    assert [request.inputs["cidrBlock"] for request in deployment.all("Subnet")] != []
    private = [request for request in deployment.all("Subnet") if "private" in request.name]
    assert sorted(request.inputs["cidrBlock"] for request in private) == ["10.0.0.0/19", "10.0.32.0/19", "10.0.64.0/19"]
    assert all(request.inputs["mapPublicIpOnLaunch"] is False for request in deployment.all("Subnet"))


def test_every_private_subnet_has_a_route_out_and_both_free_endpoints():
    deployment = network(way_out="nat_per_zone", zones=2)
    routes = {request.name: request.inputs for request in deployment.all("Route")}
    assert routes["net-private-0-out"]["natGatewayId"] == "net-nat-0-id"
    assert routes["net-private-1-out"]["natGatewayId"] == "net-nat-1-id"
    for service in ("s3", "dynamodb"):
        endpoint = deployment.named(f"net-{service}").inputs
        assert endpoint["serviceName"] == f"com.amazonaws.us-east-1.{service}"
        assert endpoint["routeTableIds"] == ["net-private-0-routes-id", "net-private-1-routes-id"]


def test_with_endpoints_there_is_no_way_to_the_internet():
    deployment = network(way_out="endpoints")
    assert not deployment.all("InternetGateway")
    assert not deployment.all("NatGateway")
    assert not deployment.all("Route")
    interfaces = [request for request in deployment.all("VpcEndpoint") if request.inputs["vpcEndpointType"] == "Interface"]
    assert sorted(request.inputs["serviceName"].rpartition(".")[2] for request in interfaces) == ["autoscaling", "logs", "sqs"]
    assert all(request.inputs["privateDnsEnabled"] and len(request.inputs["subnetIds"]) == 3 for request in interfaces)


def test_zones_are_the_first_in_the_alphabet_and_stay_those_of_the_first_deployment():
    deployment = network(zones=2)
    assert deployment.outputs["net"]["zones"] == ["us-east-1a", "us-east-1b"]
    assert list(deployment.named("net-zones").raw.ignoreChanges) == ["input"]


def test_a_region_with_fewer_zones_says_how_many_it_has():
    two = {"aws:index/getAvailabilityZones:getAvailabilityZones": {"id": "x", "names": ["us-west-1b", "us-west-1a"], "zoneIds": [], "groupNames": []}}
    with pytest.raises(pulumi.RunError, match=r"zones: 3 is not allowed; allowed: up to 2 here \(us-west-1a, us-west-1b\)"):
        network(answers=two)


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        ({"cidr": "10.0.0.0/15"}, "cidr: '10.0.0.0/15' is not allowed"),
        ({"cidr": "10.0.0.1/16"}, "cidr: '10.0.0.1/16' is not allowed"),
        ({"cidr": "8.8.0.0/16"}, "cidr: '8.8.0.0/16' is not allowed"),
        ({"cidr": "ten"}, "cidr: 'ten' is not allowed"),
        ({"zones": 1}, "zones: 1 is not allowed; allowed: 2 to 6"),
        ({"way_out": "vpn"}, "way_out: 'vpn' is not allowed; allowed: one of nat, nat_per_zone, endpoints"),
        ({"interface_services": ["sqs"]}, "interface_services: ['sqs'] is not allowed; allowed: left out, or given with way_out endpoints"),
        ({"way_out": "endpoints", "interface_services": ["s3"]}, "interface_services: 's3' is not allowed; allowed: other services"),
        ({"way_out": "endpoints", "interface_services": ["sqs", "sqs"]}, "interface_services: 'sqs' is not allowed; allowed: each service once"),
        ({"tags": {"aws:x": "y"}}, "tags['aws:x']: 'aws:x' is not allowed; allowed: a key that does not begin with aws: or spotbatch:"),
    ],
    ids=str,
)
def test_a_bad_argument_is_refused_with_what_is_allowed(args: dict[str, Any], fault: str):
    with pytest.raises(InvalidArgs) as raised:
        network(**args)
    assert len(raised.value.faults) == 1
    assert raised.value.faults[0].startswith(fault)
