"""The search for the largest batch, with compilers whose memory is known."""

import pytest

from bitdiff_jax.compile import fit
from bitdiff_jax.compile.remote import Measured
from bitdiff_jax.errors import InputError

GIB = 2**30


def compiler(needs, usable, calls):
    def compile_batch(batch):
        calls.append(batch)
        needed = int(needs(batch))
        memory = dict.fromkeys(("outputs", "aliased", "code", "peak"), 0)
        fits = needed <= usable
        return Measured(
            program="train", accelerator="v5e-1", batch_size=batch, key="", versions={}, date="",
            lower_seconds=0, compile_seconds=0,
            memory={**memory, "arguments": 5, "temporaries": needed - 5} if fits else {},
            out_of_memory=None if fits else needed,
        )  # fmt: skip

    return compile_batch


def test_the_line_passes_through_both_points():
    line = fit.line((8, 100), (16, 180))
    assert (line.fixed, line.image) == (20, 10)
    assert line.largest(119) == 9 and line.largest(120) == 10 and line.largest(10) == 0


def test_memory_that_does_not_grow_is_an_error():
    with pytest.raises(InputError, match=r"does not grow .* give --no_fit"):
        fit.line((8, 100), (16, 100)).largest(200)


@pytest.mark.parametrize(
    ("wanted", "calls"), [(1, [8, 16, 63]), (8, [8, 16, 63]), (20, [20, 40, 63])]
)
def test_straight_memory_takes_one_confirming_compilation(wanted, calls):
    made = []
    # 1 GiB + batch / 4 GiB <= 16.75 GiB up to 63.
    found = fit.find(
        compiler(lambda b: GIB + b * GIB / 4, 16.75 * GIB, made), int(16.75 * GIB), wanted
    )
    assert made == calls
    assert found.predicted == found.largest == 63
    assert found.line.image == pytest.approx(GIB / 4)


def test_batches_that_do_not_fit_serve_for_the_line():
    made = []
    found = fit.find(compiler(lambda b: 3 * GIB + 2 * b * GIB, 8 * GIB, made), 8 * GIB, 1)
    assert made == [8, 16, 2] and found.largest == 2


def test_a_promise_that_is_not_kept_is_mended():
    made = []
    usable = 100
    # Straight up to 16, then steeper.
    needs = lambda b: 2 * b if b <= 16 else 32 + 4 * (b - 16)  # noqa: E731
    found = fit.find(compiler(needs, usable, made), usable, 8)
    assert made[:3] == [8, 16, 50]
    assert found.largest == made[3] < 50 and needs(found.largest) <= usable


def test_not_one_image_fits():
    made = []
    found = fit.find(compiler(lambda b: 50 + 60 * b, 100, made), 100, 1)
    assert made == [8, 16] and found.largest == found.predicted == 0
