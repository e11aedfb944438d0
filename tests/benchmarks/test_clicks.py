import numpy as np
import pytest

from benchmarks.quality import clicks
from benchmarks.quality.clicks import Click
from bitdiff_jax.inference import Segmentation


def box(top, left, bottom, right, shape=(40, 60)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_click_is_the_innermost_pixel_of_the_largest_error():
    region = box(10, 10, 31, 31)
    assert clicks.innermost(region) == (20, 20)
    assert clicks.next_click(region, region) is None
    missed = clicks.next_click(box(10, 10, 31, 20), region)
    assert missed.inside and region[missed[:2]] and missed.column >= 20
    exceeded = clicks.next_click(box(10, 10, 31, 60), region)
    assert exceeded == Click(20, exceeded.column, False) and exceeded.column >= 31


def test_a_session_asks_where_the_errors_are():
    region = box(5, 5, 25, 45)

    def predict(done):
        """The region up to the farthest click in it."""
        return region & (np.arange(60) <= max(each.column for each in done if each.inside))

    found, done = clicks.session(predict, region)
    assert len(found) == len(done) == clicks.NUM_CLICKS
    assert all(each.inside for each in done) and found == sorted(found) and found[-1] > found[0]
    again, same = clicks.session(lambda done: region, region, done)
    assert again == [1.0] * clicks.NUM_CLICKS and same == done
    perfect, repeated = clicks.session(lambda done: region, region)
    assert perfect == again and len(set(repeated)) == 1


def test_a_region_is_one_piece_of_fitting_size():
    truth = np.zeros((40, 60), int)
    truth[:2, :2] = 1  # too small
    truth[20:, 40:], truth[20:, 30:39] = 2, 3
    truth[20:22, 50:60], truth[:10, :20] = 4, 2  # two pieces of 2, of which one is larger
    for seed in range(8):
        region = clicks.region_of(truth, np.random.default_rng(seed))
        assert 24 <= region.sum() <= 1200 and len(np.unique(truth[region])) == 1
    assert clicks.region_of(np.zeros((9, 9), int), np.random.default_rng(0)) is None


def test_clicks_are_asked_of_samples():
    shape = (32, 48)
    maps = np.zeros((4, *shape), np.int32)
    maps[:, :, 24:] = 1
    maps[3, :, 12:] = 1  # one sample of four is wrong
    drawn = Segmentation(
        np.zeros((*shape, 3), np.uint8), maps, np.ones(maps.shape, np.float32), seed=0, min_area=0
    )
    truth = np.zeros(shape, bool)
    truth[:, :24] = True
    predict = clicks.in_samples(drawn)
    found, done = clicks.session(predict, truth)
    assert found == [1.0] * clicks.NUM_CLICKS and done[0].inside
    both = predict([Click(5, 5, True), Click(5, 5, False)])  # refused: the last one stays
    np.testing.assert_array_equal(both, truth)
    wrong, asked = clicks.session(predict, np.arange(48) < np.full((32, 1), 12))
    assert wrong[0] == 0.5 and not asked[1].inside and wrong[-1] > wrong[0]


def test_tables_are_of_rows(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"image": 0, "method": "ours", "iou": [0.1, 0.2, 0.3, 0.4, 0.5]}\n')
    clicks.main([f"--rows={path}"])
    text = capsys.readouterr().out
    assert "ours: 1 images" in text and "5: 0.500" in text and "+0.100" in text
    with pytest.raises(SystemExit):
        clicks.main([])
