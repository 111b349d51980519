"""What the engine needs to know about a resource type, and how the stand-in carries it out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from lab.provider.account import PARTITION, Account
from lab.provider.fault import Fault
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties


class Resource:
    """One resource type of the AWS provider. A service's module declares it with `@resource(token)` and says what AWS does.

    Properties have Pulumi's names. `create` makes it by one call and returns the id, `finish` does the rest; `read` returns every property
    that drift should show, outputs included, or None (or raises Gone, or AWS's own not-found error) when it is gone.
    """

    token: ClassVar[str]
    auto_name: ClassVar[str] = ""
    """The property that is named by itself when left out."""
    name_ends: ClassVar[str] = "-"
    """What stands between the resource's Pulumi name and the random part of a name given by itself."""
    replaced_by: ClassVar[frozenset[str]] = frozenset()
    """Properties whose change needs a new resource."""
    updated_by: ClassVar[frozenset[str] | None] = None
    """Where almost everything needs a new resource: the few properties that do not."""
    deleted_first: ClassVar[bool] = False
    """Whether the old one must go before its replacement can be made."""
    outputs: ClassVar[tuple[str, ...]] = ()
    """What a preview of its creation cannot know."""
    changing_outputs: ClassVar[tuple[str, ...]] = ()
    """What a preview of its update cannot know either."""
    shape: ClassVar[tuple[str, ...]] = ()
    """Service, operation and members of the botocore shape that its properties are judged by."""
    renames: ClassVar[Mapping[str, str]] = {}
    """Pulumi's name to AWS's, where it is not the same but for its first letter."""

    def __init__(self, account: Account, region: str = "") -> None:
        self.account = account
        self.region = region or account.region

    def client(self, service: str) -> Any:
        return self.account.client(service, self.region)

    def arn(self, service: str, rest: str) -> str:
        return f"arn:{PARTITION}:{service}:{self.region}:{self.account.id}:{rest}"

    def shaped_name(self, name: str, wanted: Properties) -> str:
        """A name given by itself, in the form that the service wants."""
        return name

    def replaces(self, name: str) -> bool:
        return name not in self.updated_by if self.updated_by is not None else name in self.replaced_by

    def faults(self, wanted: Wanted) -> Iterable[Fault]:
        """What AWS would refuse beyond types and shapes. Unknown values are not in `wanted`."""
        return ()

    def planned(self, wanted: Properties) -> Properties:
        """What a preview shows of its inputs; where AWS fills in parts of one, with those parts unknown."""
        return wanted

    def create(self, wanted: Properties) -> str:
        raise NotImplementedError

    def finish(self, identity: str, wanted: Properties) -> None:
        """What it takes after the call that made it. If this fails, the engine keeps the half-made thing in its state."""

    def read(self, identity: str, known: Properties) -> Properties | None:
        raise NotImplementedError

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        raise NotImplementedError

    def delete(self, identity: str, known: Properties) -> None:
        raise NotImplementedError


RESOURCES: dict[str, type[Resource]] = {}
"""Every resource type that the stand-in knows, by its token."""

R = TypeVar("R", bound=type[Resource])


def resource(token: str) -> Any:
    """Declare a resource type by its token without the package, `sqs/queue:Queue`."""

    def declare(kind: R) -> R:
        kind.token = f"aws:{token}"
        RESOURCES[kind.token] = kind
        return kind

    return declare


class Gone(Exception):
    """A call answered without the thing that was asked for."""


def only(found: Sequence[Any]) -> Any:
    """The one thing that a call by id answered with. Raises Gone where it answered with none."""
    if not found:
        raise Gone
    return found[0]


def tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags that somebody gave; those that AWS gives itself are nobody's drift."""
    return {tag["Key"]: tag["Value"] for tag in tags or () if not tag["Key"].startswith("aws:")}


def lost_tags(old: Properties, new: Properties) -> list[str]:
    return sorted(set(old.get("tags") or {}) - set(new.get("tags") or {}))
