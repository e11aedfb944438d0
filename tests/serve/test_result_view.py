import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import result_view
from bitdiff_jax.serve.result_view import ResultView
from tests.serve.conftest import samples, segmentation

TOP, BOTTOM, LEFT = (2, 40), (28, 40), (10, 4)


def test_two_points(view):
    assert view.together(TOP, BOTTOM) == "The two points lie in one region in 3 of 4 samples (75%)."
    assert view.together(TOP, LEFT) == "The two points lie in one region in 0 of 4 samples (0%)."
    with pytest.raises(InputError, match=r"the point \(32, 0\) lies outside"):
        view.together((32, 0), TOP)


def test_the_summary_tells_how_many_regions_the_samples_have(view):
    assert view.summary().startswith("2 regions (90 % of the 4 samples have 2 to 3), mean")
    alike = ResultView.of(segmentation(samples()[:3]))
    assert alike.summary().startswith("2 regions (90 % of the 3 samples have 2), mean")


def test_the_question_and_its_answers(view):
    asked = view.question
    assert asked.prob_same == 0.75
    yes = view.answered(asked.p, asked.q, True)
    no = view.answered(asked.p, asked.q, False)
    assert yes.kept.tolist() == [0, 1, 2] and no.kept.tolist() == [3]
    assert yes.question is None and no.question is None
    assert yes.label_map.max() == 2 and no.label_map.max() == 3
    # What is written is what is shown.
    np.testing.assert_array_equal(no.full.label_map(), no.label_map)
    np.testing.assert_array_equal(no.full.codes, view.full.codes[[3]])
    assert "3 regions" in no.summary() and view.answers == () and no.answers == (False,)


def test_an_answer_that_no_sample_gives(view):
    with pytest.raises(InputError, match="none of the samples that are left says so; take back"):
        view.answered(TOP, LEFT, True)
    with pytest.raises(InputError, match="lies outside"):
        view.answered((0, 99), LEFT, True)


def test_answers_one_after_the_other_keep_the_right_samples():
    halves, _, _, parted = samples()
    quarters = parted.copy()
    quarters[4:, :6] = 3
    view = ResultView.of(segmentation([halves, parted, quarters, parted]))
    once = view.answered(TOP, BOTTOM, False)
    twice = once.answered(LEFT, (30, 4), True)
    assert once.kept.tolist() == [1, 2, 3] and twice.kept.tolist() == [1, 3]
    np.testing.assert_array_equal(twice.full.codes, view.full.codes[[1, 3]])


def test_finer_and_coarser(view):
    assert view.label_map.max() == 2
    assert view.cut(0.2).label_map.max() == 3
    assert view.cut(0.3).label_map.max() == 2
    assert view.cut(1.0).label_map.max() == 1
    assert view.cut(0.2).cut(None).label_map.max() == 2
    np.testing.assert_array_equal(view.cut(0.2).full.label_map(), view.cut(0.2).label_map)
    with pytest.raises(InputError, match="linkage"):
        view.cut(1.5)


def test_regions(view):
    left, right = view.regions()
    assert left["area"] == right["area"] == 8 * 6 * 16 and left["share"] == 0.5
    assert (left["low"], left["high"]) == (768, 768)
    assert (right["low"], right["high"]) == (384, 768)
    assert left["neighbours"] == [2] and right["neighbours"] == [1]
    assert left["agreement"] == pytest.approx(1) and right["agreement"] < 1
    assert len(view.regions(3)) == 3
    with pytest.raises(InputError, match="sample 4 is not among"):
        view.regions(4)


def test_areas_are_of_the_image_though_a_copy_is_looked_at(monkeypatch):
    monkeypatch.setattr(result_view, "VIEW_SIDE", 24)
    view = ResultView.of(segmentation(samples()))
    assert view.small.shape == (16, 24) and view.full.shape == (32, 48)
    assert [each["area"] for each in view.regions()] == [768, 768]
    assert view.regions()[1]["low"] == 384
    assert view.full.label_map().shape == (32, 48)


def test_what_is_shown_is_plain(view):
    import json

    shown = json.loads(json.dumps(view.shown()))
    assert shown["sample"] is None and len(shown["samples"]) == 4 and len(shown["regions"]) == 2
    assert shown["question"] and shown["boundary"] and shown["agreement"]
    assert view.shown(3)["sample"] == 3 and len(view.shown(3)["regions"]) == 3


def test_one_sample_says_nothing_of_others():
    view = ResultView.of(segmentation(samples()[:1]))
    shown = view.shown()
    assert shown["boundary"] is None and shown["agreement"] is None and shown["question"] is None
    assert shown["regions"][0]["low"] is None and shown["regions"][0]["agreement"] is None
    assert view.summary() == "2 regions"


def test_a_background_is_no_region():
    view = ResultView.of(segmentation(samples(), has_background=True))
    assert [each["id"] for each in view.regions()] == [1]
    assert view.regions()[0]["neighbours"] == [] and "1 object (" in view.summary()


def test_guidance_is_told():
    view = ResultView.of(segmentation(samples(), guided=True))
    assert "faithful" in view.notes()[-1]
    assert not any("guidance" in each for each in ResultView.of(segmentation(samples())).notes())


def test_one_pixel():
    view = ResultView.of(segmentation(np.zeros((2, 1, 1)), scale=1))
    assert view.regions()[0]["area"] == 1 and view.question is None
