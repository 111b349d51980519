"""Tags in EC2's two ways: given with the creation, and changed later by resource id."""

from lab.provider.resource import Resource, lost_tags, tag_list
from lab.provider.wire import Properties


class TaggedByEc2(Resource):
    """A resource that EC2 tags by its id."""

    def tag_specifications(self, kind: str, wanted: Properties) -> list[Properties]:
        tags = tag_list(wanted.get("tags"))
        return [{"ResourceType": kind, "Tags": tags}] if tags else []

    def retag(self, identity: str, old: Properties, new: Properties) -> None:
        if lost := lost_tags(old, new):
            self.client("ec2").delete_tags(Resources=[identity], Tags=[{"Key": key} for key in lost])
        if new.get("tags"):
            self.client("ec2").create_tags(Resources=[identity], Tags=tag_list(new["tags"]))
