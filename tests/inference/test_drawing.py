"""The engine itself, on models whose answers are known; what it draws of sources and of streams
stands in `tests.evaluation.test_source_maps` and `test_segmenter`."""

import itertools

import jax
import numpy as np
import pytest

from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import evaluate
from bitdiff_jax.inference import programs
from bitdiff_jax.inference.drawing import Item, draw
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel.mesh import make_mesh
from tests.evaluation.stubs import SIZE, StubModel, count_rows, make_source, tiny_model

SAMPLER = Sampler(2)


def items(count):
    return [
        Item(f"i{n}", np.full((SIZE, 16), n, np.uint8)[..., None].repeat(3, 2))
        for n in range(count)
    ]


def run(count, request, **options):
    mesh = make_mesh(devices=jax.devices()[:1])
    return draw(StubModel("image"), {}, items(count), SAMPLER, request, mesh=mesh, **options)


def test_each_image_has_its_maps_in_the_order_of_the_items():
    drawn = list(run(5, Request(3, batch_size=4)))
    assert [each.name for each in drawn] == [f"i{n}" for n in range(5)]
    for n, each in enumerate(drawn):
        assert each.codes.shape == each.certainty.shape == (3, SIZE, 16)
        assert (each.codes == n).all() and (each.image == n).all()


def test_the_last_batch_is_filled_and_others_may_be_blank(monkeypatch):
    sizes = count_rows(monkeypatch.setattr)
    assert len(list(run(5, Request(batch_size=4)))) == 5
    assert sizes == [4, 4]
    # As many batches as eleven images need, though this process has one, or none.
    for count in (1, 0):
        sizes.clear()
        assert len(list(run(count, Request(batch_size=4), num_items=11))) == count
        assert sizes == [4, 4, 4]
    sizes.clear()
    assert list(run(0, Request(batch_size=4))) == [] and sizes == []


@pytest.mark.parametrize(("overlap", "most"), [(False, 2), (True, 4)])
def test_items_are_taken_no_further_than_they_must(overlap, most):
    taken = []

    def noted():
        for item in items(9):
            taken.append(item.name)
            yield item

    drawn = draw(
        StubModel(), {}, noted(), SAMPLER, Request(batch_size=2), overlap=overlap,
        mesh=make_mesh(devices=jax.devices()[:1]),
    )  # fmt: skip
    assert not taken
    next(drawn)
    assert len(taken) == most


def test_a_size_of_its_own_stretches_the_image():
    (drawn,) = draw(
        StubModel(), {}, [Item("a", np.zeros((40, 80, 3), np.uint8), size=(32, 20))], SAMPLER,
        Request(),
    )  # fmt: skip
    assert drawn.codes.shape == (1, 32, 20)


@pytest.mark.parametrize("changed", [{"num_samples": 0}, {"batch_size": 0}, {"seed": 2**32}])
def test_numbers_out_of_range_are_refused_by_name(changed):
    with pytest.raises(InputError, match=f"{next(iter(changed))} is "):
        Request(**changed)


@pytest.mark.slow
def test_an_evaluation_tells_too_little_memory_and_broken_parameters_too(monkeypatch):
    model, params = tiny_model()
    broken = jax.tree.map(lambda x: x * np.nan, params)
    with pytest.raises(InputError, match="not finite"):
        evaluate(model, broken, make_source(2), SAMPLER, Request(batch_size=2))

    def exhausted(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 9 bytes")

    monkeypatch.setattr(programs, "compiled", exhausted)
    with pytest.raises(InputError, match=r"batch_size=2: .*lower it") as error:
        evaluate(model, params, make_source(2), SAMPLER, Request(batch_size=2))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_samples_of_an_image_may_fall_into_several_batches():
    request = Request(5, seed=4, batch_size=3)
    mesh = make_mesh(devices=jax.devices()[:1])
    some = list(draw(StubModel("noise"), {}, items(3), SAMPLER, request, mesh=mesh))
    alone = list(
        itertools.chain.from_iterable(
            draw(StubModel("noise"), {}, [item], SAMPLER, request, mesh=mesh) for item in items(3)
        )
    )
    for a, b in zip(some, alone, strict=True):
        np.testing.assert_array_equal(a.codes, b.codes)
        assert len({codes.tobytes() for codes in a.codes}) == 5
