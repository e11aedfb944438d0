"""The same losses on one device, eight, 4 x 2 and two processes; and what is communicated."""

import json

import numpy as np
import pytest

from tests.parallel import launch
from tests.parallel.training_runs import STEPS

pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]

_PROGRAM = ("-m", "tests.parallel.training_runs")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    port = launch.free_port()
    launch.succeed([[*_PROGRAM, folder / "alone"]], devices=8)
    launch.succeed([[*_PROGRAM, folder / str(i), i, port] for i in range(2)], devices=4)
    alone, first, second = (json.loads((folder / name).read_text()) for name in ("alone", "0", "1"))
    assert first["processes"] == second["processes"]
    return alone | first


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("eight", STEPS),
        ("fsdp", STEPS),
        ("processes", STEPS),
        ("accumulate", 2),
    ],
)
def test_the_same_batches_give_the_same_losses(runs, name, steps):
    one = runs["one"][:steps]
    assert len({step["loss"] for step in one}) == steps
    assert len(runs[name]) == steps
    for expected, step in zip(one, runs[name], strict=True):
        assert step.keys() == expected.keys()
        for metric, value in step.items():
            np.testing.assert_allclose(value, expected[metric], rtol=1e-5, err_msg=metric)


def test_muon_takes_the_same_steps_where_its_momentum_is_split(runs):
    assert len(runs["muon"]) == 4
    assert runs["muon"] != runs["one"][:4]
    for expected, step in zip(runs["muon"], runs["muon_fsdp"], strict=True):
        for metric, value in step.items():
            np.testing.assert_allclose(value, expected[metric], rtol=1e-4, err_msg=metric)


def test_accumulation_communicates_after_the_loop_only(runs):
    everywhere, in_loops = runs["collectives"]
    assert in_loops == []
    assert set(everywhere) == {"all-reduce"}


def test_split_parameters_are_gathered_and_their_gradients_scattered(runs):
    everywhere, in_loops = runs["fsdp_collectives"]
    assert in_loops == []
    # Nothing else: no row of the batch and no activation changes its device.
    assert set(everywhere) == {"all-gather", "all-reduce", "reduce-scatter"}
    assert everywhere.count("all-gather") == everywhere.count("reduce-scatter")


def test_split_state_takes_what_arithmetic_says(runs):
    told, measured, whole = runs["bytes"]
    assert told == measured
    assert whole / 2 < measured < 0.9 * whole
