"""Edits hold, can be taken back, and are replayed to the same bits."""

import json

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import edit_masks, programs
from tests.inference import tiny

SHAPE = (40, 60)


@pytest.fixture(scope="module")
def image():
    return tiny.image(*SHAPE)


@pytest.fixture
def editor(segmenter, image):
    return segmenter.open(image, num_steps=2, seed=1)


def block(rows, columns):
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


LEFT, RIGHT = block(slice(0, 40), slice(0, 20)), block(slice(5, 30), slice(40, 60))


def is_one_region(label_map, mask):
    return len(np.unique(label_map[mask])) == 1


def test_an_editor_begins_with_the_free_sample(segmenter, image, editor):
    want = segmenter(image, num_steps=2, seed=1)
    np.testing.assert_array_equal(editor.label_map, want.label_map())
    assert (editor.keep == -1).all() and editor.history == []


def test_what_is_painted_is_one_region(editor):
    label_map = editor.paint(LEFT)
    assert is_one_region(label_map, LEFT)
    label_map = editor.paint(RIGHT)
    assert is_one_region(label_map, LEFT) and is_one_region(label_map, RIGHT)
    assert label_map[0, 0] != label_map[6, 41]
    # A part of the first is made over to the second.
    label_map = editor.paint(block(slice(0, 10), slice(0, 10)), region=label_map[6, 41])
    assert label_map[0, 0] == label_map[6, 41] != label_map[20, 5]


def test_merged_regions_are_one(editor):
    editor.paint(LEFT)
    label_map = editor.paint(RIGHT)
    first, second = label_map[0, 0], label_map[6, 41]
    both = np.isin(label_map, (first, second))
    assert is_one_region(editor.merge(first, second), both)
    label_map = editor.paint([[35, 55]])
    both[35, 55] = False
    assert is_one_region(label_map, both)  # what was merged stays


def test_a_split_parts_the_scribble_from_what_is_far(editor):
    label_map = editor.paint(np.ones(SHAPE, bool))
    assert label_map.max() == 1
    label_map = editor.split(1, [[3, 2], [30, 4]])
    assert label_map.max() >= 2
    assert is_one_region(label_map, edit_masks.as_mask([[3, 2], [30, 4]], SHAPE, "scribble"))
    assert is_one_region(label_map, block(slice(0, 40), slice(40, 60)))
    assert label_map[3, 2] != label_map[20, 50]
    assert (editor.keep[:, 25] == -1).all()  # between the two the border is drawn


def test_points_that_lie_together_and_apart(editor):
    free = editor.label_map
    p, (q, *_) = (3, 2), np.argwhere(free != free[3, 2]).tolist()
    label_map = editor.same(p, q)
    assert label_map[p] == label_map[tuple(q)] and (editor.keep == -1).all()
    label_map = editor.different((3, 2), [30, 50])
    assert label_map[p] == label_map[tuple(q)] != label_map[30, 50]
    # It is held by later edits and draws, and taken back with the edit that said it.
    label_map = editor.paint(block(slice(0, 6), slice(0, 6)))
    assert label_map[p] == label_map[tuple(q)] != label_map[30, 50]
    with pytest.raises(InputError, match=r"different: .* lie in one region by keep or same"):
        editor.merge(label_map[p], label_map[30, 50])
    for _ in range(3):
        label_map = editor.undo()
    np.testing.assert_array_equal(label_map, free)


def test_undo_and_redo_give_back_the_bits(editor):
    maps = [editor.label_map, editor.paint(LEFT), editor.redraw(), editor.paint(RIGHT)]
    for want in maps[-2::-1]:
        np.testing.assert_array_equal(editor.undo(), want)
    with pytest.raises(InputError, match="undo: there is no edit to take back"):
        editor.undo()
    for want in maps[1:]:
        np.testing.assert_array_equal(editor.redo(), want)
    with pytest.raises(InputError, match="redo: no edit was taken back"):
        editor.redo()
    editor.undo()
    editor.paint(block(slice(0, 3), slice(50, 60)))
    with pytest.raises(InputError, match="redo"):
        editor.redo()


def test_an_edit_after_undo_is_as_if_the_other_had_not_been(segmenter, image, editor):
    editor.paint(RIGHT)
    editor.undo()
    want = segmenter.open(image, num_steps=2, seed=1).paint(LEFT)
    np.testing.assert_array_equal(editor.paint(LEFT), want)


def test_redraw_draws_what_is_free_from_other_noise(editor):
    before = editor.paint(LEFT)
    after = editor.redraw()
    assert is_one_region(after, LEFT) and (before != after).any()
    np.testing.assert_array_equal(editor.redraw(seed=1), before)


