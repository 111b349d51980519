"""What AWS refuses: one fault in sound properties each, the property that must be named, and words of the refusal."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .programs import FUNCTION_ARN, OVERRIDES, PERMISSION, QUEUE_ARN, QUEUE_POLICY, SOUND, TRUST, statement

GONE = object()
"""Stands for a property that is left out."""


@dataclass(frozen=True)
class Planted:
    """A resource type, what is changed in its sound properties, the path that is refused, and words of the refusal."""

    type: str
    change: Mapping[str, Any]
    path: str
    words: str
    title: str = field(default="", compare=False)

    @property
    def properties(self) -> dict[str, Any]:
        merged = {**SOUND[self.type], **self.change}
        return {name: value for name, value in merged.items() if value is not GONE}

    def __str__(self) -> str:
        change = {name: "left out" if value is GONE else value for name, value in self.change.items()}
        return f"{self.type.split(':')[1]} {self.path}: {self.title or json.dumps(change)[:60]}"


def _ec2(name: str) -> str:
    return f"ec2/{name[:1].lower()}{name[1:]}:{name}"


LT, FLEET = _ec2("LaunchTemplate"), _ec2("SpotFleetRequest")
QUEUE, TABLE, FUNCTION = "sqs/queue:Queue", "dynamodb/table:Table", "lambda/function:Function"
MAPPING, GROUP = "lambda/eventSourceMapping:EventSourceMapping", "autoscaling/group:Group"
RULE, TARGET = "cloudwatch/eventRule:EventRule", "cloudwatch/eventTarget:EventTarget"
ALARM, ROLE = "cloudwatch/metricAlarm:MetricAlarm", "iam/role:Role"
INLINE, DRILL = "iam/rolePolicy:RolePolicy", "fis/experimentTemplate:ExperimentTemplate"
EKS, NODES, ENTRY = "eks/cluster:Cluster", "eks/nodeGroup:NodeGroup", "eks/accessEntry:AccessEntry"
POD_IDENTITY = "eks/podIdentityAssociation:PodIdentityAssociation"
ACCESS_POLICY = "eks/accessPolicyAssociation:AccessPolicyAssociation"
HOOK, BUCKET = "autoscaling/lifecycleHook:LifecycleHook", "s3/bucket:Bucket"


def _fleet(specification: Mapping[str, Any] | None = None, **override: Any) -> dict[str, Any]:
    template = {"id": "lt-1", "version": "1"} if specification is None else specification
    return {"launchTemplateConfigs": [{"launchTemplateSpecification": template, "overrides": [{**OVERRIDES[0], **override}]}]}


def _mixed(overrides: list[Mapping[str, Any]] | None = None, **distribution: Any) -> dict[str, Any]:
    policy = SOUND[GROUP]["mixedInstancesPolicy"]
    template = {**policy["launchTemplate"], **({"overrides": overrides} if overrides else {})}
    return {"mixedInstancesPolicy": {"launchTemplate": template, "instancesDistribution": {**policy["instancesDistribution"], **distribution}}}


def _drill(target: Mapping[str, Any] | None = None, action: Mapping[str, Any] | None = None) -> dict[str, Any]:
    sound = SOUND[DRILL]
    return {"targets": [{**sound["targets"][0], **(target or {})}], "actions": [{**sound["actions"][0], **(action or {})}]}


def _named(name: str, value: str) -> dict[str, Any]:
    return {"parameters": [{"key": name, "value": value}]}


FAULTS = [
    # names, kinds, what must be there
    Planted(QUEUE, {"visibilityTimeout": 60}, "visibilityTimeout", "not expected here"),
    Planted(QUEUE, {"visibilityTimeoutSeconds": "soon"}, "visibilityTimeoutSeconds", "a whole number"),
    Planted(QUEUE, {"arn": "arn:aws:sqs:::x"}, "arn", "not expected here", "an output as an input"),
    Planted(LT, {"metadataOptions": {"httpToken": "required"}}, "metadataOptions.httpToken", "allowed: httpEndpoint"),
    Planted(LT, {"blockDeviceMappings": {"deviceName": "/dev/xvda"}}, "blockDeviceMappings", "a list"),
    Planted(FLEET, {"iamFleetRole": GONE}, "iamFleetRole", "Missing required argument"),
    Planted(ROLE, {"assumeRolePolicy": GONE}, "assumeRolePolicy", "Missing required argument"),
    Planted(ALARM, {"evaluationPeriods": GONE}, "evaluationPeriods", "required with metricName"),
    Planted(ALARM, {"dimensions": ["Queue"]}, "dimensions", "a map"),
    Planted(FUNCTION, {"code": "entry.py"}, "code", "an archive"),
    # launch templates
    Planted(LT, {"metadataOptions": {"httpTokens": "always"}}, "metadataOptions.httpTokens", "[optional, required]"),
    Planted(LT, {"metadataOptions": {"httpPutResponseHopLimit": 65}}, "metadataOptions.httpPutResponseHopLimit", "1 to 64"),
    Planted(LT, {"imageId": "m5.xlarge"}, "imageId", 'expecting "ami-..."'),
    Planted(LT, {"vpcSecurityGroupIds": ["default"]}, "vpcSecurityGroupIds[0]", 'expecting "sg-..."'),
    Planted(LT, {"instanceType": "m5.xlarg"}, "instanceType", "[m5.xlarge"),
    Planted(LT, {"userData": "#!/bin/bash"}, "userData", "Invalid BASE64 encoding of user data"),
    Planted(LT, {"userData": base64.b64encode(b"x" * 16_385).decode()}, "userData", "limited to 16384 bytes", "16385 bytes"),
    Planted(LT, {"tagSpecifications": [{"resourceType": "machine", "tags": {}}]}, "tagSpecifications[0].resourceType", "enum value set"),
    Planted(LT, {"instanceInitiatedShutdownBehavior": "hibernate"}, "instanceInitiatedShutdownBehavior", "[stop, terminate]"),
    Planted(
        LT,
        {"instanceMarketOptions": {"marketType": "spot", "spotOptions": {"instanceInterruptionBehavior": "stop"}}},
        "instanceMarketOptions.spotOptions.instanceInterruptionBehavior",
        "need spotInstanceType persistent",
    ),
    Planted(LT, {"blockDeviceMappings": [{"ebs": {"volumeType": "gp4"}}]}, "blockDeviceMappings[0].ebs.volumeType", "gp3"),
    Planted(LT, {"blockDeviceMappings": [{"ebs": {"volumeType": "st1", "volumeSize": 20}}]}, "blockDeviceMappings[0].ebs.volumeSize", "125 to"),
    Planted(LT, {"blockDeviceMappings": [{"ebs": {"volumeType": "gp2", "iops": 3000}}]}, "blockDeviceMappings[0].ebs.iops", "not supported for gp2"),
    Planted(LT, {"blockDeviceMappings": [{"ebs": {"kmsKeyId": "key"}}]}, "blockDeviceMappings[0].ebs.kmsKeyId", "requires the parameter Encrypted"),
    Planted(
        LT, {"networkInterfaces": [{"deviceIndex": 0}], "vpcSecurityGroupIds": ["sg-1"]}, "vpcSecurityGroupIds", "may not be specified on the same"
    ),
    # Spot fleets
    Planted(FLEET, {"allocationStrategy": "capacity-optimized"}, "allocationStrategy", "capacityOptimized", "the group's spelling"),
    Planted(FLEET, {"fleetType": "instant-ish"}, "fleetType", "maintain"),
    Planted(FLEET, {"iamFleetRole": "some-role"}, "iamFleetRole", "IamFleetRole is invalid"),
    Planted(FLEET, {"targetCapacity": -1}, "targetCapacity", "0 or more"),
    Planted(FLEET, {"onDemandTargetCapacity": 3}, "onDemandTargetCapacity", "0 to 2"),
    Planted(
        FLEET,
        {"fleetType": "request", "spotMaintenanceStrategies": {"capacityRebalance": {"replacementStrategy": "launch"}}},
        "spotMaintenanceStrategies",
        "fleets of type maintain only",
    ),
    Planted(
        FLEET,
        {"spotMaintenanceStrategies": {"capacityRebalance": {"replacementStrategy": "launch-before-terminate"}}},
        "spotMaintenanceStrategies.capacityRebalance.replacementStrategy",
        "TerminationDelay is required",
    ),
    Planted(FLEET, {"instancePoolsToUseCount": 2}, "instancePoolsToUseCount", "only with the lowestPrice"),
    Planted(FLEET, {"launchTemplateConfigs": GONE}, "launchTemplateConfigs", "exactly one of them"),
    Planted(FLEET, {"terminateInstancesOnDelete": "yes"}, "terminateInstancesOnDelete", '"true" or "false"'),
    Planted(
        FLEET,
        _fleet({"id": "lt-1", "name": "workers", "version": "1"}),
        "launchTemplateConfigs[0].launchTemplateSpecification",
        "exactly one of them",
    ),
    Planted(
        FLEET,
        _fleet({"id": "lt-1", "version": "latest"}),
        "launchTemplateConfigs[0].launchTemplateSpecification.version",
        "Could not find the specified version",
    ),
    Planted(FLEET, _fleet(subnetId="10.0.0.0/24"), "launchTemplateConfigs[0].overrides[0].subnetId", 'expecting "subnet-..."'),
    Planted(FLEET, _fleet(weightedCapacity=0), "launchTemplateConfigs[0].overrides[0].weightedCapacity", "more than 0"),
    Planted(FLEET, {"fleetType": "request", "instanceInterruptionBehaviour": "stop"}, "instanceInterruptionBehaviour", "type maintain"),
    # Auto Scaling groups
    Planted(GROUP, {"minSize": 5}, "minSize", "Max bound, 4, must be greater than or equal to min bound, 5"),
    Planted(GROUP, {"desiredCapacity": 9}, "desiredCapacity", "must be between the specified min size"),
    Planted(GROUP, {"vpcZoneIdentifiers": GONE}, "vpcZoneIdentifiers", "At least one Availability Zone or VPC Subnet"),
    Planted(GROUP, {"mixedInstancesPolicy": GONE}, "mixedInstancesPolicy", "Valid requests must contain either LaunchTemplate"),
    Planted(GROUP, {"suspendedProcesses": ["Rebalance"]}, "suspendedProcesses[0]", "AZRebalance"),
    Planted(
        GROUP,
        _mixed(spotAllocationStrategy="capacityOptimized"),
        "mixedInstancesPolicy.instancesDistribution.spotAllocationStrategy",
        "capacity-optimized",
    ),
    Planted(GROUP, _mixed(spotInstancePools=2), "mixedInstancesPolicy.instancesDistribution.spotInstancePools", "lowest-price"),
    Planted(
        GROUP,
        _mixed(onDemandPercentageAboveBaseCapacity=101),
        "mixedInstancesPolicy.instancesDistribution.onDemandPercentageAboveBaseCapacity",
        "0 to 100",
    ),
    Planted(
        GROUP,
        _mixed([{"instanceType": "m5.large", "weightedCapacity": "1"}, {"instanceType": "c5.large"}]),
        "mixedInstancesPolicy.launchTemplate.overrides[1].weightedCapacity",
        "for all instance types or for none",
    ),
    Planted(
        GROUP,
        _mixed([{"instanceType": "m5.large", "weightedCapacity": "0.5"}]),
        "mixedInstancesPolicy.launchTemplate.overrides[0].weightedCapacity",
        "1 to 999",
    ),
    Planted(
        GROUP,
        _mixed([{"instanceType": f"m{n}.large"} for n in range(41)]),
        "mixedInstancesPolicy.launchTemplate.overrides",
        "up to 40",
        "41 types",
    ),
    Planted(HOOK, {"heartbeatTimeout": 10}, "heartbeatTimeout", "30 to 7200"),
    Planted(HOOK, {"lifecycleTransition": "terminating"}, "lifecycleTransition", "EC2_INSTANCE_TERMINATING"),
    Planted(HOOK, {"defaultResult": "continue"}, "defaultResult", "CONTINUE, ABANDON"),
    Planted("autoscaling/policy:Policy", {"stepAdjustments": GONE}, "stepAdjustments", "at least one StepAdjustment"),
    Planted(
        "autoscaling/policy:Policy",
        {
            "stepAdjustments": [
                {"metricIntervalLowerBound": "0", "metricIntervalUpperBound": "5", "scalingAdjustment": 1},
                {"metricIntervalLowerBound": "7", "scalingAdjustment": 2},
            ]
        },
        "stepAdjustments",
        "no gap, no overlap",
    ),
    Planted("appautoscaling/target:Target", {"minCapacity": 5}, "minCapacity", "cannot be less than minimum"),
    Planted("appautoscaling/target:Target", {"scalableDimension": "ecs:service:DesiredCount"}, "scalableDimension", "a dimension of ec2"),
    Planted("appautoscaling/target:Target", {"resourceId": "sfr-1"}, "resourceId", "spot-fleet-request/sfr-..."),
    # queues
    Planted(QUEUE, {"visibilityTimeoutSeconds": 43_201}, "visibilityTimeoutSeconds", "Must be between 0 and 43200"),
    Planted(QUEUE, {"messageRetentionSeconds": 30}, "messageRetentionSeconds", "60 to 1209600"),
    Planted(QUEUE, {"delaySeconds": 901}, "delaySeconds", "0 to 900"),
    Planted(QUEUE, {"receiveWaitTimeSeconds": 21}, "receiveWaitTimeSeconds", "0 to 20"),
    Planted(QUEUE, {"name": "x" * 81}, "name", "1 to 80 in length", "81 characters"),
    Planted(QUEUE, {"name": "bells", "fifoQueue": True}, "name", ".fifo suffix"),
    Planted(QUEUE, {"contentBasedDeduplication": True}, "contentBasedDeduplication", "Unknown Attribute"),
    Planted(QUEUE, {"kmsMasterKeyId": "alias/mine"}, "kmsMasterKeyId", "one type of server-side encryption"),
    Planted(QUEUE, {"redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN})}, "redrivePolicy", "maxReceiveCount"),
    Planted(QUEUE, {"redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": 1001})}, "redrivePolicy", "from 1 to 1000"),
    Planted(QUEUE, {"redrivePolicy": "{"}, "redrivePolicy", "no JSON object"),
    Planted("sqs/queuePolicy:QueuePolicy", {"policy": PERMISSION}, "policy", "Missing required field Principal"),
    Planted(
        "sqs/queuePolicy:QueuePolicy",
        {"policy": statement(Principal="*", Action="sns:Publish", Resource=QUEUE_ARN)},
        "policy",
        "action out of service scope",
    ),
    Planted("sqs/redriveAllowPolicy:RedriveAllowPolicy", {"redriveAllowPolicy": '{"redrivePermission": "some"}'}, "redriveAllowPolicy", "byQueue"),
    # IAM documents
    Planted(ROLE, {"assumeRolePolicy": "{"}, "assumeRolePolicy", "Syntax errors in policy"),
    Planted(ROLE, {"assumeRolePolicy": TRUST.replace("2012-10-17", "2012-10-18")}, "assumeRolePolicy", "valid version string"),
    Planted(ROLE, {"assumeRolePolicy": PERMISSION}, "assumeRolePolicy", "out of service scope"),
    Planted(
        ROLE,
        {"assumeRolePolicy": statement(Principal={"Service": "lambda"}, Action="sts:AssumeRole")},
        "assumeRolePolicy",
        "Invalid principal in policy",
    ),
    Planted(
        ROLE,
        {"assumeRolePolicy": statement(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole", Resource="*")},
        "assumeRolePolicy",
        "Has prohibited field Resource",
    ),
    Planted(ROLE, {"name": "a role"}, "name", "regular expression pattern"),
    Planted(ROLE, {"maxSessionDuration": 60}, "maxSessionDuration", "3600 to 43200"),
    Planted(INLINE, {"policy": QUEUE_POLICY}, "policy", "should not specify a principal"),
    Planted(INLINE, {"policy": PERMISSION.replace("Allow", "allow")}, "policy", "allowed: Allow, Deny"),
    Planted(INLINE, {"policy": statement(Action="ReceiveMessage", Resource="*")}, "policy", "must be prefaced by a vendor"),
    Planted(INLINE, {"policy": statement(Action="sqs:*")}, "policy", "must contain resources"),
    Planted(INLINE, {"policy": statement(Action="sqs:*", Resource="some-queue")}, "policy", "must be in ARN format"),
    Planted(INLINE, {"policy": statement(Action="sqs:*", Resource="*", Condition={"StringEqual": {"a": "b"}})}, "policy", "Invalid Condition type"),
    Planted(INLINE, {"policy": statement(Action="sqs:*", Resource="*", Effekt="Allow")}, "policy", "unknown Effekt"),
    Planted("iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": "AmazonEC2SpotFleetTaggingRole"}, "policyArn", "is not valid"),
    # tables
    Planted(TABLE, {"attributes": [{"name": "key", "type": "S"}]}, "globalSecondaryIndexes[0]", "not defined in AttributeDefinitions"),
    Planted(
        TABLE,
        {"globalSecondaryIndexes": [{"name": "by_state", "projectionType": "ALL", "hashKey": "state"}]},
        "attributes[2].name",
        "does not exactly match number of attributes",
    ),
    Planted(TABLE, {"hashKey": GONE}, "hashKey", "Missing the key"),
    Planted(TABLE, {"billingMode": "ON_DEMAND"}, "billingMode", "PAY_PER_REQUEST"),
    Planted(TABLE, {"readCapacity": 5}, "readCapacity", "Neither ReadCapacityUnits"),
    Planted(TABLE, {"streamEnabled": True}, "streamViewType", "StreamViewType is required"),
    # functions
    Planted(FUNCTION, {"timeout": 901}, "timeout", "less than or equal to 900"),
    Planted(FUNCTION, {"memorySize": 64}, "memorySize", "greater than or equal to 128"),
    Planted(FUNCTION, {"runtime": "python3"}, "runtime", "enum value set"),
    Planted(FUNCTION, {"handler": GONE}, "handler", "mandatory parameters"),
    Planted(FUNCTION, {"role": "some-role"}, "role", "regular expression pattern"),
    Planted(FUNCTION, {"code": GONE}, "code", "exactly one source"),
    Planted(FUNCTION, {"environment": {"variables": {"AWS_REGION": "x"}}}, "environment.variables.AWS_REGION", "Reserved keys"),
    Planted(FUNCTION, {"environment": {"variables": {"A1": "x" * 4_096}}}, "environment", "exceeded the 4KB limit", "4098 bytes"),
    Planted(FUNCTION, {"architectures": ["x86"]}, "architectures[0]", "arm64"),
    Planted(MAPPING, {"batchSize": 11}, "batchSize", "Maximum batch window"),
    Planted(MAPPING, {"scalingConfig": {"maximumConcurrency": 1}}, "scalingConfig.maximumConcurrency", "2 to"),
    Planted(MAPPING, {"functionResponseTypes": ["ReportItemFailures"]}, "functionResponseTypes[0]", "ReportBatchItemFailures"),
    Planted(MAPPING, {"startingPosition": "LATEST"}, "startingPosition", "Unsupported starting position"),
    Planted("lambda/permission:Permission", {"principal": "events"}, "principal", "provided principal was invalid"),
    Planted("lambda/permission:Permission", {"action": "Invoke"}, "action", "regular expression pattern"),
    Planted(
        "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", {"maximumRetryAttempts": 3}, "maximumRetryAttempts", "less than or equal to 2"
    ),
    # rules and targets
    Planted(RULE, {"eventPattern": '{"source": "aws.ec2"}'}, "eventPattern", "must be an object or an array"),
    Planted(RULE, {"eventPattern": '{"source": [{"starts-with": "aws"}]}'}, "eventPattern", "Unrecognized match type"),
    Planted(RULE, {"eventPattern": "source: aws.ec2"}, "eventPattern", "no JSON"),
    Planted(RULE, {"eventPattern": GONE}, "eventPattern", "must be specified"),
    Planted(RULE, {"eventPattern": GONE, "scheduleExpression": "rate(1 minutes)"}, "scheduleExpression", "is not valid"),
    Planted(RULE, {"state": "enabled"}, "state", "ENABLED"),
    Planted(RULE, {"name": "x" * 65}, "name", "64", "65 characters"),
    Planted(TARGET, {"retryPolicy": {"maximumRetryAttempts": 186}}, "retryPolicy.maximumRetryAttempts", "0 to 185"),
    Planted(TARGET, {"retryPolicy": {"maximumEventAgeInSeconds": 30}}, "retryPolicy.maximumEventAgeInSeconds", "60 to 86400"),
    Planted(TARGET, {"deadLetterConfig": {"arn": FUNCTION_ARN}}, "deadLetterConfig.arn", "must be an SQS queue"),
    Planted(TARGET, {"input": "sweep"}, "input", "JSON syntax error"),
    Planted(TARGET, {"input": "{}", "inputPath": "$.detail"}, "inputPath", "Only one of Input, InputPath, or InputTransformer"),
    # alarms, logs, drills, buckets, networks
    Planted(ALARM, {"period": 45}, "period", "multiple of 60"),
    Planted(ALARM, {"evaluationPeriods": 400}, "evaluationPeriods", "more than a day"),
    Planted(ALARM, {"comparisonOperator": "GreaterThan"}, "comparisonOperator", "GreaterThanThreshold"),
    Planted(ALARM, {"treatMissingData": "not-breaching"}, "treatMissingData", "notBreaching"),
    Planted(ALARM, {"alarmActions": ["ops@example.com"]}, "alarmActions[0]", "Invalid arn syntax"),
    Planted(ALARM, {"extendedStatistic": "p99"}, "statistic", "Exactly one of Statistic and ExtendedStatistic"),
    Planted("cloudwatch/logGroup:LogGroup", {"retentionInDays": 31}, "retentionInDays", "30, 60"),
    Planted(DRILL, _drill(target={"selectionMode": "COUNT(6)"}), "targets[0].selectionMode", "COUNT(1) to COUNT(5)"),
    Planted(DRILL, _drill(target={"selectionMode": "ONE"}), "targets[0].selectionMode", "PERCENT"),
    Planted(DRILL, _drill(action={"target": {"key": "SpotInstances", "value": "others"}}), "actions[0].target.value", "does not have"),
    Planted(DRILL, _drill(action=_named("durationBeforeInterruption", "PT1M")), "actions[0].parameters", "PT2M to PT15M"),
    Planted(DRILL, _drill(action=_named("duration", "PT2M")), "actions[0].parameters", "durationBeforeInterruption"),
    Planted(DRILL, {"stopConditions": [{"source": "aws:cloudwatch:alarm"}]}, "stopConditions[0].value", "the alarm's ARN"),
    Planted(EKS, {"vpcConfig": {"subnetIds": ["subnet-1"]}}, "vpcConfig.subnetIds", "at least two different AZs"),
    Planted(EKS, {"accessConfig": {"authenticationMode": "IAM"}}, "accessConfig.authenticationMode", "API_AND_CONFIG_MAP"),
    Planted(EKS, {"roleArn": "some-role"}, "roleArn", "not a valid role ARN"),
    Planted(EKS, {"version": "latest"}, "version", "1.NN"),
    Planted(EKS, {"vpcConfig": GONE}, "vpcConfig", "is required"),
    Planted(
        EKS,
        {"vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "endpointPublicAccess": False}},
        "vpcConfig.endpointPrivateAccess",
        "cannot be false",
    ),
    Planted(NODES, {"scalingConfig": {"minSize": 2, "desiredSize": 1, "maxSize": 3}}, "scalingConfig.desiredSize", "from minimum 2 to maximum 3"),
    Planted(NODES, {"taints": [{"key": "batch", "effect": "NoSchedule"}]}, "taints[0].effect", "NO_SCHEDULE"),
    Planted(NODES, {"capacityType": "spot"}, "capacityType", "ON_DEMAND, SPOT"),
    Planted(NODES, {"amiType": "AL2023"}, "amiType", "AL2023_x86_64_STANDARD"),
    Planted(ENTRY, {"type": "EC2_SPOT"}, "type", "EC2_LINUX"),
    Planted(ENTRY, {"kubernetesGroups": ["system:nodes"]}, "kubernetesGroups", "left out, or type STANDARD"),
    Planted(ENTRY, {"principalArn": "some-role"}, "principalArn", "the ARN of an IAM role or user"),
    Planted(POD_IDENTITY, {"serviceAccount": "Karpenter"}, "serviceAccount", "not a valid Kubernetes name"),
    Planted(POD_IDENTITY, {"roleArn": GONE}, "roleArn", "is required"),
    Planted(ACCESS_POLICY, {"policyArn": "AmazonEKSClusterAdminPolicy"}, "policyArn", "cluster-access-policy"),
    Planted(ACCESS_POLICY, {"accessScope": {"type": "namespace"}}, "accessScope.namespaces", "one name or more"),
    Planted("eks/addon:Addon", {"configurationValues": "replicas: 2"}, "configurationValues", "JSON"),
    Planted("eks/addon:Addon", {"resolveConflictsOnCreate": "PRESERVE"}, "resolveConflictsOnCreate", "NONE, OVERWRITE"),
    Planted(BUCKET, {"bucket": "Some_Bucket"}, "bucket", "not valid"),
    Planted(BUCKET, {"bucket": "10.0.0.1"}, "bucket", "IP address"),
    Planted("s3/bucketPolicy:BucketPolicy", {"bucket": "another"}, "policy", "Policy has invalid resource"),
    Planted(
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES128"}}]},
        "rules[0].applyServerSideEncryptionByDefault.sseAlgorithm",
        "AES256",
    ),
    Planted(_ec2("Vpc"), {"cidrBlock": "10.0.0.0/8"}, "cidrBlock", "from /16 to /28"),
    Planted(_ec2("Vpc"), {"cidrBlock": "10.0.0.1/16"}, "cidrBlock", "not a valid CIDR block"),
    Planted(_ec2("Subnet"), {"availabilityZone": "eu-west-1a"}, "availabilityZone", "no zone of us-east-1"),
    Planted(_ec2("Route"), {"natGatewayId": "nat-1"}, "natGatewayId", "exactly one target"),
    Planted(_ec2("NatGateway"), {"allocationId": GONE}, "allocationId", "MissingParameter"),
    Planted(_ec2("VpcEndpoint"), {"serviceName": "com.amazonaws.us-east-1.sqs"}, "vpcEndpointType", "does not match"),
    Planted(_ec2("SecurityGroup"), {"ingress": [{"protocol": "tcp", "fromPort": 443, "toPort": 80}]}, "ingress[0].fromPort", "from is above to"),
    Planted(QUEUE, {"tags": {"aws:mine": "x"}}, "tags.aws:mine", "aws: prefixed tag key names"),
    Planted(QUEUE, {"tags": {f"k{n}": "" for n in range(51)}}, "tags", "up to 50", "51 tags"),
]
