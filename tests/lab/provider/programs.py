"""Sound properties of every resource type, as a program would declare them: nothing in them may be refused."""

import base64
import json

from lab.provider.wire import ARCHIVE, ASSET, SIGNATURE, UNKNOWN, Properties

ROLE_ARN = "arn:aws:iam::000000000000:role/some-role"
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:some-queue"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:some-function"
ALARM_ARN = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:some-alarm"


def statement(**parts: object) -> str:
    """A policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **parts}]})


TRUST = statement(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")
PERMISSION = statement(Action=["sqs:ReceiveMessage"], Resource=QUEUE_ARN)
QUEUE_POLICY = statement(Principal={"Service": "events.amazonaws.com"}, Action="sqs:SendMessage", Resource=QUEUE_ARN)
PATTERN = json.dumps({"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"], "detail": {"instance-action": ["terminate"]}})


def archive(text: str) -> Properties:
    """A function's code of one file, as the engine sends it."""
    asset = {SIGNATURE: ASSET, "text": text, "hash": f"asset of {text}"}
    return {SIGNATURE: ARCHIVE, "assets": {"entry.py": asset}, "hash": f"archive of {text}"}


CODE = archive("def handle(event, context):\n    return 'ok'\n")

OVERRIDES = [{"instanceType": kind, "subnetId": "subnet-1", "weightedCapacity": 1} for kind in ("m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge")]

