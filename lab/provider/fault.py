"""What is wrong with one property of a resource."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A property, by its path in Pulumi's names, and what the cloud says about it. An empty path means the resource as a whole."""

    path: str
    reason: str

    @classmethod
    def allowed(cls, path: str, value: object, wording: str, allowed: object = "") -> "Fault":
        """The cloud's wording with the value, and what it would take instead."""
        return cls(path, f"{wording} (got {value!r}{f'; allowed: {allowed}' if allowed != '' else ''})")
