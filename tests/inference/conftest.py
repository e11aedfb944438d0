import pytest

from bitdiff_jax.inference import Segmenter
from tests.inference import tiny


@pytest.fixture(scope="session")
def workdir(tmp_path_factory):
    return tiny.save_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def segmenter(workdir):
    return Segmenter.from_checkpoint(workdir)
