import io
import pathlib
import tempfile
import zipfile

import numpy as np
import pytest

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats
from bitdiff_jax.serve import downloads
from tests.serve.conftest import samples, segmentation


def own(result, folder, name):
    (folder / f"{name}.own").write_text(str(result.label_map().max()))


def broken(result, folder, name):
    raise InputError("formats: broken cannot hold it; use another")


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setitem(formats.FORMATS, "own", own)
    monkeypatch.setitem(formats.FORMATS, "broken", broken)


def test_every_format_of_the_registry_is_offered(registry):
    names = downloads.names()
    # The page has no points that `region` could be of.
    assert names == [each for each in formats.FORMATS if each != "region"] and "own" in names
    assert dict(downloads.labels())["own"] == "own"  # it has no other name
    made = downloads.make(segmentation(samples()), "own")
    assert (made.name, made.data) == ("given.own", b"2")


def test_every_label_is_of_a_format_and_says_another():
    labels = downloads.labels()
    assert [name for name, _ in labels] == [*downloads.names(), "all"]
    assert len({label for _, label in labels}) == len(labels)
    assert set(downloads._LABELS) <= {name for name, _ in labels}


def test_a_file_is_what_segment_writes(tmp_path):
    result = segmentation(samples())
    made = downloads.make(result, "id_png")
    assert (made.name, made.media_type) == ("given_labels.png", "image/png")
    (tmp_path / "a.png").write_bytes(made.data)
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a.png"), result.label_map())


def test_several_files_are_a_zip():
    made = downloads.make(segmentation(samples() * 2), "boundary")
    assert (made.name, made.media_type) == ("given_boundary.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(made.data)) as archive:
        assert archive.namelist() == ["given_boundary.npy", "given_boundary.png"]


def test_all_are_a_zip_and_say_which_could_not_be_written(registry):
    made = downloads.make(segmentation(samples()), "all")
    with zipfile.ZipFile(io.BytesIO(made.data)) as archive:
        names = archive.namelist()
        assert "given.own" in names and "given_overlay.png" in names
        assert b"broken cannot hold it" in archive.read("not_written.txt")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken", "broken cannot hold it"),
        ("nonsense", "'nonsense' is not known; there are id_png"),
        ("boundary", "boundary has nothing to write of 4 sample"),
        ("tests.serve.test_downloads:own", "test_downloads:own' is not known"),  # not imported
    ],
)
def test_what_cannot_be_written_is_one_sentence(registry, name, says):
    with pytest.raises(InputError) as caught:
        downloads.make(segmentation(samples()), name)
    assert "\n" not in str(caught.value) and says in str(caught.value)


def test_more_regions_than_a_format_holds():
    codes = np.arange(300).reshape(1, 15, 20)
    with pytest.raises(InputError, match=r"300 regions do not fit 8 bits.* the format id_png"):
        downloads.make(segmentation(codes, scale=1), "id_png8")
    assert downloads.make(segmentation(codes, scale=1), "geojson").name == "given_regions.geojson"


def test_nothing_stays_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = segmentation(samples())
    downloads.make(result, "overlay")
    assert not list(pathlib.Path(tmp_path).iterdir())
    assert not set(vars(result)) & {"label_maps", "_kept"}  # nor in memory
