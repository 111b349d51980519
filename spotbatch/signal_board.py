"""Memory that an agent shares with its worker processes: what the watcher knows, readable per item without a lock or a call."""

import ctypes
import math
import mmap
import os

CALM, REBALANCE, DRAIN = 0.0, 1.0, 2.0


class _Board(ctypes.Structure):
    _fields_ = (("level", ctypes.c_double), ("deadline", ctypes.c_double), ("alive_until", ctypes.c_double), ("notice_seconds", ctypes.c_double))


class _Cell(ctypes.Structure):
    _fields_ = (("item_since", ctypes.c_double), ("item_limit", ctypes.c_double), ("busy", ctypes.c_double))


class SignalBoard:
    """One board for all processes of a machine, and one cell for each. Times are CLOCK_MONOTONIC, the same for all of them."""

    def __init__(self, descriptor: int, processes: int) -> None:
        self.descriptor = descriptor
        size = ctypes.sizeof(_Board) + processes * ctypes.sizeof(_Cell)
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
        memory = mmap.mmap(descriptor, size)
        self.board = _Board.from_buffer(memory)
        """`level` (CALM, REBALANCE, DRAIN), `deadline` (0: none), `alive_until` (the agent's last beat and a lease) and `notice_seconds` (0: no
        notice is to be expected; infinite: the machine is not a Spot one)."""
        self.cells = [_Cell.from_buffer(memory, ctypes.sizeof(_Board) + index * ctypes.sizeof(_Cell)) for index in range(processes)]
        """`item_since` (when the current item began; 0: between items), `item_limit` (seconds; 0: none) and `busy` (1 while a claim is held)."""

    @staticmethod
    def make(processes: int) -> "SignalBoard":
        made = SignalBoard(os.memfd_create("spotbatch"), processes)
        made.board.alive_until = math.inf
        return made
