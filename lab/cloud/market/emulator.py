"""Everything the market takes from MiniStack's inside, in one place: its records, its event bus, its sessions.

Written against MiniStack 1.5.33; tests/lab/cloud re-checks what is used here when the pin moves.
"""
# pyright: reportMissingImports=false

import contextlib
import html
import json
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions, responses
from ministack.services import autoscaling, cloudwatch, ec2, eventbridge, iam, lambda_svc, sts

from lab.cloud.market.query import Parameters, QueryService, Refusal

Scope = tuple[str, str]
"""Account and region."""

Handler = Callable[[Parameters], tuple[int, dict[str, str], bytes]]
"""How MiniStack answers an action: form parameters in; status, headers and XML out."""

CREDENTIAL_SECONDS = 6 * 3600
"""EC2 gives an instance's role keys of about six hours."""


def scope() -> Scope:
    """Account and region of the request that is being answered, also in timers that it started."""
    return responses.get_account_id(), responses.get_region()


def inside(where: Scope) -> contextlib.AbstractContextManager[None]:
    """Act for an account and region: MiniStack keeps every record by both."""
    return responses.request_scope(*where)


def serve(service: str, action: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Let `answer` serve an action of `ec2` or `autoscaling` from now on: it gets the request's members, and gives the result's or raises Refusal."""
    module = {"ec2": ec2, "autoscaling": autoscaling}[service]
    protocol = _protocol(service)

    def handle(parameters: Parameters) -> tuple[int, dict[str, str], bytes]:
        return module._xml(200, f"{action}Response", protocol.write(action, answer(protocol.read(action, parameters))))

    module._ACTION_MAP[action] = _refusing(module, handle)


def original(service: str, action: str) -> Handler:
    """MiniStack's own handler of an action, as it stands now."""
    return {"ec2": ec2, "autoscaling": autoscaling}[service]._ACTION_MAP[action]


_protocols: dict[str, QueryService] = {}


def _protocol(service: str) -> QueryService:
    if service not in _protocols:
        _protocols[service] = QueryService(service)
    return _protocols[service]


def subnet(subnet_id: str) -> dict[str, Any]:
    """A subnet's record. Raises Refusal if there is none."""
    ec2._ensure_defaults_initialized()
    if (found := ec2._subnets.get(subnet_id)) is None:
        raise Refusal("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    return found


def default_subnet(zone: str) -> str | None:
    """The default subnet of a zone."""
    ec2._ensure_defaults_initialized()
    return next((key for key, record in ec2._subnets.items() if record["AvailabilityZone"] == zone and record.get("DefaultForAz")), None)


def check_type(name: str) -> None:
    """Raises Refusal for an instance type that EC2 does not have."""
    if name not in _protocol("ec2").enumeration("InstanceType"):
        raise Refusal("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")


def template(specification: dict[str, Any]) -> dict[str, Any]:
    """The data of a launch template's version. Raises Refusal in EC2's words for an unknown template or version."""
    wanted = specification.get("LaunchTemplateId"), specification.get("LaunchTemplateName")
    found = next(
        (record for record in ec2._launch_templates.values() if record["LaunchTemplateId"] == wanted[0] or record["LaunchTemplateName"] == wanted[1]),
        None,
    )
    if found is None and wanted[0]:
        raise Refusal("InvalidLaunchTemplateId.NotFound", f"The specified launch template, with template ID {wanted[0]}, does not exist.")
    if found is None:
        raise Refusal(
            "InvalidLaunchTemplateName.NotFoundException", f"The specified launch template, with template name {wanted[1]}, does not exist."
        )
    version = specification.get("Version") or "$Default"
    number = {"$Default": found.get("DefaultVersionNumber"), "$Latest": found.get("LatestVersionNumber")}.get(version, version)
    for candidate in found["Versions"]:
        if str(candidate["VersionNumber"]) == str(number):
            return dict(candidate.get("LaunchTemplateData") or {})
    raise Refusal(
        "InvalidLaunchTemplateId.VersionNotFound",
        f"Could not find the specified version {version} for the launch template with ID {found['LaunchTemplateId']}.",
    )


def new_instance(data: dict[str, Any], instance_type: str, subnet_id: str, tags: dict[str, str], *, spot_request: str | None) -> dict[str, Any]:
    """Make the instance record that DescribeInstances shows, with its volume and tags, in state pending."""
    slot = ec2._slot_from_lt_data({}, data)
    interfaces = data.get("NetworkInterfaces") or [{}]
    record = ec2._launch_instances_internal(
        image_id=slot["image_id"],
        instance_type=instance_type,
        subnet_id=subnet_id,
        count=1,
        key_name=slot["key_name"],
        user_data=slot["user_data"],
        sg_ids=slot["sg_ids"] or interfaces[0].get("Groups"),
        iam_profile=slot["iam_profile"],
    )[0]
    zone = subnet(subnet_id)["AvailabilityZone"]
    record["State"] = {"Code": 0, "Name": "pending"}
    record["Placement"] = {"AvailabilityZone": zone, "Tenancy": "default"}
    record["MetadataOptions"] = data.get("MetadataOptions") or {}
    if spot_request:
        record["InstanceLifecycle"] = "spot"
        record["SpotInstanceRequestId"] = spot_request
    if not any(interface.get("AssociatePublicIpAddress") for interface in interfaces):
        record["PublicIpAddress"] = record["PublicDnsName"] = ""
    ec2._tags[record["InstanceId"]] = _tag_list(instance_tags(data, tags))
    for mapping in record["BlockDeviceMappings"]:
        volume = ec2._volumes[mapping["Ebs"]["VolumeId"]]
        volume["AvailabilityZone"] = zone
        for wanted in data.get("BlockDeviceMappings") or []:
            settings = wanted.get("Ebs") or {}
            names = {"Size": "VolumeSize", "VolumeType": "VolumeType", "Encrypted": "Encrypted", "Iops": "Iops", "Throughput": "Throughput"}
            volume.update({ours: settings[theirs] for ours, theirs in names.items() if theirs in settings})
        ec2._tags[volume["VolumeId"]] = _tag_list(_template_tags(data, "volume"))
    return record


def instance_tags(data: dict[str, Any], owner_tags: dict[str, str]) -> dict[str, str]:
    """Tags of an instance: those of its template, then its owner's."""
    return {**_template_tags(data, "instance"), **owner_tags}


def _template_tags(data: dict[str, Any], resource: str) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for entry in data.get("TagSpecifications") or []
        if entry.get("ResourceType") == resource
        for tag in entry["Tags"]
    }


def _tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def set_state(instance_id: str, code: int, name: str) -> None:
    """Change what DescribeInstances says; a terminated instance loses its volumes, as `DeleteOnTermination` has it."""
    record = ec2._instances.get(instance_id)
    if record is None:
        return
    record["State"] = {"Code": code, "Name": name}
    if name == "terminated":
        record["_terminated_at"] = time.time()
        for mapping in record["BlockDeviceMappings"]:
            ec2._volumes.pop(mapping["Ebs"]["VolumeId"], None)
            ec2._tags.pop(mapping["Ebs"]["VolumeId"], None)
        record["BlockDeviceMappings"] = []


def state(instance_id: str) -> dict[str, Any]:
    """Code and name of an instance's state. Raises Refusal if there is no such instance."""
    if (record := ec2._instances.get(instance_id)) is None:
        raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return dict(record["State"])


def tags(resource_id: str) -> dict[str, str]:
    """A resource's tags as they are now."""
    return {tag["Key"]: tag["Value"] for tag in ec2._tags.get(resource_id, [])}


def set_tags(resource_id: str, values: dict[str, str]) -> None:
    """Replace a resource's tags."""
    ec2._tags[resource_id] = _tag_list(values)


def role_of(profile: dict[str, Any] | None) -> str | None:
    """The role in an instance profile, by the profile's ARN."""
    found = iam._lookup_instance_profile(arn=profile["Arn"]) if profile else None
    roles = (found or {}).get("Roles") or []
    first = roles[0] if roles else None
    return first.get("RoleName") if isinstance(first, dict) else first


def credentials(role: str, session: str) -> dict[str, str]:
    """Temporary keys for a role, as the metadata service shows them. MiniStack's STS knows them and enforces the role's policies on their user."""
    key, secret, token = "ASIA" + secrets.token_hex(8).upper(), secrets.token_hex(20), secrets.token_urlsafe(64)
    expires = time.time() + CREDENTIAL_SECONDS
    arn = f"arn:aws:sts::{responses.get_account_id()}:assumed-role/{role}/{session}"
    sts.register_session(key, {"Arn": arn, "UserId": f"{role}:{session}", "SecretAccessKey": secret, "SessionToken": token, "Expiration": expires})
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": stamp(time.time()),
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": stamp(expires),
    }


