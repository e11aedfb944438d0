import pytest

from tests.inference import tiny


@pytest.fixture(scope="session")
def workdir():
    return tiny.shared()[0]


@pytest.fixture(scope="session")
def segmenter():
    return tiny.shared()[1]
