import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from pulumi_spotbatch.aws import code_archive

JOB = Path(__file__).parent / "job"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    (folder / "deep").mkdir(parents=True)
    (folder / "work.py").write_text("class Work:\n    pass\n")
    (folder / "deep" / "data.csv").write_text("1\n")
    return folder


def names(archive: code_archive.CodeArchive) -> list[str]:
    with tarfile.open(archive.path) as tar:
        return tar.getnames()


def test_the_same_sources_give_the_same_bytes_whenever_and_wherever_they_are_packed(job: Path, cache: Path, tmp_path: Path):
    first = code_archive.build(job)
    content = first.path.read_bytes()
    first.path.unlink()
    moved = tmp_path / "elsewhere"
    job.rename(moved)
    (moved / "work.py").touch()
    second = code_archive.build(moved)
    assert second.digest == first.digest
    assert second.path.read_bytes() == content


def test_another_byte_gives_another_key(job: Path):
    before = code_archive.build(job)
    (job / "work.py").write_text("class Work:\n    x = 1\n")
    assert code_archive.build(job).key != before.key


def test_an_edit_that_keeps_the_length_is_seen_and_undoing_it_too(job: Path):
    first = code_archive.build(job)
    (job / "deep" / "data.csv").write_text("2\n")
    assert code_archive.build(job).digest != first.digest
    (job / "deep" / "data.csv").write_text("1\n")
    assert code_archive.build(job) == first


def test_a_cache_that_somebody_cleared_is_filled_again(job: Path, cache: Path):
    first = code_archive.build(job)
    first.path.unlink()
    assert code_archive.build(job) == first
    assert first.path.exists()


def test_the_key_is_the_hash_of_what_is_inside(job: Path):
    archive = code_archive.build(job)
    assert hashlib.sha256(gzip.decompress(archive.path.read_bytes())).hexdigest() == archive.digest
    assert archive.key == f"code/{archive.digest}.tar.gz"


def test_nothing_of_the_packing_machine_is_in_it(job: Path):
    with tarfile.open(fileobj=io.BytesIO(code_archive.build(job).path.read_bytes())) as tar:
        for entry in tar:
            assert (entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) == (0, 0, "", "", 0)
            assert entry.mode in (0o644, 0o755)


def test_hidden_files_environments_and_caches_stay_out(job: Path):
    for name in (".env", ".git/config", "venv/bin/python", "__pycache__/work.pyc", "node_modules/x.js"):
        (job / name).parent.mkdir(parents=True, exist_ok=True)
        (job / name).write_text("x")
    assert [name for name in names(code_archive.build(job)) if name.startswith("job/")] == ["job/deep/data.csv", "job/work.py"]


def test_the_runtime_comes_without_its_tools_and_without_other_clouds(job: Path):
    runtime = [name for name in names(code_archive.build(job)) if name.startswith("runtime/spotbatch/")]
    assert "runtime/spotbatch/clouds/aws_service.py" in runtime
    assert "runtime/spotbatch/notice.py" in runtime
    assert not [name for name in runtime if "/tools/" in name or "gcp" in name or "kubernetes" in name]


def test_a_machine_can_call_aws_with_nothing_but_the_archive(job: Path, tmp_path: Path):
    with tarfile.open(code_archive.build(job).path) as tar:
        tar.extractall(tmp_path / "machine", filter="data")
    program = """
import sys
sys.path[:0] = [f"{sys.argv[1]}/runtime", f"{sys.argv[1]}/job"]
import boto3, work
for service in ("autoscaling", "dynamodb", "logs", "s3", "secretsmanager", "sqs", "ssm", "sts"):
    boto3.client(service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
print(boto3.__file__, work.__file__)
"""
    # -I -S: neither this project's environment nor its packages can help.
    result = subprocess.run([sys.executable, "-I", "-S", "-c", program, str(tmp_path / "machine")], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [f"{tmp_path}/machine/runtime/boto3/__init__.py", f"{tmp_path}/machine/job/work.py"]


def test_the_archive_stays_small(job: Path):
    assert code_archive.build(job).path.stat().st_size < 3 * 2**20


def test_a_second_preview_packs_nothing_again(job: Path):
    archive = code_archive.build(job)
    stamp = archive.path.stat().st_mtime_ns
    assert code_archive.build(job).path.stat().st_mtime_ns == stamp


def test_a_sound_job_has_no_faults(job: Path):
    assert list(code_archive.job_faults(job, "work:Work")) == []
    assert list(code_archive.job_faults(JOB, "thumbnails:Thumbnails")) == []


def test_a_class_may_come_from_elsewhere_and_a_module_may_be_a_package(job: Path):
    (job / "pack").mkdir()
    (job / "pack" / "__init__.py").write_text("from work import Work as Renamed\n")
    assert list(code_archive.job_faults(job, "pack:Renamed")) == []


@pytest.mark.parametrize(
    ("worker", "fault"),
    [
        ("work:Wrok", "'work:Wrok': no Wrok in {job}/work.py; did you mean Work?"),
        ("work:Other", "'work:Other': no Other in {job}/work.py; it has Work"),
        ("deep.work:Work", "'deep.work:Work': no deep/work.py in '{job}'"),
        ("broken:Work", "'broken:Work': {job}/broken.py line 1: "),
    ],
)
def test_a_worker_that_is_not_there_is_told_before_anything_is_uploaded(job: Path, worker: str, fault: str):
    (job / "broken.py").write_text("class Work(:\n")
    ((path, text),) = code_archive.job_faults(job, worker)
    assert path == "worker"
    assert text.startswith(fault.format(job=job))


def test_a_folder_that_is_missing_or_huge_is_told(job: Path):
    ((path, text),) = code_archive.job_faults(job / "nowhere", "work:Work")
    assert path == "code.folder"
    assert "is no folder" in text
    with (job / "video.mp4").open("wb") as file:
        file.truncate((code_archive.LIMIT_MIB + 1) * 2**20)
    ((path, text),) = code_archive.job_faults(job, "work:Work")
    assert "holds 65 MiB; allowed: up to 64 MiB" in text


def test_the_job_is_read_and_never_run(job: Path):
    (job / "work.py").write_text("raise SystemExit('ran')\nclass Work: ...\n")
    assert list(code_archive.job_faults(job, "work:Work")) == []