def test_a_history_is_replayed_to_the_same_bits(segmenter, image, editor, tmp_path):
    editor.paint(LEFT)
    editor.redraw()
    editor.split(editor.label_map[0, 0], block(slice(0, 40), slice(0, 3)))
    editor.paint(RIGHT)
    editor.same((35, 30), (38, 45))
    label_map = editor.merge(*np.unique(editor.label_map)[:2])
    editor.different(tuple(np.argwhere(label_map == 1)[0]), np.argwhere(label_map > 1)[-1])
    editor.paint(block(slice(0, 2), slice(58, 60)))
    editor.undo()
    path = tmp_path / "edits.json"
    editor.save(path)
    before = programs.num_compiled()
    again = segmenter.replay(image, path)
    assert programs.num_compiled() == before
    np.testing.assert_array_equal(again.label_map, editor.label_map)
    np.testing.assert_array_equal(again.keep, editor.keep)
    np.testing.assert_array_equal(again.segmentation.codes, editor.segmentation.codes)
    assert again.history == editor.history
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_encoder_runs_once(segmenter, image, monkeypatch):
    """A model with an encoder: its features are kept from the first draw on."""
    calls = []

    def split_encoder(model, params):
        return params, lambda image, size: calls.append(size) or np.zeros((2, 2, 3), np.float16)

    monkeypatch.setattr("bitdiff_jax.inference.canvas.drawing.split_encoder", split_encoder)
    canvas = segmenter.canvas(image)
    assert canvas._features() is canvas._features()
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda e: e.merge(1, 99), "b is 99; the regions are 1 to"),
        (lambda e: e.merge(1, 1), "a and b are both region 1; name two"),
        (lambda e: e.merge("sky", 1), "a is 'sky'; give an integer"),
        (lambda e: e.merge(True, 1), "a is True; give an integer"),
        (lambda e: e.merge(1, 2.0), "b is 2.0; give an integer"),
        (lambda e: e.split(True, LEFT), "region is True; give an integer"),
        (lambda e: e.split(LEFT, 1), "region is array.* give an integer"),
        (lambda e: e.split(1, True), "scribble has shape ..; give bool of the image's shape"),
        (lambda e: e.split(1, "here"), "scribble is <U4 of shape ..; give bool"),
        (lambda e: e.paint(LEFT, True), "region is True; give an integer"),
        (lambda e: e.same((1, 2), (1, 2)), r"same: p and q are both \(1, 2\); name two points"),
        (lambda e: e.same((1, 2), (40, 2)), "same: point .40, 2. lies outside of 40 x 60"),
        (lambda e: e.different((1, 2), 3), "different must be .row, column. of integers"),
        (lambda e: e.different([(1, 2)], (3, 4)), "different takes one point .*got .*1, 2"),
        (lambda e: e.different((1, 2), (1, 3)), "lie in one pixel of the .* farther apart"),
        (lambda e: e.redraw(True), "seed is True; give an integer"),
        (lambda e: e.apply("merge"), "edit is 'merge'; give a mapping"),
        (lambda e: e.paint(np.zeros(SHAPE, bool)), "mask: is empty; mark at least one pixel"),
        (lambda e: e.paint(np.ones((9, 9), bool)), "mask has shape .9, 9.; give bool"),
        (lambda e: e.paint([]), "mask is float64 of shape .0,.; give bool"),
        (lambda e: e.paint([[50, 3]]), "mask: point .50, 3. lies outside of 40 x 60"),
        (lambda e: e.paint(LEFT, region=99), "region is 99"),
        (lambda e: e.split(1, np.zeros(SHAPE, bool)), "scribble: is empty"),
        (lambda e: e.split(1, e.label_map != 1), "scribble: has no pixel in region 1"),
        (lambda e: e.split(1, e.label_map == 1), "scribble: covers all of region 1"),
        (lambda e: e.redraw(-1), "seed is -1"),
        (lambda e: e.apply({"edit": "erase"}), "edit is 'erase'; use merge, split"),
        (lambda e: e.apply({"edit": "merge", "a": 1}), "edit merge: .*give it as `history` does"),
        (lambda e: e.apply({"edit": "paint", "mask": [3, 4]}), "runs do not have the 40 x 60"),
    ],
)  # fmt: skip
def test_an_edit_that_is_refused_changes_nothing(editor, edit, message):
    editor.paint(RIGHT)
    before, history = editor.label_map, editor.history
    with pytest.raises(InputError, match=message) as error:
        edit(editor)
    assert "\n" not in str(error.value)
    assert editor.history == history
    np.testing.assert_array_equal(editor.label_map, before)


def test_a_history_of_something_else_is_refused(segmenter, image, editor, tmp_path):
    path = tmp_path / "edits.json"
    editor.save(path)
    with pytest.raises(InputError, match="holds edits of another picture, ''"):
        segmenter.replay(255 - image, path)
    saved = json.loads(path.read_text())
    for other in ({"format": "other"}, {"edits": 3}, {"edits": [3]}, {"name": None}):
        path.write_text(json.dumps(saved | other))
        with pytest.raises(InputError, match="is no history of edits"):
            segmenter.replay(image, path)
    path.write_text(json.dumps(saved | {"settings": {"colour": 3}}))
    with pytest.raises(InputError, match=r"settings: .*colour"):
        segmenter.replay(image, path)
    with pytest.raises(InputError, match="not valid JSON"):
        path.write_text("{")
        segmenter.replay(image, path)


@pytest.mark.parametrize("seed", range(5))
def test_runs_give_the_mask_back(seed):
    mask = np.random.default_rng(seed).random((7, 9)) < [0, 0.2, 0.5, 0.9, 1][seed]
    np.testing.assert_array_equal(edit_masks.of_runs(edit_masks.runs(mask), (7, 9)), mask)


def test_runs_whose_sum_wraps_round_are_refused():
    with pytest.raises(InputError, match="its runs do not have the 4 x 4 pixels"):
        edit_masks.of_runs([2**62] * 4 + [16], (4, 4))


@pytest.mark.parametrize("marked", [[[1, 2], [3]], np.ones((4, 6), int), np.zeros((0, 2), int)])
def test_what_is_neither_a_mask_nor_a_line_is_told_in_one_line(marked):
    with pytest.raises(InputError, match=r"scribble .*give bool") as told:
        edit_masks.as_mask(marked, (4, 6), "scribble")
    assert "\n" not in str(told.value)
