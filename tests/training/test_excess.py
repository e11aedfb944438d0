import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import config as config_lib
from bitdiff_jax.data import images
from bitdiff_jax.data.records import writer
from bitdiff_jax.training import excess
from bitdiff_jax.training.setup import prepare

COUNTS = (80, 64, 10, 70)  # regions of each image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    for name in ("images", "labels"):
        (root / name).mkdir()
    for k, count in enumerate(COUNTS):
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(root / f"images/{k}.png")
        ids = np.minimum(np.arange(32 * 32).reshape(32, 32) // 8, count - 1) + 1
        images.write_labels(root / f"labels/{k}.png", ids)
    return root


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch):
    monkeypatch.setattr(excess, "_SECONDS", 3600.0)


def said(spec, **changes):
    config = config_lib.load("base:smoke")
    config.eval.data = ""
    config.data.train = spec
    config.update_from_flattened_dict(changes)
    return excess.line(prepare(config))


def test_a_folder_is_sampled(folder):
    assert said(f"folder:{folder}") == (
        "warning: 50.0% of the 4 sampled label maps have more regions than the 64 codes (up to "
        "80): the smallest of their regions are left out of the loss; --config.model.num_bits=7 "
        "has 128"
    )
    merged = said(f"folder:{folder}", **{"model.palette.excess": "merge"})
    assert "become part of the largest" in merged
    assert said(f"folder:{folder}", **{"model.num_bits": 7}) is None


def test_records_know(folder, tmp_path, monkeypatch):
    out = tmp_path / "records"
    writer.prepare(writer.Files("folder", str(folder), {}), out, size=32, workers=0)
    monkeypatch.setattr(excess, "sampled_counts", None)  # no image is read
    assert said(f"records:{out}").startswith("warning: 50.0% of the label maps have more regions")


def test_several_sets_count_together(folder):
    line = said(f"folder:{folder};scenes,level=1")
    assert line.startswith(f"warning: {2 / (4 + 64):.1%} of the 68 sampled label maps")


def test_sets_of_weight_zero_do_not_count(folder):
    assert said(f"folder:{folder},weight=0;scenes,level=1") is None


def test_reading_ends_when_time_is_over(folder):
    setup_source = [{"labels": (np.zeros((4, 4), np.int32),)}] * 50
    assert excess.sampled_counts(setup_source, 32, deadline=0.0) == [1]


def test_more_regions_than_the_bound_on_ids(folder):
    config = config_lib.load("base:smoke").model
    assert excess._remedy(config, 64, 300) == (
        "--config.model.num_bits=9 --config.model.palette.max_regions=512 has 512"
    )
    config.encoding = "rgb"
    assert "--config.model.encoding=bits" in excess._remedy(config, 121, 130)
