import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import config as config_lib
from bitdiff_jax.data import images
from bitdiff_jax.data.records import writer
from bitdiff_jax.training import label_warnings
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
    monkeypatch.setattr(label_warnings, "_SECONDS", 3600.0)


def said(spec, **changes):
    config = config_lib.load("base:smoke")
    config.eval.data = ""
    config.data.train = spec
    config.update_from_flattened_dict(changes)
    return label_warnings.lines(prepare(config))


def line(*args, **changes):
    """The only line, or None."""
    found = said(*args, **changes)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.slow
def test_a_folder_is_sampled(folder):
    assert line(f"folder:{folder}") == (
        "warning: 50.0% of the 4 sampled label maps have more regions than the 64 codes (up to "
        "80): the smallest of their regions are left out of the loss; for 128 codes: "
        "--config.model.num_bits=7"
    )
    merged = line(f"folder:{folder}", **{"model.palette.excess": "merge"})
    assert "become part of the largest" in merged
    assert line(f"folder:{folder}", **{"model.num_bits": 7}) is None


def test_records_know(folder, tmp_path, monkeypatch):
    out = tmp_path / "records"
    writer.prepare(writer.Files("folder", str(folder), {}), out, size=32, workers=0)
    monkeypatch.setattr(label_warnings, "sampled", None)  # no image is read
    assert line(f"records:{out}").startswith("warning: 50.0% of the label maps have more regions")


def test_several_sets_count_together(folder):
    found = line(f"folder:{folder};scenes,level=1")
    assert found.startswith(f"warning: {2 / (4 + 64):.1%} of the 68 sampled label maps")


def test_sets_of_weight_zero_do_not_count(folder):
    assert line(f"folder:{folder},weight=0;scenes,level=1") is None


def test_reading_ends_when_time_is_over(folder):
    setup_source = [{"labels": (np.zeros((4, 4), np.int32),)}] * 50
    assert label_warnings.sampled(setup_source, 32, deadline=0.0) == ([1], 0.0, False)


def test_more_regions_than_the_bound_on_ids(folder):
    config = config_lib.load("base:smoke").model
    assert label_warnings._remedy(config, 64, 300) == (
        "for 512 codes: --config.model.num_bits=9 --config.model.palette.max_regions=512"
    )
    config.encoding = "rgb"
    assert "--config.model.encoding=bits" in label_warnings._remedy(config, 121, 130)


def nuclei(root, shares=(0.9, 0.7)):
    """Images of which 0 covers so much of each label map."""
    for name in ("images", "labels"):
        (root / name).mkdir()
    for k, share in enumerate(shares):
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(root / f"images/{k}.png")
        ids = np.where(np.arange(20)[:, None] < 20 * share, 0, 1 + np.arange(20) // 10)
        images.write_labels(root / f"labels/{k}.png", ids)
    return root


@pytest.mark.slow
def test_a_set_that_is_mostly_ignored_is_told(tmp_path):
    root = nuclei(tmp_path)
    (found,) = said(f"folder:{root},zero=ignore;scenes,level=1")
    assert found.startswith(f"warning: 80% of the pixels of folder:{root},zero=ignore are ignored")
    assert "zero=background" in found and "zero=region" in found
    assert said(f"folder:{root},zero=background") == said(f"folder:{root},zero=region") == []


def test_half_ignored_is_not_told(tmp_path):
    assert said(f"folder:{nuclei(tmp_path, (0.5, 0.5))},zero=ignore") == []


def test_records_know_what_is_ignored(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    root, out = nuclei(tmp_path / "set"), tmp_path / "records"
    writer.prepare(writer.Files("folder", str(root), {"zero": "ignore"}), out, size=0, workers=0)
    monkeypatch.setattr(label_warnings, "sampled", None)
    assert line(f"records:{out}").startswith("warning: 80% of the pixels of records:")


def test_the_code_of_an_absent_background_is_not_free(folder):
    changes = {"model.palette.background": True}
    found = line(f"folder:{folder},zero=region", **changes)
    assert found.startswith("warning: 75.0% of the 4 sampled label maps have more regions than")
