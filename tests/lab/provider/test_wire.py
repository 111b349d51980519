import io
import zipfile

import pytest

from lab.provider import archive, wire
from lab.provider.wire import ARCHIVE, ASSET, SIGNATURE, UNKNOWN

FILES = {SIGNATURE: ARCHIVE, "hash": "1", "assets": {"b.py": {SIGNATURE: ASSET, "text": "b", "hash": "b"}, "a.py": {SIGNATURE: ASSET, "text": "a"}}}


def test_whole_numbers_stay_whole_on_the_wire() -> None:
    assert wire.read(wire.write({"seconds": 60, "weight": 0.5, "list": [1, {"n": 2}]})) == {"seconds": 60, "weight": 0.5, "list": [1, {"n": 2}]}
    assert isinstance(wire.read(wire.write({"seconds": 60}))["seconds"], int)


def test_an_unknown_value_is_found_wherever_it_is() -> None:
    assert not wire.is_known({"a": [{"b": UNKNOWN}]})
    assert wire.is_known({"a": [{"b": "c"}]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (True, "true"),
        (1.0, 1),
        (10_000_000, "10000000"),
        ('{"a": ["b"]}', '{ "a" : "b" }'),
        ({"x": 1, "__defaults": []}, {"x": 1}),
        (FILES, {**FILES, "assets": {}}),
    ],
)
def test_what_means_the_same_is_no_change(one: object, other: object) -> None:
    assert wire.same(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [(1, 2), ("a", "b"), ('{"a": "b"}', '{"a": "c"}'), ({"x": 1}, {"x": 1, "y": 2}), (FILES, {**FILES, "hash": "2"})]
)
def test_what_means_something_else_is_a_change(one: object, other: object) -> None:
    assert not wire.same(one, other)


def test_defaults_that_the_cloud_filled_in_are_no_drift() -> None:
    assert wire.covers({"a": 1, "filled": "in"}, {"a": 1})
    assert wire.covers(None, False)
    assert wire.covers([{"n": 2, "x": 0}, {"n": 1}], [{"n": 1}, {"n": 2}])


def test_one_more_tag_or_variable_is_drift() -> None:
    assert not wire.covers({"a": "b", "by": "hand"}, {"a": "b"}, exact=True)
    assert not wire.covers({"variables": {"A": "1", "B": "2"}}, {"variables": {"A": "1"}})


def test_one_entry_covers_one_entry_only() -> None:
    assert not wire.covers([{"n": 1}, {"n": 2}], [{"n": 1}, {"n": 1}])


def test_the_same_files_make_the_same_zip() -> None:
    swapped = {**FILES, "assets": dict(reversed(FILES["assets"].items()))}
    assert archive.zipped(FILES) == archive.zipped(swapped)
    with zipfile.ZipFile(io.BytesIO(archive.zipped(FILES))) as bundle:
        assert {name: bundle.read(name) for name in bundle.namelist()} == {"a.py": b"a", "b.py": b"b"}


def test_folders_files_and_archives_in_archives_are_packed(tmp_path) -> None:
    (tmp_path / "code" / "inner").mkdir(parents=True)
    (tmp_path / "code" / "inner" / "x.py").write_text("x")
    folder = {SIGNATURE: ARCHIVE, "path": str(tmp_path / "code")}
    whole = {SIGNATURE: ARCHIVE, "assets": {"lib": folder, "note": {SIGNATURE: ASSET, "path": str(tmp_path / "code" / "inner" / "x.py")}}}
    with zipfile.ZipFile(io.BytesIO(archive.zipped(whole))) as bundle:
        assert sorted(bundle.namelist()) == ["lib/inner/x.py", "note"]
