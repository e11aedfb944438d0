"""A checkpoint that PyTorch itself wrote becomes a model with the same outputs."""

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("torch")

from benchmarks.against_peers import released_checkpoint  # noqa: E402


def test_outputs_are_those_of_pytorch(tmp_path):
    found = released_checkpoint.difference(base_channels=32, side=32, folder=tmp_path)
    assert 0 < found < released_checkpoint.TOLERANCE
