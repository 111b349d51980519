"""Launch templates and Spot fleets."""

import base64
import binascii
import re
import time
from collections.abc import Iterator, Mapping
from typing import ClassVar

from lab.provider import shapes
from lab.provider.ec2_tags import TaggedByEc2
from lab.provider.fault import Fault
from lab.provider.resource import only, resource, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_USER_DATA_BYTES = 16_384
_HOPS = (1, 64)
_TAGGED_BY_TEMPLATE = ("instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu")
_VOLUME_SIZES = {"gp2": (1, 16_384), "gp3": (1, 65_536), "io1": (4, 16_384), "io2": (4, 65_536), "st1": (125, 16_384), "sc1": (125, 16_384)}
"""GiB. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html"""
_WITH_IOPS = ("gp3", "io1", "io2")
_FLEET_DELETE_SECONDS = 60.0
_FULFILMENT_SECONDS = 600.0
_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")


@resource("ec2/launchTemplate:LaunchTemplate")
class LaunchTemplate(TaggedByEc2):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix"})
    outputs = ("arn", "latestVersion", "defaultVersion")
    # Unknown in an update too, or the preview of a fleet that follows it would show no change.
    changing_outputs = ("latestVersion", "defaultVersion")
    shape = ("ec2", "CreateLaunchTemplate", "LaunchTemplateData")
    renames: ClassVar[Mapping[str, str]] = {"vpcSecurityGroupIds": "SecurityGroupIds", "securityGroupNames": "SecurityGroups"}

    def create(self, wanted: Properties) -> str:
        made = self.client("ec2").create_launch_template(
            LaunchTemplateName=wanted["name"],
            LaunchTemplateData=self._data(wanted),
            TagSpecifications=self.tag_specifications("launch-template", wanted),
        )
        return made["LaunchTemplate"]["LaunchTemplateId"]

    def read(self, identity: str, known: Properties) -> Properties:
        template = only(self.client("ec2").describe_launch_templates(LaunchTemplateIds=[identity])["LaunchTemplates"])
        versions = self.client("ec2").describe_launch_template_versions(LaunchTemplateId=identity, Versions=["$Latest"])
        data = only(versions["LaunchTemplateVersions"])["LaunchTemplateData"]
        return {
            **{name: value for name, value in _as_declared(data).items() if name in known},
            "name": template["LaunchTemplateName"],
            "latestVersion": template["LatestVersionNumber"],
            "defaultVersion": template["DefaultVersionNumber"],
            "arn": self.arn("ec2", f"launch-template/{identity}"),
            "tags": tag_map(template.get("Tags")),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if self._data(old) != self._data(new):
            made = self.client("ec2").create_launch_template_version(LaunchTemplateId=identity, LaunchTemplateData=self._data(new))
            if new.get("updateDefaultVersion"):
                version = str(made["LaunchTemplateVersion"]["VersionNumber"])
                self.client("ec2").modify_launch_template(LaunchTemplateId=identity, DefaultVersion=version)
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("ec2").delete_launch_template(LaunchTemplateId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from _template_faults(wanted)

    def _data(self, wanted: Properties) -> Properties:
        content = {name: value for name, value in wanted.items() if name not in ("tags", "name", "description", "defaultVersion")}
        return shapes.request(content, shapes.input_shape(*self.shape), self.renames)


@resource("ec2/spotFleetRequest:SpotFleetRequest")
class SpotFleetRequest(TaggedByEc2):
    updated_by = frozenset(
        {"targetCapacity", "onDemandTargetCapacity", "excessCapacityTerminationPolicy", "tags", "terminateInstancesOnDelete", "waitForFulfillment"}
    )
    outputs = ("spotRequestState", "clientToken")
    shape = ("ec2", "RequestSpotFleet", "SpotFleetRequestConfig")
    renames: ClassVar[Mapping[str, str]] = {
        "id": "LaunchTemplateId",
        "name": "LaunchTemplateName",
        "fleetType": "Type",
        "instanceInterruptionBehaviour": "InstanceInterruptionBehavior",
    }

    def create(self, wanted: Properties) -> str:
        config = shapes.request({name: value for name, value in wanted.items() if name != "tags"}, shapes.input_shape(*self.shape), self.renames)
        config["TagSpecifications"] = self.tag_specifications("spot-fleet-request", wanted)
        config.setdefault("AllocationStrategy", "lowestPrice")
        return self.client("ec2").request_spot_fleet(SpotFleetRequestConfig=config)["SpotFleetRequestId"]

    def finish(self, identity: str, wanted: Properties) -> None:
        until = time.monotonic() + _FULFILMENT_SECONDS
        while wanted.get("waitForFulfillment") and self._describe(identity).get("ActivityStatus") != "fulfilled":
            if time.monotonic() > until:
                raise ValueError(f"{identity} was not fulfilled within {_FULFILMENT_SECONDS:g} s")
            time.sleep(0.5)

    def read(self, identity: str, known: Properties) -> Properties | None:
        fleet = self._describe(identity)
        if not fleet or fleet["SpotFleetRequestState"].startswith("cancelled"):
            return None
        config = fleet["SpotFleetRequestConfig"]
        return {
            "spotRequestState": fleet["SpotFleetRequestState"],
            "targetCapacity": config["TargetCapacity"],
            "onDemandTargetCapacity": config.get("OnDemandTargetCapacity", 0),
            "allocationStrategy": config.get("AllocationStrategy", "lowestPrice"),
            "fleetType": config.get("Type", "maintain"),
            "iamFleetRole": config["IamFleetRole"],
            "excessCapacityTerminationPolicy": config.get("ExcessCapacityTerminationPolicy", "Default"),
            "clientToken": config.get("ClientToken", ""),
            "tags": tag_map(fleet.get("Tags")),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if any(old.get(name) != new.get(name) for name in ("targetCapacity", "onDemandTargetCapacity", "excessCapacityTerminationPolicy")):
            excess = str(new.get("excessCapacityTerminationPolicy", "Default"))
            change = {"TargetCapacity": int(new["targetCapacity"]), "ExcessCapacityTerminationPolicy": excess[:1].lower() + excess[1:]}
            if "onDemandTargetCapacity" in new:
                change["OnDemandTargetCapacity"] = int(new["onDemandTargetCapacity"])
            self.client("ec2").modify_spot_fleet_request(SpotFleetRequestId=identity, **change)
        self.retag(identity, old, new)

    def delete(self, identity: str, known: Properties) -> None:
        stop = known.get("terminateInstancesOnDelete", known.get("terminateInstancesWithExpiration", False))
        terminate = str(stop).lower() == "true"
        outcome = self.client("ec2").cancel_spot_fleet_requests(SpotFleetRequestIds=[identity], TerminateInstances=terminate)
        for failed in outcome.get("UnsuccessfulFleetRequests", []):
            if failed["Error"]["Code"] != "fleetRequestIdDoesNotExist":
                raise ValueError(f"{failed['Error']['Code']}: {failed['Error']['Message']}")
        until = time.monotonic() + _FLEET_DELETE_SECONDS
        while terminate and self._machines(identity) and time.monotonic() < until:
            time.sleep(0.2)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from _fleet_faults(wanted)

    def _describe(self, identity: str) -> Properties:
        found = self.client("ec2").describe_spot_fleet_requests(SpotFleetRequestIds=[identity])["SpotFleetRequestConfigs"]
        return found[0] if found else {}

    def _machines(self, identity: str) -> list[Properties]:
        return self.client("ec2").describe_spot_fleet_instances(SpotFleetRequestId=identity)["ActiveInstances"]


def _as_declared(data: Mapping[str, object]) -> Properties:
    """The plain fields of a template, in the names they were declared by."""
    plain: Properties = {name[:1].lower() + name[1:]: value for name, value in data.items() if isinstance(value, str | bool | int)}
    if "SecurityGroupIds" in data:
        plain["vpcSecurityGroupIds"] = data["SecurityGroupIds"]
    return plain


def _template_faults(wanted: Wanted) -> Iterator[Fault]:
    name = wanted.get("name", "")
    if name and not _NAME.fullmatch(name):
        wording = "InvalidLaunchTemplateName.MalformedException: The launch template name is not valid"
        yield Fault.allowed("name", name, wording, "3 to 128 of letters, digits and ( ) . - / _")
    yield from _id_faults("imageId", wanted.get("imageId"), "ami-", also="resolve:ssm:")
    for index, group in enumerate(wanted.get("vpcSecurityGroupIds", [])):
        yield from _id_faults(f"vpcSecurityGroupIds[{index}]", group, "sg-")
    if wanted.given("instanceType") and wanted.given("instanceRequirements"):
        yield Fault("instanceRequirements", "InvalidParameterCombination: InstanceType and InstanceRequirements may not both be specified")
    if wanted.get("networkInterfaces") and wanted.given("vpcSecurityGroupIds"):
        wording = "InvalidParameterCombination: Network interfaces and an instance-level security groups may not be specified on the same request"
        yield Fault("vpcSecurityGroupIds", wording)
    yield from _user_data_faults(wanted.get("userData"))
    metadata = wanted.get("metadataOptions", {})
    hops = metadata.get("httpPutResponseHopLimit")
    if hops is not None and not _HOPS[0] <= float(hops) <= _HOPS[1]:
        wording = f"InvalidParameterValue: Value ({hops}) for parameter HttpPutResponseHopLimit is invalid. Valid values are 1 to 64"
        yield Fault.allowed("metadataOptions.httpPutResponseHopLimit", hops, wording, "1 to 64")
    if metadata.get("instanceMetadataTags") == "enabled" and metadata.get("httpEndpoint") == "disabled":
        yield Fault("metadataOptions.instanceMetadataTags", "InvalidParameterCombination: InstanceMetadataTags needs HttpEndpoint enabled")
    for index, tagged in enumerate(wanted.get("tagSpecifications", [])):
        if (kind := tagged.get("resourceType")) is not None and kind not in _TAGGED_BY_TEMPLATE:
            wording = f"InvalidParameterValue: '{kind}' is not a valid taggable resource type for this operation"
            yield Fault.allowed(f"tagSpecifications[{index}].resourceType", kind, wording, ", ".join(_TAGGED_BY_TEMPLATE))
    yield from _market_faults(wanted.get("instanceMarketOptions"), wanted)
    for index, mapping in enumerate(wanted.get("blockDeviceMappings", [])):
        yield from _volume_faults(f"blockDeviceMappings[{index}].ebs", mapping.get("ebs") or {})


def _market_faults(market: Mapping[str, object] | None, wanted: Wanted) -> Iterator[Fault]:
    spot = (market or {}).get("spotOptions")
    if not isinstance(spot, Mapping):
        return
    one_time = spot.get("spotInstanceType", "one-time") == "one-time"
    behaviour = spot.get("instanceInterruptionBehavior", "terminate")
    if one_time and behaviour in ("stop", "hibernate"):
        wording = "InvalidParameterCombination: Instance interruption behavior stop and hibernate need spotInstanceType persistent"
        yield Fault.allowed("instanceMarketOptions.spotOptions.instanceInterruptionBehavior", behaviour, wording, "terminate")
    if spot.get("validUntil") and one_time:
        yield Fault(
            "instanceMarketOptions.spotOptions.validUntil", "InvalidParameterCombination: ValidUntil is supported for persistent requests only"
        )


def _volume_faults(path: str, ebs: Mapping[str, object]) -> Iterator[Fault]:
    kind, size, iops = str(ebs.get("volumeType", "gp2")), ebs.get("volumeSize"), ebs.get("iops")
    low, high = _VOLUME_SIZES.get(kind, (1, 65_536))
    if size is not None and not low <= float(str(size)) <= high:
        wording = f"InvalidParameterValue: Volume of {size}GiB is invalid for {kind}. Must be between {low} and {high} GiB"
        yield Fault.allowed(f"{path}.volumeSize", size, wording, f"{low} to {high}")
    if iops is not None and kind not in _WITH_IOPS:
        yield Fault.allowed(f"{path}.iops", iops, f"InvalidParameterCombination: The parameter iops is not supported for {kind} volumes")
    if kind in ("io1", "io2") and iops is None and "volumeType" in ebs:
        yield Fault(f"{path}.iops", f"MissingParameter: The request must contain the parameter iops for {kind} volumes")
    if ebs.get("throughput") is not None and kind != "gp3":
        yield Fault.allowed(f"{path}.throughput", ebs["throughput"], "InvalidParameterCombination: throughput is supported for gp3 volumes only")
    if ebs.get("kmsKeyId") and str(ebs.get("encrypted", "")).lower() != "true":
        yield Fault(f"{path}.kmsKeyId", "InvalidParameterDependency: The parameter KmsKeyId requires the parameter Encrypted to be set.")


def _user_data_faults(text: str | None) -> Iterator[Fault]:
    if text is None:
        return
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        yield Fault.allowed("userData", text[:40], "InvalidUserData.Malformed: Invalid BASE64 encoding of user data", "base64")
        return
    if size > _USER_DATA_BYTES:
        yield Fault.allowed(
            "userData", size, "InvalidParameterValue: User data is limited to 16384 bytes", f"up to {_USER_DATA_BYTES} bytes before base64"
        )


def _fleet_faults(wanted: Wanted) -> Iterator[Fault]:
    if (role := wanted.get("iamFleetRole")) is not None and not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:role/.+", role):
        yield Fault.allowed("iamFleetRole", role, "InvalidSpotFleetRequestConfig: Parameter: IamFleetRole is invalid.", "the ARN of a role")
    templates, specifications = wanted.given("launchTemplateConfigs"), wanted.given("launchSpecifications")
    if templates == specifications:
        wording = "InvalidSpotFleetRequestConfig: LaunchSpecifications and LaunchTemplateConfigs: exactly one of them must be specified"
        yield Fault("launchTemplateConfigs", wording)
    strategy, kind = wanted.get("allocationStrategy", "lowestPrice"), wanted.get("fleetType", "maintain")
    if wanted.get("spotMaintenanceStrategies") and kind != "maintain":
        wording = "InvalidSpotFleetRequestConfig: Spot maintenance strategies are supported for fleets of type maintain only"
        yield Fault.allowed("spotMaintenanceStrategies", kind, wording, "no strategies, or fleetType maintain")
    rebalance = (wanted.get("spotMaintenanceStrategies") or {}).get("capacityRebalance") or {}
    if rebalance.get("replacementStrategy") == "launch-before-terminate":
        wording = "InvalidSpotFleetRequestConfig: TerminationDelay is required with launch-before-terminate, and this resource type cannot give it"
        yield Fault.allowed("spotMaintenanceStrategies.capacityRebalance.replacementStrategy", "launch-before-terminate", wording, "launch")
    pools = wanted.get("instancePoolsToUseCount")
    if pools not in (None, 1) and wanted.known("allocationStrategy") and strategy != "lowestPrice":
        wording = "InvalidSpotFleetRequestConfig: InstancePoolsToUseCount is valid only with the lowestPrice allocation strategy"
        yield Fault.allowed("instancePoolsToUseCount", pools, wording, "it only with lowestPrice")
    target, on_demand = wanted.get("targetCapacity"), wanted.get("onDemandTargetCapacity", 0)
    if target is not None and float(target) < 0:
        yield Fault.allowed("targetCapacity", target, "InvalidSpotFleetRequestConfig: Parameter: TargetCapacity is invalid.", "0 or more")
    elif target is not None and on_demand is not None and float(on_demand) > float(target):
        yield Fault.allowed("onDemandTargetCapacity", on_demand, "InvalidSpotFleetRequestConfig: it is above TargetCapacity", f"0 to {target}")
    if kind == "request" and wanted.get("instanceInterruptionBehaviour", "terminate") != "terminate":
        wording = "InvalidSpotFleetRequestConfig: stop and hibernate are valid only for fleets of type maintain"
        yield Fault.allowed("instanceInterruptionBehaviour", wanted["instanceInterruptionBehaviour"], wording, "terminate, or fleetType maintain")
    for name in ("terminateInstancesOnDelete",):
        if str(wanted.get(name, "true")).lower() not in ("true", "false"):
            yield Fault.allowed(name, wanted[name], "Invalid value", '"true" or "false"')
    for index, config in enumerate(wanted.get("launchTemplateConfigs", [])):
        yield from _config_faults(f"launchTemplateConfigs[{index}]", config, strategy if wanted.known("allocationStrategy") else None)


def _config_faults(path: str, config: Wanted, strategy: str | None) -> Iterator[Fault]:
    template = config.get("launchTemplateSpecification")
    if isinstance(template, Wanted):
        if template.given("id") == template.given("name"):
            wording = "InvalidSpotFleetRequestConfig: LaunchTemplateId and LaunchTemplateName: exactly one of them must be specified"
            yield Fault(f"{path}.launchTemplateSpecification", wording)
        yield from _id_faults(f"{path}.launchTemplateSpecification.id", template.get("id"), "lt-")
        if (version := template.get("version")) is not None and not re.fullmatch(r"\d+|\$Latest|\$Default", str(version)):
            wording = f"InvalidLaunchTemplateId.VersionNotFound: Could not find the specified version {version}"
            yield Fault.allowed(f"{path}.launchTemplateSpecification.version", version, wording, "a number, $Latest or $Default")
    for index, override in enumerate(config.get("overrides", [])):
        here = f"{path}.overrides[{index}]"
        yield from _id_faults(f"{here}.subnetId", override.get("subnetId"), "subnet-")
        weight, priority = override.get("weightedCapacity"), override.get("priority")
        if weight is not None and float(weight) <= 0:
            wording = "InvalidSpotFleetRequestConfig: Parameter: WeightedCapacity is invalid."
            yield Fault.allowed(f"{here}.weightedCapacity", weight, wording, "more than 0")
        if priority is not None and float(priority) < 0:
            yield Fault.allowed(f"{here}.priority", priority, "InvalidSpotFleetRequestConfig: Parameter: Priority is invalid.", "0 or more")
        if override.given("instanceType") and override.given("instanceRequirements"):
            yield Fault(
                f"{here}.instanceRequirements", "InvalidParameterCombination: InstanceType and InstanceRequirements may not both be specified"
            )


def _id_faults(path: str, value: object, prefix: str, also: str = "") -> Iterator[Fault]:
    if isinstance(value, str) and not value.startswith(prefix) and not (also and value.startswith(also)):
        yield Fault(path, f'InvalidParameterValue: Invalid id: "{value}" (expecting "{prefix}...")')
