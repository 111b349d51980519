"""What other resources stand on: a network, a role, a queue and so on, made once through the provider itself."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from lab.provider.wire import Properties

from .engine_side import EngineSide, Made
from .programs import OVERRIDES, QUEUE_ARN, SOUND


class Ground:
    """Makes each thing when it is first asked for."""

    def __init__(self, engine: EngineSide) -> None:
        self._engine = engine

    def make(self, kind: str, **given: Any) -> Made:
        return self._engine.make(kind, {**SOUND[kind], **given}, name="ground")

    @cached_property
    def vpc(self) -> str:
        return self.make("ec2/vpc:Vpc").id

    @cached_property
    def subnet(self) -> str:
        return self.make("ec2/subnet:Subnet", vpcId=self.vpc).id

    @cached_property
    def table(self) -> str:
        return self.make("ec2/routeTable:RouteTable", vpcId=self.vpc).id

    @cached_property
    def gateway(self) -> str:
        return self.make("ec2/internetGateway:InternetGateway", vpcId=self.vpc).id

    @cached_property
    def address(self) -> str:
        return self.make("ec2/eip:Eip").id

    @cached_property
    def group(self) -> str:
        return self.make("ec2/securityGroup:SecurityGroup", vpcId=self.vpc).id

    @cached_property
    def role(self) -> Made:
        return self.make("iam/role:Role")

    @cached_property
    def queue(self) -> Made:
        return self._engine.make("sqs/queue:Queue", {"visibilityTimeoutSeconds": 60}, name="ground")

    @cached_property
    def bucket(self) -> str:
        return self.make("s3/bucket:Bucket").id

    @cached_property
    def function(self) -> Made:
        return self.make("lambda/function:Function", role=self.role.outputs["arn"])

    @cached_property
    def cluster(self) -> str:
        return self.make("eks/cluster:Cluster", roleArn=self.role.outputs["arn"]).id

    @cached_property
    def user_entry(self) -> Made:
        return self.make(
            "eks/accessEntry:AccessEntry", clusterName=self.cluster, principalArn=self.make("iam/role:Role").outputs["arn"], type="STANDARD"
        )

    @cached_property
    def rule(self) -> Made:
        return self.make("cloudwatch/eventRule:EventRule")

    @cached_property
    def logs(self) -> str:
        return self.make("cloudwatch/logGroup:LogGroup").id

    @cached_property
    def template(self) -> str:
        return self.make("ec2/launchTemplate:LaunchTemplate").id

    @cached_property
    def fleet(self) -> str:
        return self.make("ec2/spotFleetRequest:SpotFleetRequest", **self.fleet_settings).id

    @property
    def fleet_settings(self) -> Properties:
        template = {"id": self.template, "version": "1"}
        overrides = [{**override, "subnetId": self.subnet} for override in OVERRIDES]
        configs = [{"launchTemplateSpecification": template, "overrides": overrides}]
        return {"iamFleetRole": self.role.outputs["arn"], "targetCapacity": 0, "launchTemplateConfigs": configs}

    @property
    def group_settings(self) -> Properties:
        policy = SOUND["autoscaling/group:Group"]["mixedInstancesPolicy"]
        specification = {"launchTemplateId": self.template, "version": "1"}
        template = {**policy["launchTemplate"], "launchTemplateSpecification": specification}
        sizes = {"minSize": 0, "maxSize": 4, "desiredCapacity": 0}
        return {**sizes, "vpcZoneIdentifiers": [self.subnet], "mixedInstancesPolicy": {**policy, "launchTemplate": template}}

    @cached_property
    def scaling_group(self) -> str:
        return self.make("autoscaling/group:Group", **self.group_settings).id

    @cached_property
    def scaled(self) -> str:
        resource = f"spot-fleet-request/{self.fleet}"
        self.make("appautoscaling/target:Target", resourceId=resource)
        return resource

    def settings(self, kind: str) -> Properties:
        """Sound properties of a type that stand on what is really there."""
        makers: Mapping[str, Any] = {
            "appautoscaling/policy:Policy": lambda: {"resourceId": self.scaled},
            "appautoscaling/target:Target": lambda: {"resourceId": f"spot-fleet-request/{self.fleet}"},
            "autoscaling/group:Group": lambda: self.group_settings,
            "autoscaling/lifecycleHook:LifecycleHook": lambda: {"autoscalingGroupName": self.scaling_group},
            "autoscaling/policy:Policy": lambda: {"autoscalingGroupName": self.scaling_group},
            "cloudwatch/eventTarget:EventTarget": lambda: {
                "rule": self.rule.id,
                "arn": self.queue.outputs["arn"],
                "deadLetterConfig": {"arn": self.queue.outputs["arn"]},
            },
            "cloudwatch/logMetricFilter:LogMetricFilter": lambda: {"logGroupName": self.logs},
            "ec2/internetGateway:InternetGateway": lambda: {"vpcId": self.make("ec2/vpc:Vpc").id},
            "ec2/natGateway:NatGateway": lambda: {"subnetId": self.subnet, "allocationId": self.address},
            "ec2/route:Route": lambda: {"routeTableId": self.table, "gatewayId": self.gateway},
            "ec2/routeTable:RouteTable": lambda: {"vpcId": self.vpc},
            "ec2/routeTableAssociation:RouteTableAssociation": lambda: {"subnetId": self.subnet, "routeTableId": self.table},
            "ec2/securityGroup:SecurityGroup": lambda: {"vpcId": self.vpc},
            "ec2/spotFleetRequest:SpotFleetRequest": lambda: self.fleet_settings,
            "ec2/subnet:Subnet": lambda: {"vpcId": self.vpc, "cidrBlock": "10.0.1.0/24"},
            "ec2/vpcEndpoint:VpcEndpoint": lambda: {"vpcId": self.vpc, "routeTableIds": [self.table]},
            "eks/accessEntry:AccessEntry": lambda: {"clusterName": self.cluster, "principalArn": self.role.outputs["arn"]},
            "eks/accessPolicyAssociation:AccessPolicyAssociation": lambda: {
                "clusterName": self.cluster,
                "principalArn": self.user_entry.inputs["principalArn"],
            },
            "eks/addon:Addon": lambda: {"clusterName": self.cluster},
            "eks/cluster:Cluster": lambda: {"roleArn": self.role.outputs["arn"]},
            "eks/nodeGroup:NodeGroup": lambda: {"clusterName": self.cluster, "nodeRoleArn": self.role.outputs["arn"]},
            "eks/podIdentityAssociation:PodIdentityAssociation": lambda: {"clusterName": self.cluster, "roleArn": self.role.outputs["arn"]},
            "iam/instanceProfile:InstanceProfile": lambda: {"role": self.role.id},
            "iam/rolePolicy:RolePolicy": lambda: {"role": self.role.id},
            "iam/rolePolicyAttachment:RolePolicyAttachment": lambda: {"role": self.role.id},
            "lambda/eventSourceMapping:EventSourceMapping": lambda: {
                "eventSourceArn": self.queue.outputs["arn"],
                "functionName": self.function.outputs["arn"],
            },
            "lambda/function:Function": lambda: {"role": self.role.outputs["arn"]},
            "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": lambda: {"functionName": self.function.id},
            "lambda/permission:Permission": lambda: {"function": self.function.id, "sourceArn": self.rule.outputs["arn"]},
            "scheduler/schedule:Schedule": lambda: {"target": {"arn": self.function.outputs["arn"], "roleArn": self.role.outputs["arn"]}},
            "sqs/queue:Queue": lambda: {"redrivePolicy": SOUND[kind]["redrivePolicy"].replace(QUEUE_ARN, self.queue.outputs["arn"])},
            "sqs/redrivePolicy:RedrivePolicy": lambda: {"redrivePolicy": SOUND[kind]["redrivePolicy"].replace(QUEUE_ARN, self.queue.outputs["arn"])},
        }
        base = {"queueUrl": self.queue.id} if "queueUrl" in SOUND[kind] else {}
        if kind.startswith("s3/") and "bucket" in SOUND[kind]:
            base["bucket"] = self.bucket
            if "policy" in SOUND[kind]:
                base["policy"] = SOUND[kind]["policy"].replace("some-bucket", self.bucket)
        if kind.startswith("vpc/"):
            base["securityGroupId"] = self.group
        return {**SOUND[kind], **base, **(makers[kind]() if kind in makers else {})}
