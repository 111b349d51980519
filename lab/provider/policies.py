"""IAM policy documents, judged as IAM and the resource services judge them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.provider.fault import Fault

VERSIONS = ("2012-10-17", "2008-10-17")
EFFECTS = ("Allow", "Deny")
_FIELDS = frozenset({"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"})
_DOCUMENT_FIELDS = frozenset({"Version", "Id", "Statement"})
_PRINCIPALS = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_ACTION = re.compile(r"\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+")
_OPERATORS = frozenset(
    [
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "Bool",
        "BinaryEquals",
        "IpAddress",
        "NotIpAddress",
        "ArnEquals",
        "ArnLike",
        "ArnNotEquals",
        "ArnNotLike",
        "Null",
    ]
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"""


@dataclass(frozen=True)
class PolicyForm:
    """Which of Principal and Resource a kind of policy must have, and which it must not."""

    principal: bool
    resource: bool


IDENTITY_POLICY = PolicyForm(principal=False, resource=True)
"""What a role may do."""
TRUST_POLICY = PolicyForm(principal=True, resource=False)
"""Who may take a role."""
RESOURCE_POLICY = PolicyForm(principal=True, resource=True)
"""Who may use a queue, a bucket, an endpoint."""


def parsed(text: str) -> Any:
    """The document, or None where it is no JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def faults(path: str, text: str, form: PolicyForm, services: Sequence[str] = ()) -> Iterator[Fault]:
    """What is wrong with a policy. `services`: the only ones whose actions it may name, as a queue's policy may name those of sqs."""
    document = parsed(text)
    if not isinstance(document, Mapping):
        yield Fault.allowed(path, text, "MalformedPolicyDocument: Syntax errors in policy", "a JSON object")
        return
    if strange := sorted(set(document) - _DOCUMENT_FIELDS):
        yield Fault(path, f"MalformedPolicyDocument: Syntax errors in policy: unknown {', '.join(strange)}; allowed: Id, Statement, Version")
    if document.get("Version", VERSIONS[1]) not in VERSIONS:
        wording = "MalformedPolicyDocument: The policy must contain a valid version string"
        yield Fault.allowed(path, document["Version"], wording, " or ".join(VERSIONS))
    statements = document.get("Statement")
    given = [one for one in _listed(statements) if isinstance(one, Mapping)]
    if not statements or len(given) != len(_listed(statements)):
        yield Fault(path, "MalformedPolicyDocument: Syntax errors in policy: Statement is missing or empty; allowed: one or more statements")
        return
    for index, statement in enumerate(given):
        yield from (
            Fault(path, f"MalformedPolicyDocument: {wording} (Statement[{index}])") for wording in _statement_faults(statement, form, services)
        )
    sids = [statement["Sid"] for statement in given if statement.get("Sid")]
    if len(sids) != len(set(sids)):
        yield Fault(path, "MalformedPolicyDocument: Statement IDs (SID) in a single policy must be unique.")


def _statement_faults(statement: Mapping[str, Any], form: PolicyForm, services: Sequence[str]) -> Iterator[str]:
    if strange := sorted(set(statement) - _FIELDS):
        yield f"Syntax errors in policy: unknown {', '.join(strange)}; allowed: {', '.join(sorted(_FIELDS))}"
    if statement.get("Effect") not in EFFECTS:
        yield f"Syntax errors in policy: Effect is {statement.get('Effect')!r}; allowed: Allow, Deny"
    if not re.fullmatch(r"[A-Za-z0-9]*", str(statement.get("Sid", ""))) and not (form.principal and form.resource):
        yield f"Statement IDs (SID) must be alpha-numeric. Got {statement['Sid']!r}"
    yield from _action_faults(statement, services)
    yield from _principal_faults(statement, form)
    yield from _resource_faults(statement, form)
    for operator, keys in (statement.get("Condition") or {}).items():
        plain = operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:").removesuffix("IfExists")
        if plain not in _OPERATORS:
            yield f"Invalid Condition type : {operator}; allowed: {', '.join(sorted(_OPERATORS))}"
        elif not isinstance(keys, Mapping):
            yield f"Syntax errors in policy: {operator} needs an object of keys and values"


def _action_faults(statement: Mapping[str, Any], services: Sequence[str]) -> Iterator[str]:
    if ("Action" in statement) == ("NotAction" in statement):
        yield "Policy statement must contain actions. Allowed: one of Action and NotAction"
        return
    for action in _listed(statement.get("Action", statement.get("NotAction"))):
        if not _ACTION.fullmatch(str(action)):
            yield f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. Got {action!r}; allowed: SERVICE:ACTION"
        elif services and action != "*" and str(action).split(":")[0].lower() not in services:
            yield f"Policy statement action out of service scope! Got {action!r}; allowed: actions of {', '.join(services)}"


def _principal_faults(statement: Mapping[str, Any], form: PolicyForm) -> Iterator[str]:
    given = [name for name in ("Principal", "NotPrincipal") if name in statement]
    if given and not form.principal:
        yield f"Policy document should not specify a principal. Allowed: no {given[0]}, as the policy's own role is meant"
    elif not given and form.principal:
        yield "Missing required field Principal"
    for name in given if form.principal else ():
        principal = statement[name]
        if isinstance(principal, Mapping):
            for kind in sorted(set(principal) - _PRINCIPALS):
                yield f"Invalid principal in policy: {kind!r}; allowed: {', '.join(sorted(_PRINCIPALS))}"
            for service in _listed(principal.get("Service", [])):
                if not re.fullmatch(r"[a-z0-9.-]+\.amazon(aws)?\.com(\.cn)?", str(service)):
                    yield f'Invalid principal in policy: "SERVICE":"{service}"; allowed: SERVICE.amazonaws.com'
        elif principal != "*":
            yield f"Invalid principal in policy: {principal!r}; allowed: * or an object of AWS, Service, Federated"


def _resource_faults(statement: Mapping[str, Any], form: PolicyForm) -> Iterator[str]:
    given = [name for name in ("Resource", "NotResource") if name in statement]
    if given and not form.resource:
        yield f"Has prohibited field {given[0]}"
    elif not given and form.resource:
        yield "Policy statement must contain resources. Allowed: one of Resource and NotResource"
    for name in given if form.resource else ():
        for resource in _listed(statement[name]):
            if resource != "*" and not re.match(r"(arn:[^:]*:[^:]*:[^:]*:[^:]*:.+|\*)", str(resource)):
                yield f'Resource {resource} must be in ARN format or "*".'


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