def publish(source: str, detail_type: str, detail: dict[str, Any], resources: list[str], at: float | None = None) -> None:
    """An event from AWS itself on the default bus: PutEvents would refuse such a source to anybody else.

    `at` is the time it carries, seconds since 1970: an earlier one is an event that comes late. None: now.
    """
    record = {
        "EventId": str(uuid.uuid4()),
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "EventBusName": "default",
        "Time": int(time.time() if at is None else at),
        "Resources": resources,
        "Account": responses.get_account_id(),
        "Region": responses.get_region(),
    }
    eventbridge._events_log_list().append(record)
    eventbridge._dispatch_event(record)
    eventbridge._archive_event(record)


def alarm_state(arn: str) -> str | None:
    """OK, ALARM or INSUFFICIENT_DATA of the alarm with that ARN; None if there is none."""
    return next((alarm["StateValue"] for _, alarm in metric_alarms() if alarm["AlarmArn"] == arn), None)


def metric_alarms() -> list[tuple[Scope, dict[str, Any]]]:
    """Every CloudWatch alarm, with the account and region it belongs to."""
    return [((account, region), alarm) for (account, region, _), alarm in list(cloudwatch._alarms.all_items())]


def statistic(alarm: dict[str, Any], seconds: float) -> float | None:
    """What an alarm's metric came to in the last `seconds`, by the alarm's own statistic and dimensions; None without data."""
    dimensions = {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []}
    since = time.time() - seconds
    points = [
        point
        for (namespace, name, _), bucket in list(cloudwatch._metrics.items())
        if (namespace, name) == (alarm.get("Namespace"), alarm.get("MetricName"))
        for point in list(bucket)
        if point["Timestamp"] >= since and point["Dimensions"] == dimensions
    ]
    return cloudwatch._stat_value(cloudwatch._calc_stats(points), alarm.get("Statistic", "Average"), points) if points else None


