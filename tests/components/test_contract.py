"""What holds for every exported component, present and future."""

import ast
import inspect
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, get_args, is_typeddict

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi_spotbatch import aws as on_aws
from pulumi_spotbatch import eks

from tests.components.recorder import Deployment, deploy
from tests.components.samples import SAMPLES, component
from tests.components.type_tables import resource_class


def _is_resource(exported: Any) -> bool:
    return isinstance(exported, type) and issubclass(exported, pulumi.Resource)


NAMES = sorted(name for cloud in (on_aws, eks) for name in cloud.__all__ if _is_resource(getattr(cloud, name)))

UNTAGGED = {"aws:s3/bucketObjectv2:BucketObjectv2"}
"""Objects take ten tags at most, fewer than their owner may have set."""

ALL_OPTIONAL = {"Network", "SqsTaskQueue"}
"""Components that need nothing."""

each_component = pytest.mark.parametrize("name", NAMES)


def declared(name: str, preview: bool = False) -> Deployment:
    return deploy(lambda: component(name)("first", SAMPLES[name]), preview=preview)


def documented(cls: type) -> set[str]:
    """Names of the annotated fields of a class that have a docstring under them."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    pairs = zip(body.body, body.body[1:], strict=False)
    return {
        field.target.id
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def typed_dicts(hint: Any) -> Iterator[type]:
    """Every TypedDict that is reached from an annotation."""
    if is_typeddict(hint):
        yield hint
        for inner in hint.__annotations__.values():
            yield from typed_dicts(inner)
    for inner in get_args(hint):
        yield from typed_dicts(inner)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def takes_tags(token: str) -> bool:
    cls = resource_class(token)
    return "tags" in inspect.signature(getattr(cls, "_internal_init", lambda: None)).parameters


def test_every_exported_component_has_sample_arguments():
    assert set(SAMPLES) == set(NAMES)


@each_component
def test_the_type_token_is_the_class_name(name: str):
    assert [request.type for request in declared(name).requests if request.name == "first"] == [f"spotbatch:index:{name}"]


@each_component
def test_the_constructor_has_the_one_shape(name: str):
    parameters = inspect.signature(component(name).__init__).parameters
    assert list(parameters) == ["self", "name", "args", "opts"]
    assert parameters["opts"].default is None


@each_component
def test_every_argument_is_documented_at_every_depth(name: str):
    args = component(name).__init__.__annotations__["args"]
    found = list(typed_dicts(args))
    assert found
    for cls in found:
        assert cls.__doc__
        assert set(cls.__annotations__) - documented(cls) == set()


@each_component
def test_at_most_nine_arguments_stand_at_the_top(name: str):
    args = next(typed_dicts(component(name).__init__.__annotations__["args"]))
    assert len(args.__annotations__) <= 9


@each_component
def test_the_docstring_says_what_is_created_and_what_is_left_to_the_user(name: str):
    text = component(name).__doc__
    assert "\n    Creates " in text
    assert "\n    Leaves to you: " in text


@each_component
def test_every_output_is_documented_and_registered(name: str):
    outputs = {key for key in component(name).__annotations__ if not key.startswith("_")}
    assert outputs - documented(component(name)) == set()
    assert set(declared(name).outputs["first"]) == {camel(key) for key in outputs}


@each_component
def test_no_output_is_empty_once_everything_is_known(name: str):
    assert [key for key, value in declared(name).outputs["first"].items() if value is None] == []


@each_component
def test_children_are_parented_and_named_after_the_component(name: str, preview: bool):
    deployment = declared(name, preview)
    root = deployment.named("first")
    parents = {root.urn}
    for request in deployment.requests:
        if request is not root:
            assert request.name.startswith("first-")
            assert request.parent in parents
            parents.add(request.urn)


@each_component
def test_everything_that_takes_tags_says_which_stack_it_belongs_to_and_carries_the_owners(name: str, preview: bool):
    for request in declared(name, preview).requests:
        if not request.custom or request.type in UNTAGGED or not takes_tags(request.type):
            continue
        tags = request.inputs.get("tags") or {}
        if isinstance(tags, list):
            tags = {tag["key"]: tag["value"] for tag in tags}
        assert tags.get("spotbatch:stack") == "work/test", request.urn
        assert tags.get("team") == "batch", request.urn


@each_component
def test_a_provider_given_to_the_component_reaches_every_child_and_look_up(name: str):
    def program() -> None:
        other = aws.Provider("other", region="eu-central-1")  # pyright: ignore[reportArgumentType]
        component(name)("first", SAMPLES[name], pulumi.ResourceOptions(providers=[other]))

    deployment = deploy(program)
    used = [(request.urn, request.provider) for request in deployment.requests if request.type.startswith("aws:")]
    used += [(invoke.token, invoke.provider) for invoke in deployment.invokes]
    assert [what for what, provider in used if not provider.split("::")[-2].startswith("other")] == []


@each_component
def test_two_of_a_kind_stand_side_by_side(name: str):
    def program() -> None:
        component(name)("first", SAMPLES[name])
        component(name)("second", SAMPLES[name])

    names = [request.name for request in deploy(program).requests]
    assert len([n for n in names if n.startswith("first")]) == len([n for n in names if n.startswith("second")])


@each_component
def test_a_second_run_asks_for_exactly_the_same(name: str):
    def asked() -> dict[str, dict[str, Any]]:
        return {request.urn: request.inputs for request in declared(name).requests}

    assert asked() == asked()


@each_component
def test_an_unknown_argument_is_refused_before_anything_is_declared(name: str):
    def program() -> None:
        component(name)("first", {**SAMPLES[name], "tagz": {}})

    with pytest.raises(pulumi.RunError, match=r"tagz: no such argument; did you mean tags\?"):
        deploy(program)


@each_component
@pytest.mark.parametrize("args", [None, "text", ["list"], 7], ids=str)
def test_arguments_that_are_no_dictionary_are_refused_without_a_traceback(name: str, args: object):
    if args is None and name in ALL_OPTIONAL:
        assert deploy(lambda: component(name)("first", args)).requests
        return
    with pytest.raises(pulumi.RunError, match=name):
        deploy(lambda: component(name)("first", args))


def test_the_component_host_can_infer_one_schema_for_all():
    found = Analyzer("spotbatch").analyze([component(name) for name in NAMES])
    assert set(found["component_definitions"]) == set(NAMES)
    for definition in found["component_definitions"].values():
        for place in (definition.inputs, definition.outputs):
            assert [key for key, prop in place.items() if not prop.description] == []
    assert [definition.name for definition in found["type_definitions"].values() if definition.properties == {}] == []


@pytest.mark.parametrize(("cloud", "sdks"), {"aws": ["pulumi_aws"], "eks": ["pulumi_aws", "pulumi_kubernetes"]}.items())
def test_importing_the_components_loads_their_own_sdk_and_no_service_of_it(cloud: str, sdks: list[str]):
    program = f"import {', '.join(sdks)}, sys; before = set(sys.modules); import pulumi_spotbatch.{cloud}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    # What a module takes of the SDK for its annotations alone stands in quotes: aws.ec2 takes half a second.
    assert [module for module in loaded if module.startswith(("pulumi_aws", "pulumi_gcp", "pulumi_kubernetes", "cel"))] == []
