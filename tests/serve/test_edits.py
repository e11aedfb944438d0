import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import edits
from bitdiff_jax.serve.links import Settings

SHAPE = (20, 30)  # what is looked at; the image is twice as large


class Recorder:
    """Notes what an editor is told."""

    label_map = np.repeat([[1, 2]], 40, axis=0).repeat(30, axis=1)

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *arguments: self.told.append((name, *arguments))


def told(kind, points=None):
    editor = Recorder()
    edits.apply(editor, {"edit": kind, "points": points}, SHAPE)
    (found,) = editor.told
    return found


def test_places_are_those_of_the_image_at_its_own_size():
    assert told("merge", [[0, 0], [19, 29]]) == ("merge", 1, 2)
    name, region, line = told("split", [[0, 15], [19, 29]])
    assert (name, region, line.tolist()) == ("split", 2, [[1, 31], [39, 59]])
    assert told("same", [[0, 0], [19, 29]]) == ("same", (1, 1), (39, 59))
    assert told("different", [[0, 0], [19, 29]]) == ("different", (1, 1), (39, 59))
    assert told("undo") == ("undo",) and told("redraw") == ("redraw",)


def test_a_brush_covers_a_band():
    name, mask = told("paint", [[10, 5], [10, 20]])
    assert name == "paint" and mask.shape == (40, 60)
    rows, columns = np.nonzero(mask)
    assert set(rows) <= set(range(19, 25)) and columns.min() <= 11 and columns.max() >= 41
    assert told("paint", [[0, 0]])[1].any()


def test_what_is_kept_or_extended_is_the_region_of_the_first_point():
    name, mask, region = told("keep", [[10, 20]])
    assert (name, region) == ("paint", 2)
    np.testing.assert_array_equal(mask, Recorder.label_map == 2)
    name, mask, region = told("extend", [[10, 5], [10, 20]])
    assert (name, region) == ("paint", 1)
    np.testing.assert_array_equal(mask, told("paint", [[10, 5], [10, 20]])[1])


@pytest.mark.parametrize(
    ("kind", "points", "says"),
    [
        ("merge", [[0, 0], [1, 1]], "both points lie in one region"),
        ("same", [[0, 0]], "two points are needed"),
        ("different", [[3, 4], [3, 4]], "both points are one place"),
        ("keep", [], "needs points"),
        (["merge"], [[0, 0]], "is not known; use same, different, keep"),
        ("split", [[0, 30]], "leaves the image"),
        ("split", [[-1, 3]], "leaves the image"),
        ("paint", [], "needs points"),
        ("paint", "here", "needs points"),
        ("paint", [[1, 2, 3]], "needs points"),
        ("delete", [[1, 2]], "'delete' is not known"),
        (None, None, "None is not known"),
    ],
)
def test_an_edit_that_cannot_be_done_is_one_sentence(kind, points, says):
    with pytest.raises(InputError) as caught:
        told(kind, points)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_an_edited_result_holds_the_edit_and_undo_takes_it_back(service, photo):
    key = service.draw(service.receive(photo, "blocks.png"), Settings(num_samples=2))
    drawn = service.view(key)
    before = drawn.label_map.copy()
    rows, columns = np.nonzero(before == 2)
    points = [[int(rows[0]), int(columns[0])]]
    other = np.argwhere(before == 1)[0].tolist()
    merged = service.edit(key, {"edit": "merge", "points": [other, *points]})
    held = merged.label_map[np.isin(before, (1, 2))]
    assert (held == held[0]).all() and service.view(key) is merged
    undone = service.edit(key, {"edit": "undo"})
    np.testing.assert_array_equal(undone.full.codes, drawn.full.codes)
    with pytest.raises(InputError, match="nothing was edited yet"):
        service.edit(key, {"edit": "undo"})
    assert service.view(key) is undone


def test_points_told_apart_are_apart_in_all_samples(service, photo):
    key = service.draw(service.receive(photo, "blocks.png"), Settings(num_samples=3))
    p, q = [5, 5], [35, 50]
    for kind, wanted in (("same", True), ("different", False)):
        shown = service.edit(key, {"edit": kind, "points": [p, q]})
        maps = shown.full.label_maps
        assert ((maps[:, 5, 5] == maps[:, 35, 50]) == wanted).all()
        service.edit(key, {"edit": "undo"})
