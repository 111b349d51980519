"""The real Pulumi engine, on this machine: find or build the command line, run a project's stacks, print their plans."""

from lab.engine.engine import Engine

__all__ = ["Engine"]
