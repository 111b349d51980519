"""What saving a folder writes, at first and after 1 % of it has changed, with how much memory; in a process of its own, on the local store."""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spotbatch.clouds.local import LocalPayloads
from spotbatch.saved_folder import SavedFolder
from tests.bench.figures import Figure

MEGABYTE = 1_000_000
SIZES = (10 * MEGABYTE, 1_000 * MEGABYTE)
FILES = (1, 100)
GROWTH = 64 * MEGABYTE
"""How much more memory the folder of a gigabyte may take than that of ten megabytes: eight chunks of its largest file on their way."""


def fill(folder: Path, size: int, files: int) -> None:
    folder.mkdir()
    for number in range(files):
        chance = random.Random(number)
        with (folder / f"{number:03d}").open("wb") as file:
            for _ in range(size // files // 100_000):
                file.write(chance.randbytes(100_000))


def change(folder: Path, size: int, files: int) -> None:
    """1 % of the bytes, in the middle of the only file, or all of one in a hundred."""
    with (folder / "000").open("r+b") as file:
        file.seek(size // 2 if files == 1 else 0)
        file.write(random.Random("changed").randbytes(size // 100))


def measure(folder: Path, size: int, files: int) -> dict[str, float]:
    """Two saves, by a process that has saved nothing yet."""
    saved = SavedFolder(folder / "kept", LocalPayloads(folder / "bucket"), "run", 1)

    def save() -> tuple[int, float]:
        before, began = saved.bytes_written, time.perf_counter()
        manifest = saved.upload(saved.look(), None, lambda: None)
        saved.accept(manifest)
        return saved.bytes_written - before + len(manifest.encode()), time.perf_counter() - began

    (first, first_seconds), _ = save(), change(folder / "kept", size, files)
    second, second_seconds = save()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"first": first, "first_seconds": first_seconds, "second": second, "second_seconds": second_seconds, "peak": peak}


def figures() -> list[Figure]:
    rows: list[Figure] = []
    peaks: dict[int, list[float]] = {size: [] for size in SIZES}
    for size in SIZES:
        for files in FILES:
            with tempfile.TemporaryDirectory() as name:
                fill(Path(name) / "kept", size, files)
                command = [sys.executable, "-m", "tests.bench.folders", name, str(size), str(files)]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            peaks[size].append(found["peak"])
            share = found["second"] / found["first"]
            measured = f"{found['second']:,.0f} of {found['first']:,.0f} bytes, {share:.1%}; "
            measured += f"{found['second_seconds']:.2f} s after {found['first_seconds']:.2f} s; peak {found['peak'] / MEGABYTE:.0f} MB"
            what = f"folder of {size // MEGABYTE:,} MB in {files} file{'s' * (files > 1)}, 1 % changed: the second save writes"
            rows.append(Figure(what, measured, "<= 5 % of the first", share <= 0.05))
    small, large = max(peaks[SIZES[0]]), max(peaks[SIZES[1]])
    grown = (large - small) / MEGABYTE
    rows.append(
        Figure("memory of the largest folder over that of the smallest", f"{grown:+.0f} MB", f"<= {GROWTH // MEGABYTE} MB", large - small <= GROWTH)
    )
    return rows


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
