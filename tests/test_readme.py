"""The README's own code runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resinflow.flow.field import FlowField

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert FlowField.load(tmp_path / "flow.npz").permeability > 0


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_file_that_the_readme_links_is_there(link: str) -> None:
    assert link.startswith("http") or (Path(__file__).parents[1] / link).exists()
