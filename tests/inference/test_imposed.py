"""What is imposed holds at every pixel; what cannot be met is refused before anything is drawn."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import held_maps, imposed, imposed_codes, programs
from bitdiff_jax.inference.imposed import Constraints
from tests.inference import tiny

DRAW = {"num_samples": 4, "num_steps": 2}
SHAPE = (40, 60)


@pytest.fixture(scope="module")
def image():
    return tiny.image(*SHAPE)


def assert_holds(result, keep):
    """One region for each id and another for each other, in each sample and the consensus."""
    for sample in (None, *range(result.num_samples)):
        label_map = result.label_map(sample)
        assert sorted(np.unique(label_map)) == list(range(1, label_map.max() + 1))
        regions = [np.unique(label_map[keep == i]) for i in np.unique(keep[keep >= 0])]
        assert all(len(each) == 1 for each in regions)
        assert len({int(each[0]) for each in regions}) == len(regions)


def random_keep(rng, shape, num_ids, kind):
    keep = rng.integers(-1, num_ids, shape)
    if kind == "noise":
        return keep
    rows, columns = (np.arange(n) * 5 // n for n in shape)
    blocks = rng.integers(-1, num_ids, (5, 5))[rows[:, None], columns]
    return blocks if kind == "blocks" else np.where(rng.random(shape) < 0.01, keep, -1)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([SHAPE, (9, 17), (1, 300), (200, 3)]),
    st.integers(1, 20),
    st.sampled_from(["noise", "blocks", "dots"]),
    st.sampled_from(["image", "nearest"]),
    st.sampled_from([0.0, 1.0]),
)
def test_any_map_holds_at_every_pixel(seed, shape, num_ids, kind, edges, prompt_weight):
    keep = random_keep(np.random.default_rng(seed), shape, num_ids, kind)
    if (keep < 0).all():
        return
    segmenter = tiny.shared()[1]
    result = segmenter(
        tiny.image(*shape), **DRAW, keep=keep, edges=edges, prompt_weight=prompt_weight
    )
    assert_holds(result, keep)
    assert held_maps.holds(result.label_map(0), result.held.groups)


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (1, 1)])
def test_images_of_one_pixel_and_one_row(segmenter, shape):
    keep = np.full(shape, -1)
    keep[0, 0] = 3
    if keep.size > 1:
        keep[-1, -1] = 0
    assert_holds(segmenter(tiny.image(*shape), **DRAW, keep=keep), keep)


def test_where_everything_is_known_the_map_is_what_is_known(segmenter, image):
    keep = np.arange(40)[:, None] // 14 + 3 * (np.arange(60) // 25)
    result = segmenter(image, **DRAW, keep=keep)
    for sample in (None, 0, 3):
        label_map = result.label_map(sample)
        assert len(np.unique(label_map * 100 + keep)) == label_map.max() == len(np.unique(keep))


def test_nothing_known_is_a_free_sample(segmenter, image):
    free = segmenter(image, **DRAW)
    before = programs.num_compiled()
    for nothing in ({"same": (), "different": ()}, {"keep": None}, {"prompt_weight": 3.0}):
        again = segmenter(image, **DRAW, **nothing)
        np.testing.assert_array_equal(again.codes, free.codes)
        np.testing.assert_array_equal(again.certainty, free.certainty)
    assert programs.num_compiled() == before


def test_weights_of_the_prompt_share_a_program_and_0_needs_no_derivative(segmenter, image):
    keep = np.full(SHAPE, -1)
    keep[:20] = 0
    plain = segmenter(image, **DRAW, keep=keep, prompt_weight=0)
    segmenter(image, **DRAW, keep=keep)
    before = programs.num_compiled()
    strong = segmenter(image, **DRAW, keep=keep, prompt_weight=8.0)
    weak = segmenter(image, **DRAW, keep=keep, prompt_weight=1e-9)
    assert programs.num_compiled() == before
    assert (weak.codes == plain.codes).mean() > 0.999
    assert (strong.codes != plain.codes).any()


def test_points_together_and_apart(segmenter, image):
    same, different = [((0, 0), (39, 59)), ((39, 59), (20, 5))], [((0, 0), (20, 30))]
    result = segmenter(image, **DRAW, same=same, different=different)
    for sample in (None, *range(4)):
        label_map = result.label_map(sample)
        assert label_map[0, 0] == label_map[39, 59] == label_map[20, 5] != label_map[20, 30]


def test_points_join_what_is_kept(segmenter, image):
    keep = np.full(SHAPE, -1)
    keep[:10, :10], keep[30:, 50:] = 4, 9
    result = segmenter(image, **DRAW, keep=keep, same=[((5, 5), (20, 30))])
    assert_holds(result, keep)
    for label_map in result.label_maps:
        assert label_map[20, 30] == label_map[0, 0] != label_map[39, 59]


def test_names_of_the_kept_regions_do_not_matter(segmenter, image):
    keep = random_keep(np.random.default_rng(1), SHAPE, 4, "blocks")
    renamed = np.where(keep < 0, -7, 1000 - 37 * keep)
    first, second = (segmenter(image, **DRAW, keep=each).label_maps for each in (keep, renamed))
    # The order of groups may settle ties between codes, and so rename regions.
    for one, other in zip(first, second, strict=True):
        pairs = np.unique(one * 100 + other)
        assert len(pairs) == one.max() == other.max()


def test_given_keeps_samples_that_meet_the_constraints_or_draws_anew(segmenter, image):
    free = segmenter(image, num_samples=40, num_steps=2, batch_size=4)
    maps = free.label_maps
    assert free.given() is free
    together = maps[:, 0, 0] == maps[:, 39, 59]
    pair, both = ((0, 0), (39, 59)), {}
    for name, meets in (("same", together), ("different", ~together)):
        found = both[name] = free.given(**{name: [pair]})
        wanted = name == "same"
        assert ((found.label_maps[:, 0, 0] == found.label_maps[:, 39, 59]) == wanted).all()
        if meets.sum() >= 8:
            np.testing.assert_array_equal(found.codes, free.codes[meets])
        else:
            assert found.num_samples == 40 and found.held is not None
    few = dataclasses.replace(free, codes=free.codes[:5], certainty=free.certainty[:5], drawn=None)
    drawn = few.given(same=[pair]).given(different=[((0, 0), (20, 30))])
    label_maps = drawn.label_maps
    assert (label_maps[:, 0, 0] == label_maps[:, 39, 59]).all()
    assert (label_maps[:, 0, 0] != label_maps[:, 20, 30]).all()
    with pytest.raises(InputError, match="draw with a segmenter"):
        dataclasses.replace(few, redraw=None).given(same=[pair])


POINTS = [((0, 0), (0, 40))]
KEPT = np.where(np.arange(60) < 30, 2, 5) * np.ones((40, 1), int)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"keep": KEPT[:30]}, "keep is int64 of shape .30, 60.; give integers of the"),
        ({"keep": KEPT * 1.0}, "keep is float64"),
        ({"keep": KEPT * 0 - 1}, "keep: all pixels are unknown; give some an id"),
        ({"keep": np.arange(2400).reshape(SHAPE)}, "keep has 2400 regions, and the model draws 64"),
        ({"keep": KEPT, "same": POINTS}, "same: its pairs join regions 2 and 5 of keep"),
        (
            {"keep": KEPT, "different": [((1, 2), (30, 29))]},
            "different: .row 1, column 2. and .row 30, column 29. lie in one region",
        ),
        ({"same": POINTS, "different": POINTS}, "lie in one region by keep or same; leave out"),
        ({"different": [((1, 1), (1, 1))]}, "is named twice in one pair"),
        ({"different": [((1, 1), (1, 2))]}, "lie in one pixel of the 11 x 16 that the network"),
        (
            {"different": [((0, 0), (20 + i // 13, 4 * (i % 13))) for i in range(64)]},
            "different: a point is to lie apart from 64 others, and the model draws 64 regions",
        ),
        ({"same": [((0, 0), (40, 0))]}, "same: point .40, 0. lies outside of 40 x 60"),
        ({"same": [((0, 0), (-1, 0))]}, "same: point .-1, 0. lies outside"),
        ({"same": [((0, 0), (1.5, 0))]}, "same must be .row, column. of integers"),
        ({"same": [((0, 0), (1, 1), (2, 2))]}, "same must hold pairs of points"),
        ({"prompt_weight": -1}, "prompt_weight is -1; give a finite number of 0 or more"),
        ({"prompt_weight": float("nan")}, "prompt_weight is nan"),
    ],
)  # fmt: skip
def test_contradictions_are_found_before_drawing(
    segmenter, image, monkeypatch, constraints, message
):
    monkeypatch.setattr(programs, "compiled", lambda *_: pytest.fail("drawn"))
    with pytest.raises(InputError, match=message) as error:
        segmenter(image, **DRAW, **constraints)
    assert "\n" not in str(error.value)


def test_thin_things_are_imposed_on_the_cells_that_they_touch():
    pixels = np.full((80, 80), -1)
    pixels[:40, :40] = 0  # covers 8 x 8 cells of 5 x 5 pixels
    pixels[61, 50:80] = 1  # a line
    pixels[5, 60] = 2  # a point
    pixels[40:42, :40] = 0  # less than half of the cells below: drawn, not imposed
    groups = imposed.groups_of(Constraints(pixels), (80, 80), (16, 16), 64)
    wanted = np.full((16, 16), -1)
    wanted[:8, :8] = 0
    wanted[12, 10:] = 1
    wanted[1, 12] = 2
    np.testing.assert_array_equal(groups.cells, wanted)
    np.testing.assert_array_equal(groups.pixels, pixels)


def test_a_background_is_code_0_and_no_other_region_is(image):
    pixels = np.full((16, 16), -1)
    pixels[:4], pixels[8:12], pixels[12:] = 0, 3, 7
    groups = imposed.groups_of(Constraints(pixels), (16, 16), (16, 16), 64, has_background=True)
    free = np.zeros((2, 16, 16), np.int32)  # all background
    held = imposed_codes.of_free_samples(groups, free, None, 64, True)
    assert groups.background == 0 and (held.codes[:, 0] == 0).all()
    assert (held.codes[:, 1:] > 0).all() and (held.codes[:, 1] != held.codes[:, 2]).all()


@pytest.mark.parametrize("name", ["same", "different"])
@pytest.mark.parametrize("value", [5, None])
def test_what_is_no_sequence_of_pairs_is_told(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}; give pairs of points"):
        Constraints(**{name: value})


def test_keep_of_ragged_rows_or_of_ids_that_do_not_fit_is_told():
    shape = (4, 4)
    ragged = Constraints(keep=[[1, 2], [3]])
    with pytest.raises(InputError, match="keep has rows of different lengths; give integers"):
        imposed.groups_of(ragged, shape, shape, 64)
    huge = Constraints(keep=np.full(shape, 2**63 + 5, np.uint64))
    with pytest.raises(InputError, match=r"keep: id 9223372036854775813 is 2\^63 or more"):
        imposed.groups_of(huge, shape, shape, 64)


def test_the_interval_of_numbers_counts_what_is_held(image):
    keep = np.full(SHAPE, -1)
    keep[::9, ::9] = np.arange(35).reshape(5, 7)  # single pixels
    result = tiny.shared()[1](image, **DRAW, keep=keep, prompt_weight=0)
    counts = [int(result.label_map(k).max()) for k in range(result.num_samples)]
    assert min(counts) >= 35
    assert result.num_regions_interval == (min(counts), max(counts))
