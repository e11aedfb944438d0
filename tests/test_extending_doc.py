"""docs/extending.md: the Python of every section runs, and its commands name options that exist."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = dict(re.findall(r"^## (An own .*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def test_every_seam_has_a_section():
    linked = set(re.findall(r"\]\(#(an-own-[\w-]+)\)", PAGE))
    assert {title.lower().replace(" ", "-") for title in SECTIONS} == linked
    assert len(linked) == 8
    for title, text in SECTIONS.items():
        files = [each for each in blocks(text) if each.startswith("# ")]
        assert files and len(files) < len(blocks(text)), f"{title}: a module and its use"


@pytest.mark.multiprocess
@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_runs(title, tmp_path):
    uses = []
    for block in blocks(SECTIONS[title]):
        if named := re.match(r"# (\w+\.py)\n", block):
            (tmp_path / named[1]).write_text(block)
        else:
            uses.append(block)
    (tmp_path / "use.py").write_text("\n".join(uses))
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
