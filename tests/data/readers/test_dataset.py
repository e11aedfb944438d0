import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

from bitdiff_jax.data import pipeline, readers
from bitdiff_jax.data.readers import dataset
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts

# What they hold or how it is split is decided by code that has tests of its own.
_ELSEWHERE = {"entityseg", "records"}


def _has_option(kind, name):
    return name in inspect.signature(readers.reader_class(kind)).parameters


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    written = {}

    def write(kind):
        if kind not in written:
            root = tmp_path_factory.mktemp("set")
            written[kind] = root, layouts.LAYOUTS[kind](root)
        return written[kind]

    return write


def one_line(error):
    text = str(error.value)
    assert "\n" not in text and len(text) < 500
    return text


def test_every_kind_has_a_layout():
    assert {kind.partition(":")[0] for kind in layouts.LAYOUTS} | _ELSEWHERE == set(readers.READERS)


@pytest.mark.parametrize("kind", readers.READERS)
def test_every_kind_can_be_imported_and_takes_root_and_split(kind):
    parameters = inspect.signature(readers.reader_class(kind)).parameters
    assert list(parameters)[:2] == ["root", "split"] and parameters["split"].default is None
    for parameter in list(parameters.values())[2:]:
        assert parameter.default is not parameter.empty
    for name in ("splits", "names", "unlabelled", "definition", "__len__", "__getitem__"):
        instance_only = {"names", "unlabelled"}
        assert name in instance_only or hasattr(readers.reader_class(kind), name), name


@pytest.mark.parametrize("kind", layouts.LAYOUTS)
def test_items_are_the_truth(roots, kind):
    root, truth = roots(kind)
    assert set(dataset.splits(kind, root)) == set(truth)
    everything = {name for split in truth.values() for name in split}
    for split in (*truth, None):
        reader = readers.make(kind, str(root), split)
        expected = truth[split] if split else {k: v for s in truth.values() for k, v in s.items()}
        names = list(reader.names)
        assert len(names) == len(set(names)) == len(reader)
        if split:
            assert set(names) == set(expected)
        else:
            # A set of splits may say which split a name is of.
            assert {name.rpartition("/")[2] for name in names} == everything
        for index, name in enumerate(names):
            image, maps = expected[name if name in expected else name.rpartition("/")[2]]
            item = reader[index]
            assert item["name"] == name and isinstance(item["labels"], tuple)
            assert item["image"].dtype == np.uint8 and item["image"].shape == image.shape
            assert np.abs(item["image"].astype(int) - image).max() < 24  # JPEG
            assert len(item["labels"]) == len(maps)
            for got, want in zip(item["labels"], maps, strict=True):
                assert got.dtype == np.int32
                np.testing.assert_array_equal(got, want)
            again = reader[index]
            np.testing.assert_array_equal(again["image"], item["image"])
            again["labels"][0][:] = 0
            np.testing.assert_array_equal(reader[index]["labels"][0], maps[0])


@pytest.mark.parametrize("kind", layouts.LAYOUTS)
def test_readers_pickle_and_are_defined_without_their_place(roots, kind, tmp_path):
    root, truth = roots(kind)
    split = next(iter(truth))
    reader = readers.make(kind, root, split)
    reader[0]
    copy = pickle.loads(pickle.dumps(reader))
    assert list(copy.names) == list(reader.names)
    np.testing.assert_array_equal(copy[0]["labels"][0], reader[0]["labels"][0])
    assert str(root) not in reader.definition and copy.definition == reader.definition
    if kind != "folder":
        assert str(root) not in repr(reader)
    layouts.LAYOUTS[kind](tmp_path)
    assert readers.make(kind, tmp_path, split).definition == reader.definition
    assert len({readers.make(kind, root, each).definition for each in truth}) == len(truth)
    assert isinstance(reader.unlabelled, str) and "\n" not in reader.unlabelled


@pytest.mark.parametrize("kind", layouts.LAYOUTS)
def test_items_out_of_range(roots, kind):
    reader = readers.make(kind, roots(kind)[0])
    for index in (-1, len(reader), 10**9):
        with pytest.raises(IndexError):
            reader[index]


@pytest.mark.parametrize("kind", layouts.LAYOUTS)
def test_what_is_unknown_is_named(roots, kind, tmp_path):
    root, truth = roots(kind)
    with pytest.raises(InputError, match="nowhere") as error:
        readers.make(kind, root, "nowhere")
    text = one_line(error)
    assert all(split in text for split in truth)
    with pytest.raises(InputError, match="colour") as error:
        readers.make(kind, root, colour="red")
    one_line(error)
    for wrong in (tmp_path / "absent", tmp_path):
        with pytest.raises(InputError) as error:
            readers.make(kind, wrong)
        assert str(wrong) in one_line(error)


@pytest.mark.parametrize("kind", ["", "BSDS500", "voc:2012", "coco"])
def test_unknown_kinds_are_named(kind, tmp_path):
    for call in (readers.make, readers.splits):
        with pytest.raises(InputError, match="unknown kind") as error:
            call(kind, tmp_path)
        assert "coco_panoptic" in one_line(error)


def test_options_as_text(roots):
    root, _ = roots("ade20k")
    assert readers.make("ade20k", root, parts="1").definition == (
        readers.make("ade20k", root, parts=1).definition
    )
    with pytest.raises(InputError, match="parts=one"):
        readers.make("ade20k", root, parts="one")
    with pytest.raises(InputError, match="parts=9"):
        readers.make("ade20k", root, parts="9")
    for kind in ("voc", "masks", "tfds:pets"):
        with pytest.raises(InputError, match="zero=white"):
            readers.make(kind, roots(kind)[0], zero="white")


def test_the_registry_imports_nothing_it_does_not_need():
    code = (
        "import sys; from bitdiff_jax.data import readers; import bitdiff_jax.data.readers.voc;"
        "print(*(m for m in ('tensorflow', 'tensorflow_datasets', 'pycocotools', 'scipy.io')"
        " if m in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize("kind", [k for k in layouts.LAYOUTS if _has_option(k, "zero")])
def test_a_background_is_region_0_and_known_as_it(roots, kind):
    root, truth = roots(kind)
    split = next(iter(truth))
    ignored, region, background = (
        readers.make(kind, str(root), split, zero=zero)
        for zero in ("ignore", "region", "background")
    )
    assert not pipeline.has_background(ignored) and not pipeline.has_background(region)
    assert pipeline.has_background(pickle.loads(pickle.dumps(background)))
    assert "the background, as asked for" in background.unlabelled
    assert len({each.definition for each in (ignored, region, background)}) == 3
    for index in range(len(region)):
        (want,), (got,) = region[index]["labels"], background[index]["labels"]
        np.testing.assert_array_equal(got, want)
    with pytest.raises(InputError, match="zero=thing"):
        readers.make(kind, str(root), split, zero="thing")
