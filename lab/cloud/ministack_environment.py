"""MiniStack in a virtual environment of its own."""

from pathlib import Path

from lab.cloud.pinned_environment import PinnedEnvironment

_MINISTACK = PinnedEnvironment("ministack", Path(__file__).with_name("requirements.txt"))


def version() -> str:
    """The pinned release."""
    return _MINISTACK.version


def ministack_python() -> Path:
    """The interpreter that has MiniStack. Raises RuntimeError with pip's own words if it cannot be installed."""
    return _MINISTACK.python()
