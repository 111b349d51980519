"""Runs a Pulumi program without an engine and keeps everything it asked for."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_pulumi_func

from tests.components.type_tables import ACCOUNT, REGION, filled_outputs, unknown_properties

_STACK = "pulumi:pulumi:Stack$"

Answer = Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]]


def _parameter(name: str) -> str:
    return "1.35.1-20260810" if name.endswith("/release_version") else "ami-0123456789abcdef0"


ANSWERS: dict[str, Answer] = {
    "aws:index/getRegion:getRegion": {"id": REGION, "region": REGION, "name": REGION, "description": "", "endpoint": ""},
    "aws:index/getCallerIdentity:getCallerIdentity": {
        "id": ACCOUNT,
        "accountId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/test",
        "userId": "test",
    },
    "aws:index/getPartition:getPartition": {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"},
    "aws:index/getAvailabilityZones:getAvailabilityZones": {
        "id": REGION,
        "region": REGION,
        "names": [f"{REGION}{zone}" for zone in "abcd"],
        "zoneIds": ["use1-az1", "use1-az2", "use1-az3", "use1-az4"],
        "groupNames": [],
    },
    "aws:eks/getCluster:getCluster": lambda args: {
        "id": args["name"],
        "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{args['name']}",
        "name": args["name"],
        "endpoint": "https://0123456789.gr7.us-east-1.eks.amazonaws.com",
        "certificateAuthorities": [{"data": "Y2VydGlmaWNhdGU="}],
        "version": "1.35",
        "vpcConfig": {"clusterSecurityGroupId": "sg-0123456789abcdef0", "subnetIds": [], "vpcId": "vpc-0123456789abcdef0"},
    },
    "aws:ssm/getParameter:getParameter": lambda args: {
        "id": args["name"],
        "arn": f"arn:aws:ssm:{REGION}::parameter{args['name']}",
        "name": args["name"],
        "type": "String",
        "value": _parameter(args["name"]),
        "insecureValue": _parameter(args["name"]),
        "region": REGION,
        "version": 1,
    },
    "aws:ec2/getSubnet:getSubnet": lambda args: {
        "id": args.get("id", "subnet-0"),
        "vpcId": "vpc-0123456789abcdef0",
        "availabilityZone": f"{REGION}{'abc'[sum(map(ord, args.get('id', ''))) % 3]}",
        "cidrBlock": "10.0.0.0/20",
        "region": REGION,
        "tags": {},
    },
}
"""What the cloud answers to look-ups; a test may replace some with `answers=`."""


@dataclass(frozen=True)
class Request:
    """One resource as the program asked for it."""

    urn: str
    """As the engine writes it: without the stack's type in front."""
    type: str
    name: str
    parent: str
    provider: str
    inputs: dict[str, Any]
    """Plain values; secrets opened, files as their paths, archives as their contents, unknowns as `pulumi.output.Unknown`."""
    raw: Any
    """The whole RegisterResourceRequest: protect, ignoreChanges, aliases, dependencies."""

    @property
    def custom(self) -> bool:
        return self.raw.custom


@dataclass(frozen=True)
class Invoke:
    """One look-up as the program asked for it."""

    token: str
    args: dict[str, Any]
    provider: str


@dataclass
class Deployment:
    """What a program asked for."""

    requests: list[Request] = field(default_factory=list)
    invokes: list[Invoke] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Registered outputs of each component, by its name."""
    result: Any = None
    """What the program returned."""

    def all(self, token: str) -> list[Request]:
        """Every resource whose type is or ends with `token`, such as `Queue`."""
        return [request for request in self.requests if request.type == token or request.type.split(":")[-1] == token]

    def only(self, token: str) -> Request:
        """The one resource of that type."""
        found = self.all(token)
        assert len(found) == 1, f"{len(found)} resources of type {token}: {[request.name for request in found]}"
        return found[0]

    def named(self, name: str) -> Request:
        """The one resource of that name."""
        found = [request for request in self.requests if request.name == name]
        assert len(found) == 1, f"{len(found)} resources named {name!r}; there are {[request.name for request in self.requests]}"
        return found[0]


class _Cloud(mocks.Mocks):
    """Creates what is asked for, as far as a preview or an update knows it."""

    def __init__(self, preview: bool, answers: Mapping[str, Answer]) -> None:
        self.preview, self.answers = preview, answers

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom:
            return "", {}
        strangers = unknown_properties(args.typ, args.inputs)
        if strangers:
            raise AssertionError(f"{args.typ} {args.name!r}: " + "; ".join(strangers))
        if self.preview:
            return "", dict(args.inputs)
        return f"{args.name}-id", filled_outputs(args.typ, args.name, args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        answer = self.answers.get(args.token)
        if answer is None:
            raise AssertionError(f"no answer recorded for the look-up {args.token} {args.args}")
        return dict(answer(args.args) if callable(answer) else answer), []


class _Recorder(mocks.MockMonitor):
    def __init__(self, cloud: _Cloud, deployment: Deployment) -> None:
        super().__init__(cloud)
        self.deployment, self._urns = deployment, set[str]()

    def RegisterResource(self, request: Any) -> Any:
        with _own_loop():
            response = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return response
        if response.urn in self._urns:
            raise AssertionError(f"duplicate URN {response.urn}")
        self._urns.add(response.urn)
        inputs = _opened(rpc.deserialize_properties(request.object))
        urn, parent = response.urn.replace(_STACK, ""), request.parent.replace(_STACK, "")
        self.deployment.requests.append(Request(urn, request.type, request.name, parent, request.provider, inputs, request))
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.deployment.outputs[request.urn.split("::")[-1]] = _opened(rpc.deserialize_properties(request.outputs))
        return super().RegisterResourceOutputs(request)

    def Invoke(self, request: Any) -> Any:
        self.deployment.invokes.append(Invoke(request.tok, rpc.deserialize_properties(request.args), request.provider))
        with _own_loop():
            return super().Invoke(request)


@contextmanager
def _own_loop() -> Iterator[None]:
    """An event loop for this thread that is closed again: the mock monitor would leave one open in each of its threads."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _opened(value: Any) -> Any:
    if rpc.is_rpc_secret(value):
        return _opened(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _opened(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_opened(entry) for entry in value]
    if isinstance(value, pulumi.AssetArchive):
        return _opened(value.assets)
    return value.path if isinstance(value, pulumi.FileAsset | pulumi.FileArchive) else value


def deploy(
    program: Callable[[], Any], *, preview: bool = False, project: str = "work", stack: str = "test", answers: Mapping[str, Answer] | None = None
) -> Deployment:
    """Run `program` until nothing is left to wait for, and hand over what it asked for. Errors in it are raised here."""
    deployment = Deployment()
    monitor = _Recorder(_Cloud(preview, {**ANSWERS, **(answers or {})}), deployment)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def run() -> None:
        deployment.result = program()

    async def main() -> None:
        settings.reset_options(project=project, stack=stack)
        pulumi.runtime.set_mocks(monitor.mocks, project, stack, preview, monitor=monitor)
        await run_pulumi_func(run)

    try:
        loop.run_until_complete(main())
    finally:
        loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))
        loop.close()
        asyncio.set_event_loop(None)
    return deployment


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """End what a program that failed left waiting; the next test would be told of it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
