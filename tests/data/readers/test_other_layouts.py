import re

import numpy as np
import pytest

from bitdiff_jax.data import readers
from bitdiff_jax.data.readers import other_layouts
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts


@pytest.mark.parametrize("kind", [kind for kind in layouts.LAYOUTS if ":" not in kind])
def test_every_layout_is_recognized(tmp_path, kind):
    layouts.LAYOUTS[kind](tmp_path)
    assert other_layouts.hint(tmp_path, "none") == (
        f"; it looks like {kind}: use {kind}:{tmp_path}"
    )
    assert other_layouts.hint(tmp_path, kind) == ""


@pytest.mark.parametrize(
    ("asked", "is_kind"),
    [
        ("folder", "masks"),
        ("folder", "voc"),
        ("folder", "bsds500"),
        ("folder", "cityscapes"),
        ("masks", "folder"),
        ("voc", "coco_panoptic"),
        ("cityscapes", "voc"),
        ("bsds500", "ade20k"),
        ("ade20k", "cityscapes"),
        ("coco_panoptic", "coco_instances"),
        ("coco_instances", "folder"),
        ("entityseg", "coco_instances"),
    ],
)
def test_a_reader_names_the_one_that_suits(tmp_path, asked, is_kind):
    layouts.LAYOUTS[is_kind](tmp_path)
    words = re.escape(f"it looks like {is_kind}: use {is_kind}:{tmp_path}")
    with pytest.raises(InputError, match=words) as error:
        readers.splits(asked, tmp_path)
        readers.make(asked, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["folder", "ade20k"])
def test_the_challenge_of_ade20k_is_told_from_the_set(tmp_path, kind):
    for place, array in (("images", layouts.make_image(1)), ("annotations", np.ones((12, 17)))):
        suffix = "jpg" if place == "images" else "png"
        path = tmp_path / place / "training" / f"ADE_train_00000001.{suffix}"
        layouts.save(path, array.astype(np.uint8))
    with pytest.raises(InputError, match=r"ADEChallengeData2016, .* ade20k: reads the full set"):
        readers.make(kind, tmp_path)


def test_nothing_is_said_of_other_folders(tmp_path):
    (tmp_path / "images").mkdir()
    assert other_layouts.hint(tmp_path, "folder") == ""
    assert other_layouts.hint(tmp_path / "none", "folder") == ""
    (tmp_path / "a, b" / "gtFine").mkdir(parents=True)
    (tmp_path / "a, b" / "leftImg8bit").mkdir()
    hint = other_layouts.hint(tmp_path / "a, b", "folder")
    assert hint.endswith(f'use cityscapes:"{tmp_path}/a, b"')
