"""Whatever stands in a manifest or in a chunk of a saved folder: restored, or damaged; and nothing is ever written outside the folder."""

import contextlib
import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from spotbatch.checkpoint import Damaged
from spotbatch.clouds.local import LocalPayloads
from spotbatch.manifest import Manifest
from spotbatch.saved_folder import SavedFolder
from tests.spotbatch.scheduled_machines import MEMORY
from tests.spotbatch.test_odd_records import quick, values

names = st.sampled_from(["a", "a/b", "a/b/c", "..", "../out", "/out", "a/../../out", ".", "a//b", "link", "link/out", "a\0b", ""]) | st.text(
    max_size=6
)
entries = st.tuples(
    st.sampled_from(["file", "link", "folder", "other"]),
    st.sampled_from([0o644, 0o755, 0, 0o7777, 2**40]),
    st.sampled_from([0, 1_800_000_000 * 10**9, 2**70, -1]),
    st.integers(-1, 9),
    st.lists(st.sampled_from(["0" * 64 + "-000001", "../" * 20 + "-", "short"]), max_size=2),
    st.sampled_from(["", "..", "/out", "../out", "a\0b"]),
).map(list)
manifests = st.dictionaries(names, entries | values, max_size=4)


@quick
@given(manifest=st.binary(max_size=100) | manifests.map(lambda paths: json.dumps({"paths": paths}).encode()))
def test_any_manifest_is_restored_or_damaged_and_nothing_leaves_the_folder(manifest):
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        place = Path(name)
        (place / "out").write_text("not ours")
        folder = SavedFolder(place / "deep/folder", LocalPayloads(place / "bucket"), "run", 1)
        with contextlib.suppress(Damaged, OSError):
            folder.restore(Manifest.decode(manifest), Manifest())
        assert (place / "out").read_text() == "not ours"
        assert {path.name for path in place.iterdir()} <= {"out", "deep", "bucket"}
        assert [path.name for path in place.glob("deep/*")] in ([], ["folder"])


@quick
@given(content=st.binary(min_size=1, max_size=300), spoiled=st.binary(max_size=300))
def test_a_folder_comes_back_as_it_was_or_is_damaged(content, spoiled):
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        place, payloads = Path(name), LocalPayloads(Path(name) / "bucket")
        (place / "kept").mkdir()
        (place / "kept/file").write_bytes(content)
        saved = SavedFolder(place / "kept", payloads, "run", 1)
        manifest = Manifest.decode(saved.upload(saved.look(), None, lambda: None).encode())
        chunk = next(payloads.keys("runs/run/files/"))
        (place / "bucket" / chunk).write_bytes(spoiled)
        elsewhere = SavedFolder(place / "elsewhere", payloads, "run", 2)
        try:
            elsewhere.restore(manifest, Manifest())
        except Damaged:
            assert spoiled != content
        else:
            assert (place / "elsewhere/file").read_bytes() == content == spoiled
