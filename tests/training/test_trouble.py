"""A loss that is not finite: found, written down, and if asked left behind."""

import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.errors import InputError, Interrupted
from bitdiff_jax.training import trouble
from bitdiff_jax.training.batches import batch_number, batches
from tests.training import fakes
from tests.training.test_interruption import assert_same, losses, send, train


def metrics(loss=1.0, norm=1.0):
    return {"loss": jnp.float32(loss), "grad_norm": jnp.float32(norm), "mse": jnp.float32(np.nan)}


def test_the_first_bad_step_is_found():
    watch = trouble.Watch()
    for step, loss in enumerate([1, 2, np.inf, np.nan, 3], 7):
        watch.note(step, metrics(loss))
    with pytest.raises(trouble.NonFinite, match="the loss became inf within steps 9 to 11") as e:
        watch.check()
    assert (e.value.first, e.value.last) == (9, 11)
    watch.check()  # what was looked at is forgotten
    watch.note(12, metrics(norm=np.nan))
    with pytest.raises(trouble.NonFinite, match="norm of the gradient became nan"):
        watch.check()


@pytest.mark.parametrize(
    ("first", "log_every", "total", "last"),
    [(1, 1, 9, 1), (1, 5, 9, 5), (5, 5, 9, 5), (6, 5, 9, 9), (6, 5, 20, 10)],
)
def test_the_range_ends_where_an_unbroken_run_would_notice(first, log_every, total, last):
    assert trouble.skip_range(first, log_every, total) == (first, last)


@pytest.mark.parametrize("skipped", [(), (1,), (3, 4), (2, 3, 9), (1, 2, 3, 4, 6, 20)])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_steps_and_batches(skipped, after):
    left = [n for n in range(1, 60) if n not in skipped]
    assert [batch_number(step, skipped) for step in range(1, 30)] == left[:29]

    def open_at(number):
        while True:
            yield number
            number += 1

    stream = batches(open_at, after, skipped)
    assert [next(stream) for _ in range(20)] == left[after : after + 20]


def test_dump_and_load(tmp_path):
    batch = {"image": np.arange(12, dtype=np.uint8).reshape(3, 4), "size": np.ones((2, 2), int)}
    path = trouble.dump(tmp_path, 7, 9, batch, {"seed": 3})
    assert path.name == "step_00000007.process_0.npz"
    back = trouble.load(path)
    assert (back.step, back.batch_number, back.config) == (7, 9, {"seed": 3})
    assert back.batch.keys() == batch.keys()
    for name in batch:
        np.testing.assert_array_equal(back.batch[name], batch[name])
    (tmp_path / "other").write_text("text")
    np.savez(tmp_path / "other.npz", image=batch["image"])
    for name in ("other", "other.npz", "nothing"):
        with pytest.raises(InputError, match="not a batch that a training left"):
            trouble.load(tmp_path / name)


def test_it_stops_and_leaves_the_batch(monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"nan within steps 6 to 6; .*on_nonfinite=skip") as e:
        train(monkeypatch, tmp_path, bad_batches=[6])
    path = next((tmp_path / "trouble").iterdir())
    assert str(path) in str(e.value)
    assert trouble.load(path).batch["number"].tolist() == [6, 6]
    # Nothing that came of it was saved.
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["3"]
    assert set(losses(tmp_path)) == {1, 4}


@pytest.mark.slow
def test_it_goes_back_and_skips(monkeypatch, tmp_path, capsys):
    """Batch 5 is bad: steps 5 to 8, an interval of the log, are taken with later batches."""
    c = fakes.config(on_nonfinite="skip")
    state = train(monkeypatch, tmp_path / "run", c, bad_batches=[5])
    assert "going back to step 3 and skipping batches 5 to 8" in capsys.readouterr().out

    expected, plain = fakes.init(), fakes.setup(c)
    stream = plain.open_batches(1)
    wanted = [n for n in range(1, 20) if n not in (5, 6, 7, 8)][:12]
    got = {}
    for batch in stream:
        if batch["number"][0] in wanted:
            expected, values = plain.train_step(expected, batch, plain.key)
            got[int(expected.step)] = float(values["loss"])
            if int(expected.step) == 12:
                break
    assert_same(state, expected)
    assert losses(tmp_path / "run") == {step: got[step] for step in (1, 4, 8, 12)}


@pytest.mark.slow
@pytest.mark.parametrize("stop", [4, 5, 6, 7, 9])
def test_a_broken_run_skips_what_the_unbroken_one_does(monkeypatch, tmp_path, stop):
    import signal

    c, bad = fakes.config(on_nonfinite="skip"), [5, 10]
    whole = train(monkeypatch, tmp_path / "whole", c, bad_batches=bad)
    came = []

    def at_step(step):
        if step == stop and not came:
            came.append(step)
            send(signal.SIGTERM)

    try:
        train(monkeypatch, tmp_path / "broken", c, bad_batches=bad, at_step=at_step)
    except Interrupted as interrupted:
        assert interrupted.step >= 3
    assert came
    assert_same(whole, train(monkeypatch, tmp_path / "broken", c, bad_batches=bad))
    assert losses(tmp_path / "whole").items() <= losses(tmp_path / "broken").items()


def test_from_scratch_where_nothing_is_saved(monkeypatch, tmp_path):
    c = fakes.config(on_nonfinite="skip")
    state = train(monkeypatch, tmp_path, c, bad_batches=[1])
    assert int(state.step) == 12 and np.isfinite(state.params["w"]).all()


def test_it_does_not_skip_for_ever(monkeypatch, tmp_path):
    c = fakes.config(on_nonfinite="skip", max_skipped=8, log_every=3)
    with pytest.raises(InputError, match=r"would make 9, above config.train.max_skipped=8"):
        train(monkeypatch, tmp_path, c, bad_batches=range(4, 100))


def test_an_unknown_policy_is_named(tmp_path):
    from bitdiff_jax.training.setup import prepare

    with pytest.raises(InputError, match=r"config\.train\.on_nonfinite is 'ignore'"):
        prepare(fakes.config(on_nonfinite="ignore"))
