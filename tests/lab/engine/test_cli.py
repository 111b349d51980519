"""The Pulumi command line is found where it is, and what is missing is said where it is not."""

import os
import subprocess
import sys
from pathlib import Path

from lab.engine.cli import OLDEST
from lab.places import CHECKOUT

NEW_ENOUGH = ".".join(map(str, OLDEST))


def ask(question: str, tmp_path: Path, path: str = "") -> str:
    """The answer of a fresh process that has only `path` on its PATH, an empty cache and no way to the network."""
    environment = {
        "PATH": path,
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(CHECKOUT),
        # Refused at once, so that nothing here depends on what the machine can reach.
        **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    }
    program = f"from lab.engine.cli import *\ntry:\n    print({question})\nexcept CliMissing as missing:\n    print('MISSING', missing)\n"
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    return result.stdout.strip() or result.stderr


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_a_command_line_on_path_that_is_new_enough_is_used(tmp_path: Path):
    pulumi = script(tmp_path / "bin" / "pulumi", f"echo v{NEW_ENOUGH}\n")
    assert ask("find_cli()", tmp_path, str(pulumi.parent)) == str(pulumi)


def test_one_that_is_too_old_is_not_used_and_named(tmp_path: Path):
    pulumi = script(tmp_path / "bin" / "pulumi", "echo v3.100.0\n")
    answer = ask("find_cli()", tmp_path, str(pulumi.parent))
    assert answer.startswith("MISSING")
    assert f"{pulumi} is older than {NEW_ENOUGH} or does not start" in answer


def test_one_that_does_not_start_is_not_used(tmp_path: Path):
    pulumi = script(tmp_path / "bin" / "pulumi", "exit 1\n")
    assert ask("find_cli()", tmp_path, str(pulumi.parent)).startswith("MISSING")


def test_one_that_was_built_before_is_used_again(tmp_path: Path):
    built = script(Path(ask("GoTool('pulumi').path", tmp_path)), "echo v3.259.0\n")
    assert built.is_relative_to(tmp_path / "cache" / "spotbatch")
    assert ask("find_cli()", tmp_path) == str(built)
    assert ask("get_cli()", tmp_path) == str(built)


def test_without_any_way_to_get_one_all_that_was_tried_is_said(tmp_path: Path):
    answer = ask("get_cli()", tmp_path)
    assert "PATH: no program `pulumi`" in answer
    assert "the SDK's installer" in answer
    assert "Go is not on PATH" in answer


def test_a_build_that_fails_says_what_go_said_and_leaves_nothing(tmp_path: Path):
    go = script(tmp_path / "bin" / "go", "if [ $1 = list ]; then echo a; else echo 'no space left' >&2; exit 1; fi\n")
    answer = ask("get_cli()", tmp_path, f"{go.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert "no space left" in answer
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["lock"]


def test_the_build_is_made_once_and_tells_how_far_it_is(tmp_path: Path):
    log = tmp_path / "builds"
    build = f'echo built >> {log}; echo one >&2; echo two >&2; while [ "$1" != -o ]; do shift; done; echo "#!/bin/sh" > "$2"'
    go = script(tmp_path / "bin" / "go", f"if [ $1 = list ]; then echo one; echo two; exit; fi\n{build}\n")
    steps = "(lambda said: (get_cli(lambda *step: said.append(step)), get_cli(), said)[2])([])"
    answer = ask(steps, tmp_path, f"{go.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert "('building pulumi v3.259.0', 2, 2)" in answer
    assert log.read_text() == "built\n"
