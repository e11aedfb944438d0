"""Pictures and results in a bucket, which `tests.data.test_remote` holds in memory."""

import pytest

from bitdiff_jax.cli import main as cli
from tests.cli.segment_files import files, save
from tests.data.test_remote import bucket, upload  # noqa: F401  (a fixture, for all tests here)
from tests.inference import tiny


@pytest.fixture
def pictures(tmp_path, bucket):  # noqa: F811
    """A folder of pictures, which is in the bucket too."""
    for k in range(3):
        save(tmp_path / "data" / f"p{k}.png", tiny.image(9 + k, 12, seed=k))
    upload(tmp_path / "data", bucket)
    return tmp_path / "data"


def results(bucket, name):  # noqa: F811
    start = f"stand-in/{name}/"
    return {key.removeprefix(start): data for key, data in bucket.items() if key.startswith(start)}


def test_from_and_into_a_bucket(run, pictures, tmp_path, bucket):  # noqa: F811
    assert run("gs://stand-in/data", out="gs://stand-in/out") == 0
    assert run(pictures) == 0
    there = results(bucket, "out")
    assert sorted(there) == files(tmp_path / "out")
    for name, data in there.items():
        here = (tmp_path / "out" / name).read_bytes()
        assert data.replace(b"gs://stand-in/data", bytes(pictures)) == here, name


def test_shards_into_a_bucket(run, pictures, bucket):  # noqa: F811
    assert run("gs://stand-in/data", out="gs://stand-in/one") == 0
    for k in (1, 0):
        assert run("gs://stand-in/data", f"--shard={k}/2", out="gs://stand-in/out") == 0
    assert cli.main(["join", "gs://stand-in/out"]) == 0
    there, one = results(bucket, "out"), results(bucket, "one")
    assert not any(name.endswith(".tmp") for name in there)
    del one["overview.png"]
    assert {name: data for name, data in there.items() if "shards/" not in name} == one
