import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from bitdiff_jax import metrics
from bitdiff_jax.data.contact_sheet import region_colours
from bitdiff_jax.evaluation.protocols import NATIVE
from bitdiff_jax.evaluation.report import labelled_sheet

ARI = metrics.MEASURES[0]
TRUTH = np.repeat([[0, 0, 0, 1, 1, 2]], 6, axis=0).repeat(8, axis=0).repeat(8, axis=1)
GAP = labelled_sheet.GAP


def sheet(rows, heads, **options):
    return labelled_sheet.sheet(rows, heads, NATIVE, ARI, cell=48, **options)


def test_a_region_has_one_colour_along_a_row():
    renamed = np.array([7, 3, 40])[TRUTH]
    row = labelled_sheet.SheetRow("a", None, [TRUTH], [renamed, np.zeros_like(TRUTH)])
    got = sheet([row], ["one", "two"])
    # Middles of the regions in the truth, in the map of other ids, and in the map of one region.
    line = got[40]
    columns = [GAP + k * (48 + GAP) for k in range(3)]
    colours = region_colours()
    for place, want in ((12, 0), (32, 1), (44, 2)):
        for column in columns[:2]:
            np.testing.assert_array_equal(line[column + place], colours[want])
    np.testing.assert_array_equal(line[columns[2] + 44], colours[0])
    assert got.shape[1] == GAP + 3 * (48 + GAP)


def test_the_score_is_of_the_very_map_that_is_shown():
    half = np.minimum(TRUTH, 1)
    annotators = [TRUTH, np.where(TRUTH == 2, -1, TRUTH)]
    assert labelled_sheet.score_text(TRUTH, annotators, NATIVE, ARI) == "ari 1.000"
    known = annotators[1] >= 0
    one = adjusted_rand_score(TRUTH.ravel(), half.ravel())
    want = (one + adjusted_rand_score(TRUTH[known], half[known])) / 2
    found = labelled_sheet.score_text(half, annotators, NATIVE, ARI)
    assert float(found.removeprefix("ari ")) == pytest.approx(want, abs=6e-4)
    assert labelled_sheet.score_text(TRUTH, [TRUTH * 0 - 1], NATIVE, ARI) == ""


def test_rows_of_other_numbers_of_maps_and_none_at_all():
    image = np.full((48, 48, 3), 90, np.uint8)
    rows = [
        labelled_sheet.SheetRow("a", image, [TRUTH], [TRUTH, TRUTH]),
        labelled_sheet.SheetRow("b", None, [TRUTH], [TRUTH]),
    ]
    got = sheet(rows, labelled_sheet.sample_heads(2))
    assert got.shape[1] == GAP + 4 * (48 + GAP)
    assert sheet([], []).shape[2] == 3
    assert labelled_sheet.sample_heads(1) == ["sample"]


@pytest.mark.parametrize("name", ["two\nlines", "a\r\nb", "bell\x07", "中文"])
def test_any_name_of_a_file_is_one_line(name):
    plain = sheet([labelled_sheet.SheetRow("a", None, [TRUTH], [TRUTH])], ["one"])
    got = sheet([labelled_sheet.SheetRow(name, None, [TRUTH], [TRUTH])], ["one"])
    assert got.shape == plain.shape


def test_the_note_below_is_whole_in_a_narrow_sheet():
    """The same letters in a narrow sheet take more lines, and none of them is cut."""
    row = labelled_sheet.SheetRow("a", None, [TRUTH], [TRUTH])
    metric = ARI.metrics[0]
    note = f"{metric.name}: {metric.label}, of the map above, mean over annotators"
    lines = labelled_sheet._lines(f"{note}; {metric.direction}", 48 * 2 + GAP)
    assert " ".join(lines) == f"{note}; {metric.direction}" and len(lines) > 2
    narrow = sheet([row], ["one"])
    below = narrow[narrow.shape[0] - len(lines) * (12 + 12) :]
    assert (below.min(axis=(1, 2)) < 128).any()
    assert (below[:, -GAP:] == 255).all()
