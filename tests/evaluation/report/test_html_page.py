"""Pages, plots and colours: what is shown is what was found, and nothing is shown of nothing."""

import base64
import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import images
from bitdiff_jax.data.contact_sheet import region_colours
from bitdiff_jax.evaluation import on_files, rows, truths
from bitdiff_jax.evaluation.predictions import open_predictions
from bitdiff_jax.evaluation.protocols import HONEST, NATIVE, PAPER
from bitdiff_jax.evaluation.report import (
    html_page,
    matched_colours,
    plots,
    summary_tables,
    svg,
)
from bitdiff_jax.evaluation.report.page_images import shown_names
from bitdiff_jax.evaluation.statistics.estimates import Estimate
from tests.evaluation.stubs import make_source

NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def texts(drawn):
    return [
        each.text for each in ElementTree.fromstring(drawn).iter() if each.tag.endswith("}text")
    ]


@pytest.mark.parametrize(
    ("low", "high", "count"), [(0, 1, 5), (-0.011, 1, 7), (0, 0.004, 4), (-3, 37, 5), (0, 2e6, 5)]
)
def test_ticks_are_round_and_hold_all(low, high, count):
    found = svg.ticks(low, high, count)
    assert found[0] <= low and found[-1] >= high and 2 <= len(found) <= count + 2
    steps = np.diff(found)
    np.testing.assert_allclose(steps, steps[0])
    assert round(float(f"{steps[0]:.6e}"[:8]), 6) in (1, 2, 5)


def test_plots_of_nothing_are_left_out():
    nan = np.full(4, math.nan)
    assert plots.histogram("t", "x", {"a": nan, "b": nan[:0]}) == ""
    assert plots.scatter("t", "x", "y", nan, nan) == ""
    assert plots.intervals("t", "x", {"a": NOTHING}) == ""


def test_a_histogram_holds_all_values_and_names_its_axes():
    drawn = plots.histogram("t", "ari", {"here": np.array([-0.2, 0.5, 1.0, math.nan])})
    assert {"ari", "share of the pictures", "here, mean 0.433"} <= set(texts(drawn))
    points = re.search(r'points="([^"]*)"', drawn)[1].split()
    x = [float(point.split(",")[0]) for point in points]
    assert min(x) >= 0 and max(x) <= 470


def test_many_points_are_thinned_and_the_title_says_so():
    values = np.arange(1.0, 9001.0)
    drawn = plots.scatter("regions", "x", "y", values, values)
    assert drawn.count("<circle") == 3000 and "regions (3,000 of 9,000 pictures)" in texts(drawn)


def test_colours_follow_the_reference():
    reference = matched_colours.by_area(np.kron([[7, 7], [3, 9]], np.ones((4, 4), int)))
    assert reference[0, 0] == 0 and sorted(np.unique(reference)) == [0, 1, 2]
    other = np.where(reference == 0, 50, np.where(reference == 1, 4, -1))
    other[:2, :2] = 6  # a part of the largest
    found = matched_colours.alike(other, reference)
    assert found[0, 7] == 0 and found[0, 0] == 3
    np.testing.assert_array_equal(found[reference == 1], 1)
    np.testing.assert_array_equal(found[reference == 2], -1)
    first, second = matched_colours.painted([reference, reference + 5], 40)
    np.testing.assert_array_equal(first, second)
    assert (first[1, 1] == region_colours()[0]).all() and first.shape == (40, 40, 3)


@pytest.mark.parametrize("reference", [np.full((3, 3), -1), np.zeros((3, 3), int)])
def test_maps_without_a_region(reference):
    reference = matched_colours.by_area(reference)
    for ids in (np.full((3, 3), -1), np.arange(9).reshape(3, 3)):
        found = matched_colours.alike(ids, reference)
        np.testing.assert_array_equal(found < 0, ids < 0)
        assert len(np.unique(found)) == len(np.unique(ids))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    for name in ("images", "labels", "tool"):
        (root / name).mkdir()
    rng = np.random.default_rng(0)
    for item in make_source(7):
        Image.fromarray(item["image"]).save(root / "images" / f"{item['name']}.png")
        for k, labels in enumerate(item["labels"]):
            images.write_labels(root / "labels" / f"{item['name']}_{k}.png", labels + 1)
            ids = np.where(rng.random(labels.shape) < 0.1 * k, 8, labels)
            images.write_labels(root / "tool" / f"{item['name']}_{k}.png", ids)
    return root


def make_page(folders, tmp_path, views, shown, protocol="honest"):
    truth = truths.open_truths(str(folders))
    tool = open_predictions(folders / "tool", like=truth.names)
    task = on_files.Task(tool, truth, views)
    about = {"predictions": "a/<b>", "ground_truth": "x:/y/z,split=val", "protocol": protocol}
    with rows.RowFile(tmp_path / "rows.jsonl", about, task.columns()) as file:
        on_files.run(task, truth.names, file)
    table = rows.read(tmp_path / "rows.jsonl")
    about["missing"] = {"without_prediction": [f"p{i}" for i in range(40)]}
    page = html_page.page(task, table, summary_tables.summarise(table), about, shown=shown)
    return table, page.decode()


def test_the_page(folders, tmp_path):
    table, page = make_page(folders, tmp_path, (NATIVE,), shown=2)
    assert "<h1>&lt;b&gt; against z,split=val</h1>" in page
    assert "nan" not in re.sub(r'src="[^"]*"', "", page).lower()
    assert "40: p0, p1, p2" in page and "and 28 more" in page
    assert f"{table.column('ari@native').mean():.3f}" in page
    for drawn in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(drawn)
    pictures = re.findall(r'src="data:image/(png|jpeg);base64,([^"]*)"', page)
    # Six of the seven pictures, once each, with two people and two samples.
    assert len(pictures) == 6 * 5 and page.count("<figcaption>") == 6
    for _, data in pictures:
        assert max(Image.open(io.BytesIO(base64.b64decode(data))).size) == 150


@pytest.mark.slow
def test_the_papers_protocol_has_its_difference(folders, tmp_path):
    _, page = make_page(folders, tmp_path, (PAPER, HONEST), shown=0, protocol="paper")
    assert "What the rules are worth: paper - honest" in page and "<figure>" not in page


def test_no_image_is_shown_twice():
    def table(values):
        names = tuple(str(i) for i in range(len(values)))
        return rows.Table(names, ("ari@native",), np.array(values)[:, None], {})

    for count in range(1, 12):
        groups = shown_names(table(np.linspace(0, 1, count)), NATIVE, 3)
        found = [name for group in groups.values() for name in group]
        assert len(found) == len(set(found)) == min(count, 9)
        assert groups["Best"][0] == str(count - 1)
        assert count < 3 or groups["Worst"][0] == "0"
    assert shown_names(table([math.nan] * 4), NATIVE, 2) == {"Some": ["0", "3"]}
    assert shown_names(table([0.5]), NATIVE, 0) == {}


def test_an_object_on_no_region_is_not_painted_like_the_background():
    truth = np.zeros((8, 8), np.int32)  # background 0 around object 1
    truth[2:5, 2:5] = 1
    drawn = np.full((8, 8), -1, np.int32)
    drawn[3:7, 3:7] = 0  # more of it lies on the background than on the object
    assert matched_colours.alike(drawn, matched_colours.by_area(truth))[3, 3] == 1
