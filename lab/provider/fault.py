"""What is wrong with one property of a resource."""

from dataclasses import dataclass

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class Fault:
    """A property, by its path in Pulumi's names, and what the cloud says about it. An empty path means the resource as a whole."""

    path: str
    reason: str

    @classmethod
    def allowed(cls, path: str, value: object, wording: str, allowed: object = "") -> "Fault":
        """The cloud's wording with the value, and what it would take instead. A long value is cut short."""
        shown = repr(value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = f"{shown[:_SHOWN_CHARACTERS]}..."
        return cls(path, f"{wording} (got {shown}{f'; allowed: {allowed}' if allowed != '' else ''})")
