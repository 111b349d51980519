"""SNS topics."""

import re
from collections.abc import Iterator

from lab.provider import policies
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource, tag_list, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_ATTRIBUTES = {"displayName": "DisplayName", "policy": "Policy", "kmsMasterKeyId": "KmsMasterKeyId", "deliveryPolicy": "DeliveryPolicy"}


@resource("sns/topic:Topic")
class Topic(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "fifoTopic"})
    outputs = ("arn", "owner", "beginningArchiveTime")

    def shaped_name(self, name: str, wanted: Properties) -> str:
        return f"{name}.fifo" if wanted.get("fifoTopic") else name

    def create(self, wanted: Properties) -> str:
        attributes = {aws: wanted[name] for name, aws in _ATTRIBUTES.items() if wanted.get(name)}
        attributes |= {"FifoTopic": "true"} if wanted.get("fifoTopic") else {}
        return self.client("sns").create_topic(Name=wanted["name"], Attributes=attributes, Tags=tag_list(wanted.get("tags")))["TopicArn"]

    def read(self, identity: str, known: Properties) -> Properties:
        attributes = self.client("sns").get_topic_attributes(TopicArn=identity)["Attributes"]
        tags = tag_map(self.client("sns").list_tags_for_resource(ResourceArn=identity)["Tags"])
        shown = {name: attributes[aws] for name, aws in _ATTRIBUTES.items() if attributes.get(aws) and (name in known or name == "policy")}
        return {**shown, "arn": identity, "name": identity.rpartition(":")[2], "owner": attributes.get("Owner", self.account.id), "tags": tags}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        for name, aws in _ATTRIBUTES.items():
            if old.get(name) != new.get(name):
                self.client("sns").set_topic_attributes(TopicArn=identity, AttributeName=aws, AttributeValue=new.get(name, ""))
        if lost := lost_tags(old, new):
            self.client("sns").untag_resource(ResourceArn=identity, TagKeys=lost)
        if new.get("tags"):
            self.client("sns").tag_resource(ResourceArn=identity, Tags=tag_list(new["tags"]))

    def delete(self, identity: str, known: Properties) -> None:
        self.client("sns").delete_topic(TopicArn=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if (name := wanted.get("name")) and not re.fullmatch(r"[\w-]{1,256}(\.fifo)?", name):
            yield Fault.allowed("name", name, "InvalidParameter: Invalid parameter: Topic Name", "1 to 256 of letters, digits, - and _")
        if text := wanted.get("policy"):
            yield from policies.faults("policy", text, policies.RESOURCE_POLICY, services=("sns",))
