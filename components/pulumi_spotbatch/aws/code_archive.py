"""The archive from which a machine gets runtime, boto3 and job: the same bytes for the same sources."""

import ast
import contextlib
import csv
import difflib
import gzip
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIMIT_MIB = 64
"""Most that a job folder may hold. A machine fetches it at every boot: larger inputs belong in a bucket, larger programs in an image."""

_LIBRARIES = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
_SERVICES = ("autoscaling", "dynamodb", "logs", "s3", "secretsmanager", "sqs", "ssm", "sts")
_SHARED_DATA = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")
_LEFT_OUT = {"__pycache__", "node_modules", "venv"}


@dataclass(frozen=True)
class CodeArchive:
    """A code archive on this machine, ready for upload."""

    path: Path
    digest: str
    """SHA-256 of what is inside, before compression: it does not change with the compressor of the machine that builds it."""

    @property
    def key(self) -> str:
        """Where it goes in the queue's bucket."""
        return f"code/{self.digest}.tar.gz"


def build(folder: Path) -> CodeArchive:
    """Pack the job in `folder` with the runtime and the boto3 that is installed here, into the user's cache.

    `runtime/` holds `spotbatch` without its tools, and boto3 with the few services that a machine calls; `job/` holds the folder without
    names that begin with a dot, `__pycache__`, `node_modules` and `venv`. Both go on the machine's `PYTHONPATH`.
    """
    files = {**{f"job/{name}": path for name, path in job_files(folder)}, **{f"runtime/{name}": path for name, path in runtime_files()}}
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spotbatch" / "code"
    # Packing takes longer than all else that a preview does here: files that look as they did were packed before.
    seen = cache / "seen" / _looks(files)
    with contextlib.suppress(OSError):
        digest = seen.read_text()
        if (path := cache / f"{digest}.tar.gz").exists():
            return CodeArchive(path, digest)
    content = _tar(files)
    digest = hashlib.sha256(content).hexdigest()
    path = cache / f"{digest}.tar.gz"
    if not path.exists():
        _write(path, gzip.compress(content, compresslevel=6, mtime=0))
    _write(seen, digest.encode())
    return CodeArchive(path, digest)


def job_faults(folder: Path, worker: str) -> Iterator[tuple[str, str]]:
    """What speaks against packing this folder for the worker `MODULE:CLASS`: pairs of argument and text. The job is read, not run."""
    if not folder.is_dir():
        yield "code.folder", f"{str(folder)!r} is no folder (looked in {Path.cwd()})"
        return
    mib = sum(path.stat().st_size for _, path in job_files(folder)) / 2**20
    if mib > LIMIT_MIB:
        yield (
            "code.folder",
            f"{str(folder)!r} holds {mib:.0f} MiB; allowed: up to {LIMIT_MIB} MiB (put inputs in a bucket, large programs in code.image)",
        )
    module, _, name = worker.partition(":")
    stem = folder.joinpath(*module.split("."))
    source = next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
    if source is None:
        yield "worker", f"{worker!r}: no {module.replace('.', '/')}.py in {str(folder)!r}"
        return
    try:
        names = _names(ast.parse(source.read_bytes(), str(source)))
    except SyntaxError as error:
        yield "worker", f"{worker!r}: {source} line {error.lineno}: {error.msg}"
        return
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(names)) or 'no class'}"
        yield "worker", f"{worker!r}: no {name} in {source}; {hint}"


def job_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name in the archive and path of each file of a job."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _left_out(name)]
        for name in names:
            path = Path(parent, name)
            if not _left_out(name) and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def runtime_files() -> Iterator[tuple[str, Path]]:
    """Name in the archive and path of each file that a machine needs beside the job."""
    spec = importlib.util.find_spec("spotbatch")
    assert spec is not None and spec.origin is not None
    home = Path(spec.origin).parent
    for path in [*home.glob("*.py"), *(home / "strategies").glob("*.py"), home / "clouds" / "__init__.py", *(home / "clouds").glob("aws*.py")]:
        yield f"spotbatch/{path.relative_to(home).as_posix()}", path
    for library in _LIBRARIES:
        distribution = importlib.metadata.distribution(library)
        place = Path(str(distribution.locate_file("")))
        for name, *_ in csv.reader(_record(distribution).splitlines()):
            if _needed(name):
                yield name, place / name


def _record(distribution: importlib.metadata.Distribution) -> str:
    """What was installed. Raises FileNotFoundError where nothing tells, as with packages of a Linux distribution."""
    if (record := distribution.read_text("RECORD")) is None:
        raise FileNotFoundError(f"{distribution.name} {distribution.version} has no list of its files; install it with pip in a virtual environment")
    return record


def _needed(name: str) -> bool:
    file = name.rpartition("/")[2]
    if name.startswith("botocore/data/"):
        return file in _SHARED_DATA or (name.split("/")[2] in _SERVICES and not file.startswith("examples"))
    return (name.endswith(".py") and not name.startswith("../")) or file == "cacert.pem"


def _left_out(name: str) -> bool:
    return name.startswith(".") or name in _LEFT_OUT


def _looks(files: dict[str, Path]) -> str:
    """Changes with the name, place, size, mode or time of any file."""
    told = hashlib.sha256()
    for name, path in sorted(files.items()):
        look = path.stat()
        told.update(f"{name}\0{path}\0{look.st_size}\0{look.st_mode}\0{look.st_mtime_ns}\0{look.st_ino}\n".encode())
    return told.hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)


def _tar(files: dict[str, Path]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            content = files[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if os.access(files[name], os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _names(tree: ast.Module) -> set[str]:
    """Names that a module has once it is imported, as far as its text tells."""
    names: set[str] = set()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in statement.names}
    return names
