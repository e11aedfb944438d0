from tests.inference.conftest import workdir  # noqa: F401
