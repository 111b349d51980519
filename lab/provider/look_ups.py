"""What a program may ask before it declares anything: who and where it is, images, zones, subnets, machine types."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lab.provider.account import PARTITION, Account
from lab.provider.resource import tag_map
from lab.provider.wire import Properties

LookUp = Callable[[Account, Properties], Properties]
LOOK_UPS: dict[str, LookUp] = {}
"""Every look-up that the stand-in answers, by its token."""

_REGION_NAMES = {
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-2": "US West (Oregon)",
    "eu-west-1": "Europe (Ireland)",
    "eu-central-1": "Europe (Frankfurt)",
}


def look_up(token: str) -> Callable[[LookUp], LookUp]:
    def declare(function: LookUp) -> LookUp:
        LOOK_UPS[f"aws:{token}"] = function
        return function

    return declare


@look_up("index/getCallerIdentity:getCallerIdentity")
def _identity(account: Account, _: Properties) -> Properties:
    me = account.client("sts").get_caller_identity()
    return {"accountId": me["Account"], "arn": me["Arn"], "userId": me["UserId"], "id": me["Account"]}


@look_up("index/getRegion:getRegion")
def _region(account: Account, asked: Properties) -> Properties:
    region = asked.get("region") or asked.get("name") or account.region
    words = _REGION_NAMES.get(region, region)
    return {"region": region, "name": region, "id": region, "endpoint": f"ec2.{region}.amazonaws.com", "description": words}


@look_up("index/getPartition:getPartition")
def _partition(account: Account, _: Properties) -> Properties:
    return {"partition": PARTITION, "id": PARTITION, "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


@look_up("index/getAvailabilityZones:getAvailabilityZones")
def _zones(account: Account, asked: Properties) -> Properties:
    zones = _ec2(account, asked).describe_availability_zones(Filters=_filters(asked))["AvailabilityZones"]
    state, without = asked.get("state"), set(asked.get("excludeNames", [])) | set(asked.get("excludeZoneIds", []))
    kept = [zone for zone in zones if state in (None, zone["State"]) and not {zone["ZoneName"], zone.get("ZoneId")} & without]
    found = {"names": [zone["ZoneName"] for zone in kept], "zoneIds": [zone.get("ZoneId", "") for zone in kept]}
    return {**asked, **found, "groupNames": [_place(account, asked)], "id": _place(account, asked), "region": _place(account, asked)}


@look_up("ssm/getParameter:getParameter")
def _parameter(account: Account, asked: Properties) -> Properties:
    decrypt = asked.get("withDecryption", True)
    found = account.client("ssm", asked.get("region")).get_parameter(Name=asked["name"], WithDecryption=decrypt)["Parameter"]
    plain = "" if found["Type"] == "SecureString" else found["Value"]
    shown = {"name": found["Name"], "arn": found["ARN"], "type": found["Type"], "version": found.get("Version", 1), "id": found["Name"]}
    return {**shown, "value": found["Value"], "insecureValue": plain, "withDecryption": decrypt, "region": _place(account, asked)}


@look_up("ec2/getVpc:getVpc")
def _vpc(account: Account, asked: Properties) -> Properties:
    only = {"VpcIds": [asked["id"]]} if asked.get("id") else {}
    filters = [*_filters(asked), *([{"Name": "is-default", "Values": ["true"]}] if asked.get("default") else [])]
    vpc = _one(_ec2(account, asked).describe_vpcs(Filters=filters, **only)["Vpcs"], "EC2 VPC")
    arn = f"arn:{PARTITION}:ec2:{_place(account, asked)}:{account.id}:vpc/{vpc['VpcId']}"
    shown = {"id": vpc["VpcId"], "arn": arn, "cidrBlock": vpc["CidrBlock"], "default": vpc.get("IsDefault", False)}
    return {**asked, **shown, "state": vpc.get("State", "available"), "tags": tag_map(vpc.get("Tags")), "region": _place(account, asked)}


@look_up("ec2/getSubnet:getSubnet")
def _subnet(account: Account, asked: Properties) -> Properties:
    subnet = _one(_subnets_of(account, asked), "EC2 Subnet")
    arn = f"arn:{PARTITION}:ec2:{_place(account, asked)}:{account.id}:subnet/{subnet['SubnetId']}"
    shown = {"id": subnet["SubnetId"], "arn": arn, "vpcId": subnet["VpcId"], "cidrBlock": subnet["CidrBlock"], "tags": tag_map(subnet.get("Tags"))}
    zone = {"availabilityZone": subnet["AvailabilityZone"], "availabilityZoneId": subnet.get("AvailabilityZoneId", "")}
    return {**asked, **shown, **zone, "defaultForAz": subnet.get("DefaultForAz", False), "region": _place(account, asked)}


@look_up("ec2/getSubnets:getSubnets")
def _subnets(account: Account, asked: Properties) -> Properties:
    return {**asked, "ids": sorted(subnet["SubnetId"] for subnet in _subnets_of(account, asked)), "id": _place(account, asked)}


@look_up("ec2/getAmi:getAmi")
def _image(account: Account, asked: Properties) -> Properties:
    only = {"Owners": asked["owners"]} if asked.get("owners") else {}
    images = _ec2(account, asked).describe_images(Filters=_filters(asked), **only)["Images"]
    if asked.get("mostRecent"):
        images = sorted(images, key=lambda image: image.get("CreationDate", ""))[-1:]
    image = _one(images, "EC2 AMI")
    shown = {"id": image["ImageId"], "imageId": image["ImageId"], "name": image.get("Name", ""), "architecture": image.get("Architecture", "")}
    return {**asked, **shown, "rootDeviceName": image.get("RootDeviceName", ""), "creationDate": image.get("CreationDate", "")}


@look_up("ec2/getInstanceType:getInstanceType")
def _machine_type(account: Account, asked: Properties) -> Properties:
    kind = _one(_ec2(account, asked).describe_instance_types(InstanceTypes=[asked["instanceType"]])["InstanceTypes"], "EC2 Instance Type")
    processor = kind.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    size = {"defaultVcpus": kind.get("VCpuInfo", {}).get("DefaultVCpus"), "memorySize": kind.get("MemoryInfo", {}).get("SizeInMiB")}
    return {
        **asked,
        **size,
        "id": asked["instanceType"],
        "supportedArchitectures": processor,
        "currentGeneration": kind.get("CurrentGeneration", True),
    }


@look_up("ec2/getInstanceTypes:getInstanceTypes")
def _machine_types(account: Account, asked: Properties) -> Properties:
    pages = _ec2(account, asked).get_paginator("describe_instance_types").paginate(Filters=_filters(asked))
    return {**asked, "instanceTypes": sorted(kind["InstanceType"] for page in pages for kind in page["InstanceTypes"]), "id": _place(account, asked)}


@look_up("ec2/getInstanceTypeOfferings:getInstanceTypeOfferings")
def _offerings(account: Account, asked: Properties) -> Properties:
    """Which types a place offers. Without a filter by type, those that the emulator knows."""
    by = asked.get("locationType", "region")
    filters = {one["name"]: one["values"] for one in asked.get("filters", [])}
    zones = _zones(account, {"region": asked["region"]} if asked.get("region") else {})["names"]
    places = [_place(account, asked)] if by == "region" else zones
    wanted = filters.get("instance-type") or [kind["InstanceType"] for kind in _ec2(account, asked).describe_instance_types()["InstanceTypes"]]
    pairs = [(kind, place) for kind in sorted(wanted) for place in places if place in filters.get("location", places)]
    found = {"instanceTypes": [kind for kind, _ in pairs], "locations": [place for _, place in pairs], "locationTypes": [by] * len(pairs)}
    return {**asked, **found, "id": _place(account, asked)}


def _ec2(account: Account, asked: Properties) -> Any:
    return account.client("ec2", asked.get("region"))


def _place(account: Account, asked: Properties) -> str:
    return asked.get("region") or account.region


def _subnets_of(account: Account, asked: Properties) -> list[Properties]:
    filters = _filters(asked)
    for name, aws in (("vpcId", "vpc-id"), ("availabilityZone", "availability-zone"), ("cidrBlock", "cidr-block")):
        filters += [{"Name": aws, "Values": [asked[name]]}] if asked.get(name) else []
    only = {"SubnetIds": [asked["id"]]} if asked.get("id") else {}
    return _ec2(account, asked).describe_subnets(Filters=filters, **only)["Subnets"]


def _filters(asked: Properties) -> list[Properties]:
    tags: Mapping[str, str] = asked.get("tags") or {}
    named: Iterable[Properties] = asked.get("filters") or []
    return [
        *({"Name": one["name"], "Values": one["values"]} for one in named),
        *({"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()),
    ]


def _one(found: list[Properties], what: str) -> Properties:
    if len(found) != 1:
        raise ValueError(f"{'no' if not found else 'multiple'} matching {what} found" + ("" if not found else "; use additional constraints"))
    return found[0]
