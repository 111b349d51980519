"""What every mutant of the code must get past, run in a copy of the project: `python suite.py`. Prints as JSON which tests failed."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings

HERE = Path(__file__).parent
SCHEDULES = ["test_schedules.py"]
RULES = [f"test_{name}.py" for name in ("ledger", "registry", "settle", "sweep", "cleaning", "submit", "handler", "agent_claims")]


class Failures:
    """Collects the names of the tests that failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid.removeprefix("tests/spotbatch/"))


def failures(files: list[str]) -> list[str]:
    """The first test of these files that fails. Raises RuntimeError where they cannot be run at all."""
    found = Failures()
    options = ["-qq", "-x", "--assert=plain", "--timeout=30", "--capture=fd", "--show-capture=no", "--tb=line", "-p", "no:xdist"]
    status = pytest.main([*options, *(str(HERE / "tests/spotbatch" / name) for name in files)], plugins=[found])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {status!r}")
    return found.names


if __name__ == "__main__":
    import spotbatch

    if not Path(spotbatch.__file__).is_relative_to(HERE):
        raise RuntimeError(f"{spotbatch.__file__} is not the copy in {HERE}")
    # The shortest schedule is of no interest here, and takes longest to find.
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None, derandomize=True)
    settings.load_profile("mutants")
    found = {"schedules": failures(SCHEDULES), "rules": failures(RULES)}
    sys.stdout.write(f"\n{json.dumps(found)}\n")
