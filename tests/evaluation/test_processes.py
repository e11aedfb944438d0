"""Two processes with two devices each evaluate 13 pictures, as one with four does."""

import json

import numpy as np
import pytest

from tests.parallel import launch
from tests.parallel.training_runs import collectives

pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]

_PROGRAM = ("-m", "tests.evaluation.two_processes")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    port = launch.free_port()
    launch.succeed([[*_PROGRAM, folder / "alone"]], devices=4)
    launch.succeed([[*_PROGRAM, folder / str(i), i, port] for i in range(2)], devices=2)
    return [json.loads((folder / name).read_text()) for name in ("alone", "0", "1")]


def test_there_were_as_many_processes_as_meant(runs):
    assert [(run["processes"], run["devices"]) for run in runs] == [(1, 4), (2, 4), (2, 4)]


@pytest.mark.parametrize("what", ["rows", "means", "shown", "sheet", "single", "told"])
def test_each_process_has_the_metrics_of_one_alone(runs, what):
    alone, first, second = (run[what] for run in runs)
    assert alone == first == second
    if what == "rows":
        names, metrics = alone
        assert names == [f"picture{i:03d}" for i in range(13)]
        assert len({tuple(each) for each in metrics}) == 13
    if what == "told":
        assert alone == [13, 13]


def test_a_second_start_continues_from_the_rows_of_the_first_process(runs):
    alone, first, second = runs
    np.testing.assert_allclose(alone["resumed"][1], alone["rows"][1], rtol=1e-9)
    assert alone["resumed"] == first["resumed"] == second["resumed"]
    assert first["resumed_told"] == second["resumed_told"] == [[4, 13]]
    assert first["num_drawn"] == second["num_drawn"] == 9
    assert first["has_file"] and not second["has_file"]


def test_each_process_makes_the_same_number_of_calls(runs):
    alone, first, second = runs
    # 39 maps in batches of 8; 21 and 18 maps in batches of 4, the last of them spare.
    assert alone["calls"] == [8] * 5
    assert first["calls"] == second["calls"] == [4] * 6
    assert first["single_calls"] == second["single_calls"] == [4]


def test_a_network_with_split_parameters_draws_the_same_maps(runs):
    alone, first, second = (np.concatenate(run["codes"]) for run in runs)
    np.testing.assert_array_equal(first, second)
    assert np.mean(alone == first) > 0.999
    assert len(np.unique(alone)) > 8


def test_what_one_process_cannot_read_ends_all(runs):
    alone, first, second = (run["error"] for run in runs)
    assert alone == first == "picture012 is torn"
    assert "process 0 could not evaluate its images" in second and "picture012" in second


def test_the_samplers_program_communicates_nothing(runs):
    assert "ENTRY" in runs[0]["program"]
    assert collectives(runs[0]["program"]) == ([], [])
