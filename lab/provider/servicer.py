"""The stand-in's side of the conversation with the engine."""

import contextlib
import json
import logging
import os
import random
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from lab.provider import judge
from lab.provider.account import DEFAULT_REGION, Account
from lab.provider.catalogue import LOOK_UPS, RESOURCES
from lab.provider.half_made import refuse_with_state
from lab.provider.resource import Gone, Resource
from lab.provider.wire import UNKNOWN, Properties, covers, is_known, read, same, write

log = logging.getLogger(__name__)

_KIND = provider_pb2.PropertyDiff
_NAMED_BY_US = "__defaults"
_BEYOND = frozenset({"assumeRoles", "assumeRoleWithWebIdentity", "defaultTags", "ignoreTags"})
"""Settings of the provider that change what resources become, and that the stand-in does not know."""
_SHARED_OUTPUTS = ("tagsAll", "region")


class StandInProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves the resource types in `RESOURCES` and the look-ups in `LOOK_UPS`, with real calls to the cloud of `Account(connection=...)`."""

    def __init__(self, connection: Mapping[str, str] | None = None) -> None:
        self._connection = connection
        self._account = Account(connection=connection)

    def Handshake(self, request: Any, context: Any) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    def GetSchema(self, request: Any, context: Any) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": version("pulumi-aws"), "resources": {}}))

    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        reason = "the lab's AWS cannot follow this setting, so what it shows would differ from AWS; allowed: left out in lab stacks"
        failures = [provider_pb2.CheckFailure(property=name, reason=reason) for name in sorted(_BEYOND & set(read(request.news)))]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        changed = read(request.old_inputs).get("region") != read(request.news).get("region")
        replaces = ["region"] if changed and request.HasField("old_inputs") else []
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if replaces else provider_pb2.DiffResponse.DIFF_NONE, replaces=replaces
        )

    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        region = request.variables.get("aws:config:region") or read(request.args).get("region") or _region_of_environment()
        self._account = Account(region, self._connection)
        # No acceptSecrets: the engine then takes secrets off what it sends, and marks what comes back for them again.
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        news, olds = read(request.news), read(request.olds)
        kind = self._kind(request, news)
        if kind is None:
            failure = provider_pb2.CheckFailure(reason=f"the lab's AWS has no {request.type}; it has {', '.join(sorted(RESOURCES))}")
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        wanted = _named(kind, news, olds, request)
        failures = [provider_pb2.CheckFailure(property=fault.path, reason=fault.reason) for fault in judge.faults(kind, wanted)]
        return provider_pb2.CheckResponse(inputs=write(wanted), failures=failures)

    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        kind = RESOURCES[request.type](self._account)
        old, new = read(request.old_inputs), read(request.news)
        names = sorted(name for name in {*old, *new} if not name.startswith("__") and not same(old.get(name), new.get(name)))
        names = [name for name in names if name not in request.ignoreChanges]
        replaces = [name for name in names if name == "region" or kind.replaces(name)]
        details = {name: _KIND(kind=_change(name, old, new, name in replaces), inputDiff=True) for name in names}
        # Two resources cannot have one name at a time: a name that the owner chose is free only after the old one is gone.
        name = kind.auto_name
        fixed_name = bool(name) and name not in new.get(_NAMED_BY_US, []) and same(old.get(name), new.get(name)) and is_known(new.get(name))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if names else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=replaces,
            diffs=names,
            detailedDiff=details,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaces) and (kind.deleted_first or fixed_name),
        )

    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        wanted = read(request.properties)
        kind = RESOURCES[request.type](self._account, _place(wanted))
        if request.preview:
            unknown = {name: UNKNOWN for name in (*kind.outputs, *_SHARED_OUTPUTS) if name not in wanted}
            return provider_pb2.CreateResponse(id="", properties=write({**kind.planned(wanted), **unknown}))
        with _in_words(context, f"creating {request.urn}"):
            identity = kind.create(wanted)
        try:
            kind.finish(identity, wanted)
            live = self._live(kind, identity, wanted)
        except Exception as error:
            refuse_with_state(context, identity, wanted, f"{request.urn} was made as {identity}, but is not complete: {error}")
        return provider_pb2.CreateResponse(id=identity, properties=write({**wanted, **live}))

    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        old, new, known = read(request.old_inputs), read(request.news), read(request.olds)
        kind = RESOURCES[request.type](self._account, _place(new))
        kept = {name: value for name, value in known.items() if name not in old}
        if request.preview:
            unknown = dict.fromkeys(kind.changing_outputs, UNKNOWN)
            return provider_pb2.UpdateResponse(properties=write({**kept, **new, **unknown}))
        with _in_words(context, f"updating {request.urn}"):
            kind.update(request.id, old, new)
            return provider_pb2.UpdateResponse(properties=write({**kept, **new, **self._live(kind, request.id, new)}))

    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        known, inputs = read(request.properties), read(request.inputs)
        kind = RESOURCES[request.type](self._account, _place(known))
        with _in_words(context, f"reading {request.urn}"):
            try:
                live = kind.read(request.id, {**known, **inputs})
            except (ClientError, Gone) as error:
                if not is_gone(error):
                    raise
                live = None
            if live is None:
                return provider_pb2.ReadResponse()
            shown = _drifted(inputs, live) if inputs else _imported(kind, live)
            return provider_pb2.ReadResponse(id=request.id, properties=write({**known, **self._shown(kind, live)}), inputs=write(shown))

    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        known = {**read(request.old_inputs), **read(request.properties)}
        with _in_words(context, f"deleting {request.urn}"):
            try:
                RESOURCES[request.type](self._account, _place(known)).delete(request.id, known)
            except (ClientError, Gone) as error:
                if not is_gone(error):
                    raise
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        look_up = LOOK_UPS.get(request.tok)
        if look_up is None:
            failure = provider_pb2.CheckFailure(reason=f"the lab's AWS cannot look up {request.tok}; it can {', '.join(sorted(LOOK_UPS))}")
            return provider_pb2.InvokeResponse(failures=[failure])
        with _in_words(context, f"invoking {request.tok}"):
            found: dict[str, Any] = {"return": write(look_up(self._account, read(request.args)))}
            return provider_pb2.InvokeResponse(**found)

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def _kind(self, request: Any, wanted: Properties) -> Resource | None:
        found = RESOURCES.get(request.type)
        return found(self._account, _place(wanted)) if found else None

    def _live(self, kind: Resource, identity: str, wanted: Properties) -> Properties:
        return self._shown(kind, kind.read(identity, wanted) or {})

    def _shown(self, kind: Resource, live: Properties) -> Properties:
        tags = {"tagsAll": live["tags"]} if "tags" in live else {}
        return {**live, **tags, "region": kind.region}


def is_gone(error: ClientError | Gone) -> bool:
    """Whether AWS says that there is no such thing. Auto Scaling has no code of its own for that, only words."""
    if isinstance(error, Gone):
        return True
    code, words = str(error.response["Error"].get("Code", "")), str(error.response["Error"].get("Message", ""))
    if code == "ValidationError" and "not found" in words:
        return True
    return code in ("404", "ResourceNotFoundException") or any(part in code for part in ("NotFound", "NoSuch", "NonExistent", "DoesNotExist"))


def _named(kind: Resource, news: Properties, olds: Properties, request: Any) -> Properties:
    """Give a resource without a name one: the old one, or its Pulumi name and seven digits that the engine's seed decides."""
    name = kind.auto_name
    if not name or news.get(name) or (prefix := news.get("namePrefix")) == UNKNOWN:
        return news
    if olds.get(name) and name in olds.get(_NAMED_BY_US, [name]):
        chosen = olds[name]
    else:
        random_part = f"{random.Random(bytes(request.randomSeed)).getrandbits(28):07x}"
        chosen = (prefix or f"{request.urn.split('::')[-1]}{kind.name_ends}") + random_part
        if request.HasField("autonaming") and request.autonaming.proposed_name and not prefix:
            chosen = request.autonaming.proposed_name
        chosen = kind.shaped_name(chosen, news)
    return {**news, name: chosen, _NAMED_BY_US: [name]}


