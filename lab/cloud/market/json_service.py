"""AWS's JSON protocols from the server's side, for services that MiniStack does not have at all."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session

from lab.cloud.market import emulator
from lab.cloud.market.query import Refusal

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class JsonService:
    """One service behind its own credential scope: finds the operation by the service's botocore model, checks it, and lets `actions` answer.

    IAM is not enforced here: whoever can reach the local cloud may call.
    """

    def __init__(self, service: str, actions: dict[str, Answer]) -> None:
        model: Any = botocore.session.get_session().get_service_model(service)
        self._scope = re.compile(rf"Credential=[^/]*/\d+/([^/]+)/{model.signing_name}/aws4_request")
        self._actions = actions
        self._model = model
        self._operations = [(name, model.operation_model(name)) for name in model.operation_names]

    def claims(self, headers: dict[str, str]) -> str | None:
        """The region of a request that is signed for this service, else None; header names in lower case."""
        found = self._scope.search(headers.get("authorization", ""))
        return found[1] if found else None

    def reply(self, region: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Status and JSON reply. A refusal carries `__type` and `message`, as botocore expects errors."""
        try:
            name, members = self._operation(method, path, query, headers, body)
            if name not in self._actions:
                raise Refusal("NotImplementedException", f"{name} is more than the lab can do")
            self._check(name, members)
            with emulator.inside((emulator.scope()[0], region)):
                return 200, self._actions[name](members)
        except Refusal as refusal:
            return 400, {"__type": refusal.code, "message": refusal.message}

    def _operation(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> tuple[str, dict[str, Any]]:
        members = json.loads(body) if body else {}
        if target := headers.get("x-amz-target"):
            return target.rpartition(".")[2], members
        for name, operation in self._operations:
            pattern = re.sub(
                r"\\{(\w+)\\}",
                r"(?P<\1>.+)" if "/tags/" in operation.http["requestUri"] else r"(?P<\1>[^/]+)",
                re.escape(operation.http["requestUri"]),
            )
            found = re.fullmatch(pattern, path)
            if found and operation.http["method"] == method:
                given = {key: unquote(value) for key, value in found.groupdict().items()} | {key: value[0] for key, value in parse_qs(query).items()}
                for member, shape in operation.input_shape.members.items():
                    if shape.serialization.get("name") in given and "location" in shape.serialization:
                        members[member] = given[shape.serialization["name"]]
                    if shape.serialization.get("location") == "querystring" and shape.type_name == "list":
                        members[member] = parse_qs(query).get(shape.serialization["name"], [])
                return name, members
        raise Refusal("UnknownOperationException", f"{method} {path}")

    def _check(self, name: str, members: dict[str, Any]) -> None:
        for required in self._model.operation_model(name).input_shape.required_members:
            if required not in members:
                raise Refusal(
                    "ValidationException",
                    f"1 validation error detected: Value null at '{required}' failed to satisfy constraint: Member must not be null",
                )
