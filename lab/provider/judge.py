"""What the cloud would refuse, found before anything is made."""

from collections.abc import Iterator, Mapping
from typing import Any

from lab.provider import schema, shapes
from lab.provider.fault import Fault
from lab.provider.resource import Resource
from lab.provider.wanted import Wanted
from lab.provider.wire import UNKNOWN, Properties, is_known

_MOST_TAGS = 50
_TAG_KEY, _TAG_VALUE = 128, 256


def faults(kind: Resource, wanted: Properties) -> Iterator[Fault]:
    """All faults of one resource, each once: names and kinds, AWS's own ranges and enums, tags, then what belongs to the type.

    Values that are not known yet are not judged; they are when they are, at `up`.
    """
    by_schema = list(schema.faults(kind.token, wanted))
    yield from by_schema
    known = Wanted(wanted)
    said = {fault.path for fault in by_schema}
    unclear = bool(by_schema) or not is_known(wanted)
    for fault in (*_shape_faults(kind, known), *_tag_faults(known.get("tags")), *_own_faults(kind, known, unclear)):
        if fault.path not in said and UNKNOWN not in fault.reason:
            said.add(fault.path)
            yield fault


def _shape_faults(kind: Resource, known: Wanted) -> Iterator[Fault]:
    if kind.shape:
        service, operation, *members = kind.shape
        judged = {name: value for name, value in known.items() if name not in ("tags", "region")}
        yield from shapes.faults(judged, service, shapes.input_shape(service, operation, *members), kind.renames)


def _own_faults(kind: Resource, known: Wanted, unclear: bool) -> Iterator[Fault]:
    try:
        yield from kind.faults(known)
    except (TypeError, AttributeError, ValueError, KeyError):
        # A value of the wrong kind was named above already, and one that is not known yet in a list is judged at `up`.
        if not unclear:
            raise


def _tag_faults(tags: Any) -> Iterator[Fault]:
    if not isinstance(tags, Mapping):
        return
    if len(tags) > _MOST_TAGS:
        yield Fault("tags", f"TooManyTags: {len(tags)} tags; allowed: up to {_MOST_TAGS}")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            yield Fault(
                f"tags.{key}", "InvalidTagKey: aws: prefixed tag key names are not allowed for external use; allowed: a key without that prefix"
            )
        elif not 1 <= len(key) <= _TAG_KEY:
            yield Fault(f"tags.{key}", f"InvalidTagKey: a key of {len(key)} characters; allowed: 1 to {_TAG_KEY}")
        if isinstance(value, str) and len(value) > _TAG_VALUE:
            yield Fault(f"tags.{key}", f"InvalidTagValue: a value of {len(value)} characters; allowed: up to {_TAG_VALUE}")
