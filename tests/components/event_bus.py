"""Event patterns, judged by the event bus of the local cloud rather than by a matcher of ours."""

import json
from collections.abc import Callable
from typing import Any

Matches = Callable[[str, dict[str, Any]], bool]
"""Whether a pattern takes an event: the fixture `matches`."""


def taking(matches: Matches, patterns: dict[str, str], event: dict[str, Any]) -> list[str]:
    """The rules that take an event."""
    return [rule for rule, pattern in patterns.items() if matches(pattern, event)]


def misspellings(pattern: str) -> list[str]:
    """The pattern with each of its fields misspelt, one at a time."""
    parts = json.loads(pattern)
    return [json.dumps({**parts, field: _misspelt(part)}) for field, part in parts.items()]


def _misspelt(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _misspelt(inner) for key, inner in part.items()}
    return [f"{word}x" for word in part]
