from collections.abc import Iterator

import pytest

from lab.cloud import LocalCloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One cloud for a file's tests: each uses instance types of its own, so that their pools do not meet."""
    with LocalCloud(tmp_path_factory.mktemp("cloud"), notice_seconds=2) as running:
        yield running
        # What goes wrong between requests has nobody to complain to but the log.
        assert "Traceback" not in running.log(), running.log()
