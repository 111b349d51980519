"""Plays the engine: asks the stand-in provider directly what `pulumi up` would ask over gRPC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.runtime.proto import provider_pb2

from lab.provider.servicer import StandInProvider
from lab.provider.wire import Properties, read, write


class Refused(Exception):
    """What the provider would have made the engine print."""


class _Call:
    """The part of a gRPC call that the provider uses."""

    def __init__(self) -> None:
        self.trailers: tuple[tuple[str, bytes], ...] = ()

    def set_trailing_metadata(self, trailers: tuple[tuple[str, bytes], ...]) -> None:
        self.trailers = trailers

    def abort(self, code: Any, details: str) -> None:
        raise Refused(details, self.trailers)


@dataclass(frozen=True)
class Made:
    """A resource in the engine's state."""

    type: str
    urn: str
    id: str
    inputs: Properties
    outputs: Properties


class EngineSide:
    """One provider and what was made through it."""

    def __init__(self, connection: Mapping[str, str] | None = None) -> None:
        self._provider = StandInProvider(connection or {"endpoint_url": "http://127.0.0.1:9", "aws_access_key_id": "x", "aws_secret_access_key": "x"})
        self._seed = 0

    def check(self, kind: str, wanted: Properties, olds: Properties | None = None, name: str = "thing") -> tuple[Properties, dict[str, str]]:
        """The inputs as the provider completes them, and its refusals by property."""
        self._seed += 1
        news, before = write(wanted), write(olds or {})
        request = provider_pb2.CheckRequest(urn=_urn(kind, name), type=f"aws:{kind}", news=news, olds=before, randomSeed=self._seed.to_bytes(4))
        answer = self._provider.Check(request, _Call())
        return read(answer.inputs), {failure.property: failure.reason for failure in answer.failures}

    def check_settings(self, settings: Properties) -> dict[str, str]:
        """Refusals of the provider's own settings."""
        answer = self._provider.CheckConfig(provider_pb2.CheckRequest(news=write(settings)), _Call())
        return {failure.property: failure.reason for failure in answer.failures}

    def preview(self, kind: str, wanted: Properties) -> Properties:
        """Outputs in the preview of a creation."""
        request = provider_pb2.CreateRequest(urn=_urn(kind, "thing"), type=f"aws:{kind}", properties=write(wanted), preview=True)
        return read(self._provider.Create(request, _Call()).properties)

    def make(self, kind: str, wanted: Properties, name: str = "thing") -> Made:
        """Check and create. Raises Refused."""
        inputs, failures = self.check(kind, wanted, name=name)
        if failures:
            raise Refused(failures)
        return self.create(kind, inputs, name)

    def create(self, kind: str, inputs: Properties, name: str = "thing") -> Made:
        """Create what was checked. Raises Refused."""
        urn = _urn(kind, name)
        answer = self._provider.Create(provider_pb2.CreateRequest(urn=urn, type=f"aws:{kind}", properties=write(inputs)), _Call())
        return Made(kind, urn, answer.id, inputs, read(answer.properties))

    def diff(self, made: Made, wanted: Properties) -> provider_pb2.DiffResponse:
        news, _ = self.check(made.type, wanted, made.inputs)
        state: dict[str, Any] = {"olds": write(made.outputs), "old_inputs": write(made.inputs), "news": write(news)}
        return self._provider.Diff(provider_pb2.DiffRequest(id=made.id, urn=made.urn, type=f"aws:{made.type}", **state), _Call())

    def change(self, made: Made, wanted: Properties, preview: bool = False) -> Made:
        """Update in place, or show its preview."""
        news, failures = self.check(made.type, wanted, made.inputs)
        if failures:
            raise Refused(failures)
        state: dict[str, Any] = {"olds": write(made.outputs), "old_inputs": write(made.inputs), "news": write(news)}
        request = provider_pb2.UpdateRequest(id=made.id, urn=made.urn, type=f"aws:{made.type}", preview=preview, **state)
        return Made(made.type, made.urn, made.id, news, read(self._provider.Update(request, _Call()).properties))

    def refresh(self, made: Made) -> Made | None:
        """The resource as the cloud has it, None if it is gone."""
        state: dict[str, Any] = {"properties": write(made.outputs), "inputs": write(made.inputs)}
        answer = self._provider.Read(provider_pb2.ReadRequest(id=made.id, urn=made.urn, type=f"aws:{made.type}", **state), _Call())
        return Made(made.type, made.urn, answer.id, read(answer.inputs), read(answer.properties)) if answer.id else None

    def remove(self, made: Made) -> None:
        state: dict[str, Any] = {"properties": write(made.outputs), "old_inputs": write(made.inputs)}
        self._provider.Delete(provider_pb2.DeleteRequest(id=made.id, urn=made.urn, type=f"aws:{made.type}", **state), _Call())

    def look_up(self, token: str, asked: Properties) -> Properties:
        answer = self._provider.Invoke(provider_pb2.InvokeRequest(tok=f"aws:{token}", args=write(asked)), _Call())
        if answer.failures:
            raise Refused(answer.failures[0].reason)
        return read(getattr(answer, "return"))


def _urn(kind: str, name: str) -> str:
    return f"urn:pulumi:test::test::aws:{kind}::{name}"
