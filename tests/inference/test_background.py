"""Maps of a model that knows its background: 0 in label maps, in no table, no tint."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.cli import segment
from bitdiff_jax.data import images
from bitdiff_jax.inference import Segmenter, drawing, outputs
from bitdiff_jax.inference.region_table import measure, number
from bitdiff_jax.inference.segmentation import Segmentation
from tests.inference import tiny

drawn_codes = hnp.arrays(
    np.int32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.sampled_from([0, 1, 63])
)
DRAWN = np.zeros((8, 10), np.int32)
DRAWN[1:4, 1:5] = 9
DRAWN[5:7, 6:9] = 4


def segmentation(codes=DRAWN, has_background=True, **changes):
    rng = np.random.default_rng(0)
    return Segmentation(
        image=rng.integers(0, 256, (*codes.shape, 3), np.uint8),
        codes=codes[None],
        certainty=np.ones((1, *codes.shape), np.float32),
        seed=0,
        name="a",
        has_background=has_background,
        **{"min_area": 0, **changes},
    )


@settings(max_examples=40, deadline=None)
@given(drawn_codes)
def test_code_0_keeps_0_and_the_others_their_order(codes):
    got = number(codes, has_background=True)
    np.testing.assert_array_equal(got == 0, codes == 0)
    ids, areas = np.unique(got[got > 0], return_counts=True)
    np.testing.assert_array_equal(ids, np.arange(1, len(np.unique(codes[codes > 0])) + 1))
    assert (np.diff(areas) <= 0).all()
    regions = measure(got, np.zeros((*codes.shape, 3), np.uint8))
    assert [region.area for region in regions] == areas.tolist()


def test_labels_tables_and_pictures():
    result = segmentation()
    np.testing.assert_array_equal(result.label_map(), np.select([DRAWN == 9, DRAWN == 4], [1, 2]))
    assert [region.area for region in result.regions()] == [12, 6]
    assert outputs.image_row(result, "a", "a.png").num_regions == 2
    inside = np.zeros(DRAWN.shape, bool)
    inside[:, 0] = inside[0] = True  # background away from boundaries
    tinted = outputs.overlay(result.image, result.label_map())
    np.testing.assert_array_equal(tinted[inside], result.image[inside])
    assert (outputs.colours(result.label_map())[inside] == 0).all()
    assert (tinted[DRAWN == 9] != result.image[DRAWN == 9]).any()


def test_without_a_background_code_0_is_a_region_like_the_others():
    result = segmentation(has_background=False)
    assert result.label_map().min() == 1 and len(result.regions()) == 3
    assert (outputs.overlay(result.image, result.label_map()) != result.image).any(-1).all()


def test_a_speck_of_an_object_becomes_background_and_one_of_it_object():
    codes = DRAWN.copy()
    codes[2, 2] = 0
    codes[0, 9] = 33
    result = segmentation(codes, min_area=3)
    np.testing.assert_array_equal(result.label_map(), segmentation().label_map())


@pytest.mark.parametrize(
    ("codes", "has_background", "said"),
    [
        (DRAWN, True, "2 objects and background"),
        (np.where(DRAWN == 4, 0, DRAWN), True, "1 object and background"),
        (np.zeros_like(DRAWN), True, "0 objects and background"),
        (np.where(DRAWN == 0, 7, DRAWN), True, "3 objects"),
        (DRAWN, False, "3 regions"),
    ],
)
def test_what_is_counted(codes, has_background, said, capsys):
    result = segmentation(codes, has_background)
    segment._tell(result, outputs.image_row(result, "a", "a.png"))
    assert capsys.readouterr().out == f"a: 10x8, drawn at 10x8, {said}\n"


def test_only_background():
    result = segmentation(np.zeros_like(DRAWN))
    assert result.regions() == [] and not result.label_map().any()
    assert not outputs.colours(result.label_map()).any()


def test_files_hold_it(tmp_path):
    result = segmentation()
    result.save(tmp_path, ["id_png"])
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a_labels.png"), result.label_map())
    rows = outputs.region_fields("a", "a.png", result.regions())
    assert [row[2] for row in rows] == ["1", "2"]


def test_the_segmenter_says_so_by_its_model(monkeypatch):
    def drawn(model, params, items, *_, **__):
        for item in items:
            yield drawing.Drawn(
                item.name, item.image, (), DRAWN[None], np.ones((1, 8, 10)), None, item.image
            )

    monkeypatch.setattr(drawing, "draw", drawn)
    config = tiny.tiny_config()
    for has_background in (False, True):
        config.model.palette.background = has_background
        model = model_config.from_config(config)
        segmenter = Segmenter(model, {}, devices=jax.local_devices()[:1])
        result = segmenter(np.zeros((8, 10, 3), np.uint8))
        assert result.has_background == has_background
        assert (result.label_map() == 0).any() == has_background


def test_the_setting_is_off_by_default():
    assert not config_lib.default().model.palette.background
    assert not model_config.from_config(tiny.tiny_config()).palette.background
