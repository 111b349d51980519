import re
from pathlib import Path

import pytest

from tests.components.recorder import deploy

PAGE = (Path(__file__).parents[3] / "docs" / "fleet-or-group.md").read_text()


def test_the_program_on_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "job.py").write_text("from spotbatch import BatchWorker\n\n\nclass Thumbnails(BatchWorker):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    deployment = deploy(lambda: exec(program, {}))
    group = deployment.only("Group")
    assert group.inputs["maxSize"] == 20
    assert len(group.inputs["vpcZoneIdentifiers"]) == 3


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", PAGE))
def test_what_the_page_links_to_exists(link: str):
    assert (Path(__file__).parents[3] / "docs" / link).is_file()