def record_embedded_metrics() -> None:
    """Let a function's log lines in the embedded metric format become metrics, as CloudWatch Logs does and MiniStack does not."""
    emit = lambda_svc._emit_lambda_logs

    def emit_lambda_logs(function: dict[str, Any], request_id: str, text: str, *more: Any, **named: Any) -> None:
        for line in (text or "").splitlines():
            if '"CloudWatchMetrics"' in line:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    _record(json.loads(line[line.index("{") :]))
        emit(function, request_id, text, *more, **named)

    lambda_svc._emit_lambda_logs = emit_lambda_logs


def _record(line: dict[str, Any]) -> None:
    # {"_aws": {"CloudWatchMetrics": [{"Namespace": "n", "Dimensions": [["Queue"]], "Metrics": [{"Name": "Backlog"}]}]}, "Queue": "q", "Backlog": 3}
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"] or [[]]:
            for metric in directive["Metrics"]:
                dimensions = {name: str(line[name]) for name in names}
                cloudwatch.record_metric(directive["Namespace"], metric["Name"], line[metric["Name"]], metric.get("Unit", "None"), dimensions)


def stamp(at: float) -> str:
    """Seconds since 1970 as AWS writes them: 2022-08-11T14:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def keep_whole_templates() -> None:
    """Let launch templates keep every field they are given; MiniStack keeps some, and a refresh would show the rest as drift."""
    protocol = _protocol("ec2")

    def parse_lt_data(parameters: Parameters, prefix: str = "LaunchTemplateData") -> dict[str, Any]:
        return protocol.read_shape("RequestLaunchTemplateData", parameters, prefix)

    def lt_data_xml(data: dict[str, Any]) -> str:
        return protocol.write_shape("ResponseLaunchTemplateData", data)

    ec2._parse_lt_data, ec2._lt_data_xml = parse_lt_data, lt_data_xml
    for action in ("CreateLaunchTemplate", "CreateLaunchTemplateVersion"):
        ec2._ACTION_MAP[action] = _refusing(ec2, ec2._ACTION_MAP[action])


def _refusing(module: Any, handler: Handler) -> Handler:
    """The handler, with refusals from what it calls as AWS would answer them."""

    def handle(parameters: Parameters) -> tuple[int, dict[str, str], bytes]:
        try:
            return handler(parameters)
        except Refusal as refusal:
            return module._error(html.escape(refusal.code), html.escape(refusal.message), 400)

    return handle


def name_groups_in_full(arn_of: Callable[[str], str | None]) -> None:
    """Let IAM judge calls on an Auto Scaling group by its whole ARN: MiniStack has a star where the group's id stands, which no policy matches."""
    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(service: str, *request: Any, **named: Any) -> str:
        found = extract(service, *request, **named)
        name = found.partition(":*:autoScalingGroupName/")[2] if service == "autoscaling" else ""
        return (arn_of(name) if name else None) or found

    iam_actions.extract_resource_arn = extract_resource_arn


def show_spot_instances() -> None:
    """Let DescribeInstances tell Spot instances, and honour the filters that MiniStack passes over in silence."""
    write, matches = ec2._instance_xml, ec2._matches_filters

    def instance_xml(record: dict[str, Any]) -> str:
        extra = ""
        if record.get("InstanceLifecycle"):
            extra = f"<instanceLifecycle>spot</instanceLifecycle><spotInstanceRequestId>{record['SpotInstanceRequestId']}</spotInstanceRequestId>"
        options = record.get("MetadataOptions")
        if options:
            fields = {
                "HttpTokens": "httpTokens",
                "HttpEndpoint": "httpEndpoint",
                "HttpPutResponseHopLimit": "httpPutResponseHopLimit",
                "InstanceMetadataTags": "instanceMetadataTags",
            }
            extra += (
                "<metadataOptions>"
                + "".join(f"<{tag}>{options[name]}</{tag}>" for name, tag in fields.items() if name in options)
                + "</metadataOptions>"
            )
        return write(record).rpartition("</item>")[0] + extra + "</item>"

    def matches_filters(record: dict[str, Any], filters: dict[str, list[str]]) -> bool:
        known = {
            "instance-id": record["InstanceId"],
            "instance-lifecycle": record.get("InstanceLifecycle"),
            "spot-instance-request-id": record.get("SpotInstanceRequestId"),
            "availability-zone": record["Placement"]["AvailabilityZone"],
            "subnet-id": record["SubnetId"],
            "vpc-id": record["VpcId"],
        }
        return matches(record, filters) and all(known[name] in values for name, values in filters.items() if name in known)

    ec2._instance_xml, ec2._matches_filters = instance_xml, matches_filters
