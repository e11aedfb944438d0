"""`bitdiff segment` with a small model that has compiled its program already."""

import pytest

from bitdiff_jax.cli import main as cli
from bitdiff_jax.inference import Segmenter
from tests.inference import tiny


@pytest.fixture(scope="module")
def workdir():
    return tiny.shared()[0]


@pytest.fixture(scope="module")
def segmenter():
    return tiny.shared()[1]


@pytest.fixture
def run(workdir, segmenter, monkeypatch, tmp_path):
    """Runs the command with a segmenter that has compiled its program already."""
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    monkeypatch.setattr(Segmenter, "from_loaded", lambda *_, **__: segmenter)

    def run(*arguments, out=tmp_path / "out"):
        options = [f"--checkpoint={workdir}", f"--out={out}", "--num_steps=2", "--batch_size=4"]
        return cli.main(["segment", *map(str, arguments), *options])

    return run
