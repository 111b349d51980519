"""Compare-and-swap that always ends with an answer, whatever the network does to it."""

import time
import uuid
from collections.abc import Callable

from spotbatch.protocols import Ambiguous, Conflict, Record, Store, StoreError

_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between tries to reach a store that does not answer: about as long as the clients' own retries together."""


class Overtaken(Exception):
    """Somebody else's write came first (or ours was made impossible): read again and decide anew."""


def write(store: Store, record: Record, expected: int, pause: Callable[[float], None] = time.sleep) -> Record:
    """Write `record` over the version `expected` (0: create); what was written, with its version.

    One nonce goes with the write through all its attempts, the client library's own retries included. A refusal may be our own write seen
    twice, and a write without an answer may land later: both are settled by reading back; where the answer is "not yet", a write that
    changes nothing moves the version on, so that the late one must fail. Raises Overtaken, or StoreError while the store cannot be
    reached: then the write may still land, and the caller must not go on as if it had not.
    """
    wanted = {**record, "version": expected + 1, "nonce": uuid.uuid4().hex}
    try:
        store.swap(wanted, expected)
        return wanted
    except (Conflict, Ambiguous):
        return _settle(store, wanted, expected, pause)


def _settle(store: Store, wanted: Record, expected: int, pause: Callable[[float], None]) -> Record:
    trouble: Exception = StoreError("no try was made")
    for seconds in _PAUSES:
        try:
            current = store.read(wanted["key"])
            if current is not None and current["nonce"] == wanted["nonce"]:
                return wanted
            if (current["version"] if current else 0) != expected:
                raise Overtaken(wanted["key"])
            if current is None:
                # Creating twice with one nonce is creating once.
                store.swap(wanted, expected)
                return wanted
            store.swap({**current, "version": expected + 1, "nonce": uuid.uuid4().hex}, expected)
            raise Overtaken(wanted["key"])
        except Conflict:
            continue
        except (Ambiguous, StoreError) as fault:
            trouble = fault
            pause(seconds)
    raise StoreError(f"{wanted['key']}: it is not known whether the write happened: {trouble}")
