import json
import tracemalloc

import numpy as np
import pytest

from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import Scoring, draw_some, evaluate, image_measures, protocols
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel.mesh import make_mesh
from tests.evaluation.stubs import SIZE, ListSource, StubModel, count_rows, make_source

SCORING = Scoring((protocols.NATIVE,), image_measures.TABLE_MEASURES)


def _run(source, answer="noise", **options):
    # Some of the blocks are as small as specks.
    request = Request(
        options.pop("num_samples", 1), batch_size=options.pop("batch_size", 4), min_area=0
    )
    options = {"scoring": SCORING, **options}
    return evaluate(StubModel(answer), {}, source, request=request, **options)


def _equal(a, b):
    assert a.names == b.names and a.table.names == b.table.names
    np.testing.assert_allclose(a.table.values, b.table.values, atol=1e-9)


@pytest.fixture
def drawn(monkeypatch):
    """Rows of each batch that was drawn, fillers included."""
    return count_rows(monkeypatch.setattr)


def test_a_perfect_model_scores_one_and_a_blank_one_nothing():
    source = make_source(13, annotators=1)
    options = {"scoring": Scoring(protocols.at_sizes([SIZE]), image_measures.TABLE_MEASURES)}
    perfect = _run(source, "truth", **options)
    assert perfect.means()["ari"] == perfect.means()["iou_symmetric"] == 1
    assert perfect.summary["ari@32"][1:] == (1, 1, 13)
    blank = _run(source, "blank", **options)
    assert blank.means()["ari"] == 0
    assert blank.means()["iou"] < 0.2


@pytest.mark.slow
def test_rows_do_not_depend_on_batches_or_order():
    source = make_source(13)
    whole = _run(source, num_samples=2)
    assert list(whole.table.names) == [item["name"] for item in source]
    _equal(whole, _run(source, num_samples=2, batch_size=1))
    other = _run(ListSource(source.items[::-1]), num_samples=2)
    np.testing.assert_array_equal(other.table.values, whole.table.values[::-1])


def test_shuffled_images_take_away_what_looking_gives():
    source = make_source(13, annotators=1)
    shuffled = _run(source, "truth", shuffle_images=True)
    assert [*shuffled.table.names] == [item["name"] for item in source]
    assert shuffled.means()["ari"] < 0.6
    backwards = _run(ListSource(source.items[::-1]), "truth", shuffle_images=True)
    np.testing.assert_array_equal(shuffled.table.values, backwards.table.values[::-1])


def test_shown_images_make_a_sheet_and_progress_is_told():
    done = []
    source = make_source(5)
    evaluation = _run(source, num_samples=2, num_shown=3, progress=lambda *each: done.append(each))
    assert done == [(i, 5) for i in (1, 2, 3, 4, 5)]
    shown = [each.name for each in evaluation.drawn.values()]
    assert shown == ["picture000", "picture001", "picture002"]
    sheet = evaluation.sheet(cell=32)
    assert sheet.shape[1:] == (8 + 4 * 40, 3) and sheet.shape[0] > 3 * 32
    again = draw_some(
        StubModel("noise"), {}, source, [2, 1], Sampler(), Request(2, min_area=0), mesh=make_mesh()
    )
    np.testing.assert_array_equal(again[1].codes, evaluation.drawn[1].codes)
    assert list(again) == [2, 1] and again[2].name == "picture002"


def test_a_second_start_draws_only_what_has_no_row(tmp_path, drawn):
    source, path = make_source(11), tmp_path / "rows.jsonl"
    whole = _run(source, num_samples=2)
    drawn.clear()

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(source, num_samples=2, rows_file=path, progress=stop)
    # Killed in the middle of a line.
    path.write_bytes(path.read_bytes()[:-20])
    drawn.clear()
    told = []
    again = _run(source, num_samples=2, rows_file=path, resumed=lambda *each: told.append(each))
    assert told == [(3, 11)] and again.num_drawn == 8
    assert len(drawn) == 4  # 16 maps in batches of 4
    _equal(again, whole)
    drawn.clear()
    third = _run(source, num_samples=2, rows_file=path)
    assert not drawn and third.num_drawn == 0
    _equal(third, whole)
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert len({line["name"] for line in lines}) == len(lines) == 11
    # More of the same set, and fewer.
    more = make_source(13)
    assert _run(more, num_samples=2, rows_file=path).num_drawn == 2
    assert len(_run(more, num_samples=2, num_images=2, rows_file=path).table.names) == 2


def test_shuffled_partners_are_the_same_at_a_second_start(tmp_path):
    source, path = make_source(9), tmp_path / "rows.jsonl"

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    options = {"shuffle_images": True}
    with pytest.raises(KeyboardInterrupt):
        _run(source, "image", rows_file=path, progress=stop, **options)
    _equal(_run(source, "image", rows_file=path, **options), _run(source, "image", **options))


@pytest.mark.slow
def test_workers_give_the_same_rows():
    _equal(_run(make_source(6), workers=1), _run(make_source(6)))


class Torn(ListSource):
    def __getitem__(self, index):
        if index in (0, 4):
            raise InputError(f"picture{index} is\ntorn")
        return super().__getitem__(index)


def test_a_image_that_cannot_be_read_ends_it_or_is_an_error():
    items = make_source(6).items
    with pytest.raises(InputError, match="is\ntorn"):
        _run(Torn(items))
    evaluation = _run(Torn(items), keep_going=True, num_shown=2)
    assert evaluation.table.errors == {
        "picture 0": "picture0 is torn", "picture 4": "picture4 is torn",
    }  # fmt: skip
    whole = _run(ListSource(items))
    np.testing.assert_array_equal(evaluation.table.values, whole.table.values[[1, 2, 3, 5]])
    assert list(evaluation.drawn) == [1]


class MadeUp:
    """Pictures made as they are asked for."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        labels = tuple(rng.integers(0, 4, (2, 64, 64), np.int32))
        return {"name": f"picture{index:06d}", "image": image, "labels": labels}


@pytest.mark.slow
def test_memory_is_flat(tmp_path):
    def peak(count):
        tracemalloc.start()
        _run(MadeUp(count), rows_file=tmp_path / str(count))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(8)
    # Its name and, at the end, its figures: 1.5 KB. A picture's labels alone would be 32 KB.
    assert peak(72) - peak(24) < 48 * 6_000
