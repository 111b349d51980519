"""How a provider tells the engine of something that it made but could not complete."""

from collections.abc import Mapping
from typing import Any, NoReturn

import grpc
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2

from lab.provider.wire import write


def refuse_with_state(context: Any, identity: str, wanted: Mapping[str, Any], reason: str) -> NoReturn:
    """Say that a resource exists though its creation failed, so that the engine keeps it in its state instead of losing it."""
    partial = provider_pb2.ErrorResourceInitFailed(id=identity, properties=write(wanted), inputs=write(wanted), reasons=[reason])
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason)
    status.details.add().Pack(partial)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, reason)
    raise AssertionError("abort returns by raising")
