"""`bitdiff segment` with a small model that has compiled its program already."""

import pytest

from bitdiff_jax.cli import main as cli
from bitdiff_jax.inference import Segmenter
from tests.inference import conftest as tiny_model

workdir, segmenter = tiny_model.workdir, tiny_model.segmenter


@pytest.fixture
def run(workdir, segmenter, monkeypatch, tmp_path):
    """Runs the command with a segmenter that has compiled its program already."""
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    monkeypatch.setattr(Segmenter, "from_loaded", lambda *_, **__: segmenter)

    def run(*arguments, out=tmp_path / "out"):
        options = [f"--checkpoint={workdir}", f"--out={out}", "--num_steps=2", "--batch_size=4"]
        return cli.main(["segment", *map(str, arguments), *options])

    return run