SOUND: dict[str, Properties] = {
    "appautoscaling/policy:Policy": {
        "policyType": "StepScaling",
        "serviceNamespace": "ec2",
        "scalableDimension": "ec2:spot-fleet-request:TargetCapacity",
        "resourceId": "spot-fleet-request/sfr-1",
        "stepScalingPolicyConfiguration": {
            "adjustmentType": "ExactCapacity",
            "metricAggregationType": "Maximum",
            "cooldown": 60,
            "stepAdjustments": [
                {"metricIntervalLowerBound": "0", "metricIntervalUpperBound": "10", "scalingAdjustment": 0},
                {"metricIntervalLowerBound": "10", "scalingAdjustment": 4},
            ],
        },
    },
    "appautoscaling/target:Target": {
        "serviceNamespace": "ec2",
        "scalableDimension": "ec2:spot-fleet-request:TargetCapacity",
        "resourceId": "spot-fleet-request/sfr-1",
        "minCapacity": 0,
        "maxCapacity": 4,
    },
    "autoscaling/group:Group": {
        "minSize": 0,
        "maxSize": 4,
        "desiredCapacity": 2,
        "vpcZoneIdentifiers": ["subnet-1", "subnet-2"],
        "suspendedProcesses": ["AZRebalance"],
        "mixedInstancesPolicy": {
            "launchTemplate": {
                "launchTemplateSpecification": {"launchTemplateId": UNKNOWN, "version": UNKNOWN},
                "overrides": [{"instanceType": "m5.xlarge", "weightedCapacity": "1"}, {"instanceType": "c5.xlarge", "weightedCapacity": "1"}],
            },
            "instancesDistribution": {
                "onDemandBaseCapacity": 0,
                "onDemandPercentageAboveBaseCapacity": 0,
                "spotAllocationStrategy": "capacity-optimized",
            },
        },
        "tags": [{"key": "spotbatch:pool", "value": "p", "propagateAtLaunch": True}],
    },
    "autoscaling/lifecycleHook:LifecycleHook": {
        "name": "drain",
        "autoscalingGroupName": "group",
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "heartbeatTimeout": 120,
        "defaultResult": "CONTINUE",
    },
    "autoscaling/policy:Policy": {
        "autoscalingGroupName": "group",
        "policyType": "StepScaling",
        "adjustmentType": "ExactCapacity",
        "metricAggregationType": "Maximum",
        "stepAdjustments": [{"metricIntervalLowerBound": "0", "scalingAdjustment": 2}],
    },
    "cloudwatch/eventRule:EventRule": {"eventPattern": PATTERN, "description": "a warning", "tags": {"a": "b"}},
    "cloudwatch/eventTarget:EventTarget": {
        "rule": "rule",
        "arn": QUEUE_ARN,
        "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 10},
        "deadLetterConfig": {"arn": QUEUE_ARN},
    },
    "cloudwatch/logGroup:LogGroup": {"retentionInDays": 30, "tags": {"a": "b"}},
    "cloudwatch/logMetricFilter:LogMetricFilter": {
        "logGroupName": "group",
        "pattern": "ERROR",
        "metricTransformation": {"name": "Errors", "namespace": "spotbatch", "value": "1"},
    },
    "cloudwatch/metricAlarm:MetricAlarm": {
        "namespace": "spotbatch",
        "metricName": "Backlog",
        "dimensions": {"Queue": "bells"},
        "statistic": "Maximum",
        "period": 300,
        "evaluationPeriods": 1,
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "threshold": 1,
        "treatMissingData": "missing",
        "tags": {"a": "b"},
    },
    "dynamodb/table:Table": {
        "billingMode": "PAY_PER_REQUEST",
        "hashKey": "key",
        "attributes": [{"name": name, "type": "S"} for name in ("key", "state", "machine")],
        "globalSecondaryIndexes": [
            {
                "name": "by_state",
                "projectionType": "ALL",
                "keySchemas": [{"attributeName": "state", "keyType": "HASH"}, {"attributeName": "machine", "keyType": "RANGE"}],
            }
        ],
        "ttl": {"attributeName": "expires", "enabled": True},
        "pointInTimeRecovery": {"enabled": True},
        "serverSideEncryption": {"enabled": True},
        "tags": {"a": "b"},
    },
    "ec2/eip:Eip": {"domain": "vpc"},
    "ec2/internetGateway:InternetGateway": {"vpcId": "vpc-1"},
    "ec2/launchTemplate:LaunchTemplate": {
        "imageId": "ami-12345678",
        "instanceType": "m5.xlarge",
        "metadataOptions": {"httpTokens": "required", "httpEndpoint": "enabled", "httpPutResponseHopLimit": 2, "instanceMetadataTags": "enabled"},
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 20, "volumeType": "gp3", "encrypted": "true"}}],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"spotbatch:pool": "p"}}],
        "userData": base64.b64encode(b"#!/bin/bash\n").decode(),
        "updateDefaultVersion": True,
        "tags": {"a": "b"},
    },
    "ec2/natGateway:NatGateway": {"subnetId": "subnet-1", "allocationId": "eipalloc-1"},
    "ec2/route:Route": {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"},
    "ec2/routeTable:RouteTable": {"vpcId": "vpc-1", "tags": {"a": "b"}},
    "ec2/routeTableAssociation:RouteTableAssociation": {"subnetId": "subnet-1", "routeTableId": "rtb-1"},
    "ec2/securityGroup:SecurityGroup": {
        "description": "Workers: nothing in, everything out",
        "vpcId": "vpc-1",
        "egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
        "tags": {"a": "b"},
    },
    "ec2/spotFleetRequest:SpotFleetRequest": {
        "iamFleetRole": ROLE_ARN,
        "targetCapacity": 2,
        "allocationStrategy": "capacityOptimized",
        "fleetType": "maintain",
        "terminateInstancesOnDelete": "true",
        "launchTemplateConfigs": [{"launchTemplateSpecification": {"id": "lt-1", "version": "1"}, "overrides": OVERRIDES}],
        "tags": {"a": "b"},
    },
    "ec2/subnet:Subnet": {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "availabilityZone": "us-east-1a", "tags": {"a": "b"}},
    "ec2/vpc:Vpc": {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True, "tags": {"a": "b"}},
    "ec2/vpcEndpoint:VpcEndpoint": {"vpcId": "vpc-1", "vpcEndpointType": "Gateway", "serviceName": "com.amazonaws.us-east-1.s3"},
    "eks/accessEntry:AccessEntry": {"clusterName": "some-cluster", "principalArn": ROLE_ARN, "type": "EC2_LINUX"},
    "eks/accessPolicyAssociation:AccessPolicyAssociation": {
        "clusterName": "some-cluster",
        "principalArn": ROLE_ARN,
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        "accessScope": {"type": "cluster"},
    },
    "eks/addon:Addon": {"clusterName": "some-cluster", "addonName": "coredns", "resolveConflictsOnCreate": "OVERWRITE"},
    "eks/cluster:Cluster": {
        "roleArn": ROLE_ARN,
        "version": "1.36",
        "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "endpointPrivateAccess": True, "endpointPublicAccess": True},
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
        "enabledClusterLogTypes": ["api", "audit"],
    },
    "eks/nodeGroup:NodeGroup": {
        "clusterName": "some-cluster",
        "nodeRoleArn": ROLE_ARN,
        "subnetIds": ["subnet-1", "subnet-2"],
        "scalingConfig": {"minSize": 2, "desiredSize": 2, "maxSize": 3},
        "instanceTypes": ["m6i.large"],
        "taints": [{"key": "CriticalAddonsOnly", "effect": "NO_SCHEDULE"}],
    },
    "eks/podIdentityAssociation:PodIdentityAssociation": {
        "clusterName": "some-cluster",
        "namespace": "kube-system",
        "serviceAccount": "karpenter",
        "roleArn": ROLE_ARN,
    },
    "fis/experimentTemplate:ExperimentTemplate": {
        "description": "takes one machine",
        "roleArn": ROLE_ARN,
        "stopConditions": [{"source": "aws:cloudwatch:alarm", "value": ALARM_ARN}],
        "targets": [
            {
                "name": "machines",
                "resourceType": "aws:ec2:spot-instance",
                "selectionMode": "COUNT(1)",
                "resourceTags": [{"key": "spotbatch:pool", "value": "p"}],
                "filters": [{"path": "State.Name", "values": ["running"]}],
            }
        ],
        "actions": [
            {
                "name": "interrupt",
                "actionId": "aws:ec2:send-spot-instance-interruptions",
                "parameters": [{"key": "durationBeforeInterruption", "value": "PT2M"}],
                "target": {"key": "SpotInstances", "value": "machines"},
            }
        ],
        "tags": {"a": "b"},
    },
    "iam/instanceProfile:InstanceProfile": {"role": "some-role"},
    "iam/policy:Policy": {"policy": PERMISSION, "tags": {"a": "b"}},
    "iam/role:Role": {"assumeRolePolicy": TRUST, "description": "a role", "tags": {"a": "b"}},
    "iam/rolePolicy:RolePolicy": {"role": "some-role", "policy": PERMISSION},
    "iam/rolePolicyAttachment:RolePolicyAttachment": {
        "role": "some-role",
        "policyArn": "arn:aws:iam::aws:policy/service-role/AmazonEC2SpotFleetTaggingRole",
    },
    "lambda/eventSourceMapping:EventSourceMapping": {
        "eventSourceArn": QUEUE_ARN,
        "functionName": FUNCTION_ARN,
        "batchSize": 10,
        "maximumBatchingWindowInSeconds": 0,
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "scalingConfig": {"maximumConcurrency": 5},
    },
    "lambda/function:Function": {
        "runtime": "python3.12",
        "architectures": ["arm64"],
        "handler": "entry.handle",
        "code": CODE,
        "role": ROLE_ARN,
        "timeout": 20,
        "memorySize": 512,
        "environment": {"variables": {"SPOTBATCH_QUEUE": "q"}},
        "tags": {"a": "b"},
    },
    "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": {
        "functionName": "some-function",
        "maximumRetryAttempts": 1,
        "maximumEventAgeInSeconds": 60,
    },
    "lambda/permission:Permission": {
        "action": "lambda:InvokeFunction",
        "function": "some-function",
        "principal": "events.amazonaws.com",
        "sourceArn": "arn:aws:events:us-east-1:000000000000:rule/some-rule",
    },
    "s3/bucket:Bucket": {"forceDestroy": True, "tags": {"a": "b"}},
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "bucket": "some-bucket",
        "rules": [{"id": "leftovers", "status": "Enabled", "filter": {"prefix": ""}, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1}}],
    },
    "s3/bucketObjectv2:BucketObjectv2": {"bucket": "some-bucket", "key": "code/a.txt", "content": "hello"},
    "s3/bucketOwnershipControls:BucketOwnershipControls": {"bucket": "some-bucket", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
    "s3/bucketPolicy:BucketPolicy": {
        "bucket": "some-bucket",
        "policy": statement(Principal="*", Action="s3:*", Resource=["arn:aws:s3:::some-bucket", "arn:aws:s3:::some-bucket/*"]),
    },
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {
        "bucket": "some-bucket",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    },
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "bucket": "some-bucket",
        "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}],
    },
    "s3/bucketVersioning:BucketVersioning": {"bucket": "some-bucket", "versioningConfiguration": {"status": "Enabled"}},
    "scheduler/schedule:Schedule": {
        "scheduleExpression": "rate(1 minute)",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": {"arn": FUNCTION_ARN, "roleArn": ROLE_ARN},
    },
    "sns/topic:Topic": {"tags": {"a": "b"}},
    "sqs/queue:Queue": {
        "visibilityTimeoutSeconds": 60,
        "messageRetentionSeconds": 1_209_600,
        "sqsManagedSseEnabled": True,
        "redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": 5}),
        "tags": {"a": "b"},
    },
    "sqs/queuePolicy:QueuePolicy": {"queueUrl": "http://queue", "policy": QUEUE_POLICY},
    "sqs/redriveAllowPolicy:RedriveAllowPolicy": {
        "queueUrl": "http://queue",
        "redriveAllowPolicy": json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE_ARN]}),
    },
    "sqs/redrivePolicy:RedrivePolicy": {
        "queueUrl": "http://queue",
        "redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": 5}),
    },
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": {"securityGroupId": "sg-1", "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"},
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "securityGroupId": "sg-1",
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "cidrIpv4": "10.0.0.0/16",
    },
}
