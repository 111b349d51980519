"""Where the lab keeps things: the checkout, what it builds once per machine, and what one lab leaves behind."""

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
"""The clone that this lab belongs to."""


def cache_folder() -> Path:
    """Tools that are built or fetched once per machine and shared by all clones: `$XDG_CACHE_HOME/spotbatch`, else `~/.cache/spotbatch`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spotbatch"


def state_folder(checkout: Path = CHECKOUT) -> Path:
    """State of one lab: stacks, the local cloud's data and logs. Git ignores it; deleting it forgets every lab stack of this clone."""
    return checkout / ".lab"


def python() -> Path:
    """The interpreter of the checkout's own virtual environment, else the one that runs now."""
    own = CHECKOUT / ".venv" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)
