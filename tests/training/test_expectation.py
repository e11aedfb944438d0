import jax
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.training import expectation
from bitdiff_jax.training.expectation import Expectation, Pace, duration, lines
from bitdiff_jax.training.setup import prepare

GIB = 2**30


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.1234, "0.12 seconds"), (3.6, "3.6 seconds"), (80, "80 seconds"), (90, "1.5 minutes"),
     (45 * 60, "45 minutes"), (5400, "1.5 hours"), (36 * 3600, "1.5 days"),
     (2.5e8, "2,894 days")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def test_what_fits_is_one_line():
    expected = Expectation(667_768, int(11.22e9), int(0.4 * GIB), 16 * GIB, 0.12)
    assert lines(expected, 2_050) == [
        "expected: 667,768 parameters, 11.2 GFLOP a step, up to about 0.4 GiB of memory; on this "
        "CPU very roughly 0.12 seconds a step, 4.1 minutes for 2,050 steps"
    ]


def test_days_on_a_cpu_and_too_little_memory_are_warned_of():
    expected = Expectation(39_417_624, int(958.6e9), 11 * GIB, 8 * GIB, 3.6)
    said, days, memory = lines(expected, 300_000)
    assert "12 days for 300,000 steps" in said and "11 GiB" in said
    assert "--config small" in days and "accelerator" in days
    assert "8 GiB" in memory and "--config.train.batch_size" in memory
    assert len(lines(expected, 1_000)) == 2  # an hour is not days


def test_of_an_accelerator_no_time_is_promised():
    (said,) = lines(Expectation(39_417_624, int(958.6e9), 3 * GIB, 16 * GIB, None), 300_000)
    assert "CPU" not in said and said.endswith("3 GiB of memory")


@pytest.mark.slow
def test_what_is_expected_of_a_network():
    """Parameters and state are exact; the maps grow with the batch, and shrink with its parts."""
    config = config_lib.load("base:smoke")
    setup = prepare(config)
    found = expectation.expect(setup)
    leaves = jax.tree.leaves(jax.eval_shape(setup.model.init, jax.random.key(0)))
    assert found.parameters == sum(x.size for x in leaves)
    assert found.memory > 20 * found.parameters and found.step_seconds > 0
    assert found.limit is None or found.limit > GIB
    config.train.batch_size = 16
    wide = expectation.expect(prepare(config))
    config.train.accumulate = 2
    parts = expectation.expect(prepare(config))
    assert wide.step_flops == 2 * found.step_flops == parts.step_flops
    assert wide.memory > found.memory == parts.memory


def test_the_pace_is_told_once(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(expectation.time, "monotonic", lambda: now)
    pace = Pace(10, 300_000, on_cpu=True)
    for step in range(11, 31):
        now += 40.0 if step == 11 else 3.6  # the first compiles
        pace.note(step, jax.numpy.zeros(()))
    said, advice = capsys.readouterr().out.splitlines()
    assert said == (
        "a step takes 3.6 seconds: 12 days to the end of 300,000 steps, without evaluations"
    )
    assert "--config small" in advice
    quick = Pace(0, 100, on_cpu=True)
    for step in range(1, 10):
        now += 1.0
        quick.note(step, jax.numpy.zeros(()))
    assert capsys.readouterr().out == (
        "a step takes 1 seconds: 1.6 minutes to the end of 100 steps, without evaluations\n"
    )
