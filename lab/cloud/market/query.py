"""AWS's query protocols from the server's side, driven by botocore's own service models: nothing here knows an operation."""

import html
from typing import Any

import botocore.session

Parameters = dict[str, Any]


class Refusal(Exception):
    """A request that AWS would refuse: error code and message in AWS's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class QueryService:
    """Reads requests of one service into dicts, and writes results as the XML that its clients expect."""

    def __init__(self, service: str) -> None:
        # botocore has no types that a checker could follow.
        self._model: Any = botocore.session.get_session().get_service_model(service)
        self._ec2 = self._model.metadata["protocol"] == "ec2"

    def read(self, action: str, parameters: Parameters) -> dict[str, Any]:
        """The request's members by name. Raises Refusal for a missing required member, a wrong number or a value outside an enumeration."""
        shape = self._model.operation_model(action).input_shape
        return (self._read(_flat(parameters), shape, "") or {}) if shape else {}

    def read_shape(self, shape: str, parameters: Parameters, prefix: str) -> dict[str, Any]:
        """A structure that stands under `prefix` in a request, by the shape's name; empty if it is not there."""
        return self._read(_flat(parameters), self._model.shape_for(shape), prefix) or {}

    def write_shape(self, shape: str, value: dict[str, Any]) -> str:
        """The inside of an element of that shape."""
        return self._write(value, self._model.shape_for(shape))

    def write(self, action: str, result: dict[str, Any]) -> str:
        """The inside of `<ActionResponse>`."""
        output = self._model.operation_model(action).output_shape
        content = self._write(result, output) if output else ""
        wrapper = output.serialization.get("resultWrapper") if output else None
        return f"<{wrapper}>{content}</{wrapper}>" if wrapper else content

    def enumeration(self, shape: str) -> frozenset[str]:
        """The values that a string shape may have."""
        return frozenset(self._model.shape_for(shape).enum)

    def _read(self, flat: Parameters, shape: Any, prefix: str) -> Any:
        if shape.type_name == "structure":
            found = {}
            for name, member in shape.members.items():
                value = self._read(flat, member, f"{prefix}.{self._wire(name, member)}" if prefix else self._wire(name, member))
                if value is not None:
                    found[name] = value
            if found or not prefix:
                for name in shape.required_members:
                    if name not in found:
                        raise Refusal("MissingParameter", f"The request must contain the parameter {name[0].lower() + name[1:]}")
            return found or None
        if shape.type_name == "list":
            # botocore sends an empty list as `Name=`, which is no element.
            stem = prefix if self._ec2 or shape.serialization.get("flattened") else f"{prefix}.{shape.member.serialization.get('name', 'member')}"
            elements = []
            while (value := self._read(flat, shape.member, f"{stem}.{len(elements) + 1}")) is not None:
                elements.append(value)
            return elements or None
        if shape.type_name == "map" or prefix not in flat:
            return None
        return _scalar(shape, str(flat[prefix]), prefix)

    def _wire(self, name: str, member: Any) -> str:
        given = member.serialization.get("queryName") or member.serialization.get("name", name)
        return given[0].upper() + given[1:] if self._ec2 else given

    def _write(self, value: Any, shape: Any) -> str:
        if shape.type_name == "structure":
            parts = []
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    tag = member.serialization.get("name", name)
                    parts.append(f"<{tag}>{self._write(value[name], member)}</{tag}>")
            return "".join(parts)
        if shape.type_name == "list":
            tag = shape.member.serialization.get("name", "item" if self._ec2 else "member")
            return "".join(f"<{tag}>{self._write(element, shape.member)}</{tag}>" for element in value)
        if shape.type_name == "boolean":
            return "true" if value else "false"
        return html.escape(str(value))


def _flat(parameters: Parameters) -> Parameters:
    return {name: value[0] if isinstance(value, list) else value for name, value in parameters.items()}


def _scalar(shape: Any, text: str, where: str) -> Any:
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "double" | "float":
                return float(text)
            case "boolean":
                return text.lower() == "true"
    except ValueError:
        raise Refusal("InvalidParameterValue", f"Value ({text}) for parameter {where} is invalid. Expected a number") from None
    # Auto Scaling takes any text for one, and so must EC2's reader: emulator.check_type tells in EC2's own words.
    allowed = getattr(shape, "enum", None)
    if allowed and shape.name != "InstanceType" and text not in allowed:
        raise Refusal("InvalidParameterValue", f"Value ({text}) for parameter {where} is invalid. Valid values are: {', '.join(allowed)}")
    return text