def _place(properties: Properties) -> str:
    region = properties.get("region")
    return region if isinstance(region, str) and region != UNKNOWN else ""


def _region_of_environment() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def _change(name: str, old: Properties, new: Properties, replaces: bool) -> Any:
    if name in old and name in new:
        return _KIND.UPDATE_REPLACE if replaces else _KIND.UPDATE
    if name in new:
        return _KIND.ADD_REPLACE if replaces else _KIND.ADD
    return _KIND.DELETE_REPLACE if replaces else _KIND.DELETE


def _drifted(inputs: Properties, live: Properties) -> Properties:
    """The program's inputs, with the cloud's value where it is another one. Tags count even where none were declared."""
    shown = {name: live[name] if name in live and not covers(live[name], value, name == "tags") else value for name, value in inputs.items()}
    if live.get("tags") and "tags" not in inputs:
        shown["tags"] = live["tags"]
    return shown


def _imported(kind: Resource, live: Properties) -> Properties:
    return {name: value for name, value in live.items() if name not in kind.outputs and value not in (None, "", {}, [])}


@contextlib.contextmanager
def _in_words(context: Any, doing: str) -> Iterator[None]:
    """Turn an error into what the engine prints: what was being done, and the cloud's own words."""
    try:
        yield
    except (ClientError, BotoCoreError, OSError, ValueError, LookupError) as error:
        log.error("%s: %s", doing, error)
        context.abort(grpc.StatusCode.UNKNOWN, f"{doing}: {error}")
