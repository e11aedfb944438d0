import re
import time

import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import hosts
from bitdiff_jax.parallel.hosts import Place, Settings, find
from tests.parallel import launch

SLURM = {
    "SLURM_JOB_ID": "4242",
    "SLURM_STEP_NODELIST": "gpu[007-008,11]",
    "SLURM_STEP_NUM_NODES": "3",
    "SLURM_NTASKS": "3",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}


@pytest.fixture(autouse=True)
def no_tpu(monkeypatch):
    monkeypatch.setattr(hosts, "_has_tpu", lambda: False)


def test_a_process_without_neighbours_is_alone():
    assert find(Settings(), {}) is None
    assert find(Settings(), SLURM | {"SLURM_NTASKS": "1"}) is None
    assert find(Settings("none", "a:1", 2, 0), SLURM) is None


def test_the_batch_script_of_slurm_is_not_a_task():
    script = {k: v for k, v in SLURM.items() if k != "SLURM_STEP_NODELIST"}
    assert find(Settings(), script) is None
    with pytest.raises(InputError, match=r"SLURM_STEP_NODELIST is not set; start with srun"):
        find(Settings("slurm"), script)


def test_settings_and_environment_complete_each_other():
    told = {"JAX_COORDINATOR_ADDRESS": "h:9", "JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "3"}
    assert find(Settings(), told) == Place("explicit", "h:9", 4, 3)
    assert find(Settings(process_id=0), told) == Place("explicit", "h:9", 4, 0)
    assert find(Settings("explicit", "[::1]:8", 2, 1), {}) == Place("explicit", "[::1]:8", 2, 1)
    # What is said outweighs what SLURM says.
    assert find(Settings(), told | SLURM) == Place("explicit", "h:9", 4, 3)


def test_a_pod_of_a_jobset_is_numbered_by_kubernetes():
    told = {"JAX_COORDINATOR_ADDRESS": "j-w-0-0.j:9", "JAX_NUM_PROCESSES": "2"}
    assert find(Settings(), told | {"JOB_COMPLETION_INDEX": "1"}).process_id == 1
    assert find(Settings(), told | {"JOB_COMPLETION_INDEX": "1", "JAX_PROCESS_ID": "0"})[3] == 0


def test_one_task_a_node_has_all_devices_of_it():
    place = find(Settings(), SLURM | {"CUDA_VISIBLE_DEVICES": "0,1,2,3"})
    assert place == Place("slurm", "gpu007:61242", 3, 2, None)
    assert find(Settings(), SLURM | {"JAX_COORDINATOR_PORT": "77"}).coordinator == "gpu007:77"


def test_several_tasks_a_node_have_a_device_each():
    tasks = SLURM | {"SLURM_NTASKS": "12", "SLURM_PROCID": "6", "SLURM_LOCALID": "2"}
    every = tasks | {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    assert find(Settings(), every).local_device_ids == [2]
    # --gpus-per-task: each sees its own alone, whose index is 0 then.
    assert find(Settings(), tasks | {"CUDA_VISIBLE_DEVICES": "2"}).local_device_ids is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("n[3-5]", "n3"),
        ("n[03,07-9],m[1-2]", "n03"),
        ("rack[2-3]n[10-12]x,b", "rack2n10x"),
    ],
)
def test_first_host(nodes, first):
    assert hosts._first_host(nodes) == first


def test_tpu_leaves_the_rest_to_jax(monkeypatch):
    monkeypatch.setattr(hosts, "_has_tpu", lambda: True)
    assert find(Settings(), {}) == Place("tpu")
    assert find(Settings("none"), {}) is None


@pytest.mark.parametrize(
    ("settings", "environment", "message"),
    [
        (Settings("mpi"), {}, "config.hosts.cluster is 'mpi'; it must be one of auto, none"),
        (Settings("explicit"), {}, r"hosts.coordinator is missing; .*\$JAX_COORDINATOR_ADDRESS"),
        (Settings(coordinator="a:1"), {}, "hosts.num_processes is missing"),
        (Settings(coordinator="a:1", num_processes=2), {}, "hosts.process_id is missing"),
        (Settings("auto", "a", 2, 0), {}, "hosts.coordinator is 'a'; use host:port"),
        (Settings("auto", "a:1", 2, 2), {}, "hosts.process_id is 2; .* use 0 to 1"),
        (Settings("auto", "a:1"), {"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES is 'two'"),
        (Settings(start_timeout=0), {}, "hosts.start_timeout is 0"),
    ],
)
def test_what_is_missing_is_named(settings, environment, message):
    with pytest.raises(InputError, match=message):
        find(settings, environment)


_DEATH = """
import os, sys, time, jax
from bitdiff_jax.parallel import hosts
index = int(sys.argv[1])
hosts.initialize(hosts.Settings("auto", "127.0.0.1:" + sys.argv[2], 2, index, 60, 10, 5))
assert hosts.all_gather(("I am", index)) == [("I am", 0), ("I am", 1)]
assert hosts.broadcast({"from": index}) == {"from": 0}
print("met", flush=True)
if index:
    os._exit(7)  # without a word, as a machine that is switched off
time.sleep(120)
"""


@pytest.mark.multiprocess
def test_a_missing_or_lost_process_ends_the_others(tmp_path):
    """From the real command line, all at a time: each waits for what does not come."""
    ports = [launch.free_port() for _ in range(3)]

    def train(process_id, port):
        return [
            "-m", "bitdiff_jax", "train", "--config", "base:smoke", "--workdir", tmp_path / "run",
            f"--config.hosts.coordinator=127.0.0.1:{port}", "--config.hosts.num_processes=2",
            f"--config.hosts.process_id={process_id}", "--config.hosts.start_timeout=3",
        ]  # fmt: skip

    commands = [
        train(0, ports[0]),
        train(1, ports[1]),
        ["-c", _DEATH, 0, ports[2]],
        ["-c", _DEATH, 1, ports[2]],
    ]
    start = time.monotonic()
    first, second, survivor, dead = launch.run(commands, devices=1, timeout=110)
    assert time.monotonic() - start < 110
    for (code, _, stderr), message in (
        (first, r"not all 2 processes have joined at .* after 3 s .*this is process 0 of 2: "),
        (second, r"process 0 cannot be reached at .* after 3 s .*this is process 1 of 2: "),
    ):
        assert code == 2, stderr
        assert re.search(f"^bitdiff train: error: {message}", stderr, re.MULTILINE), stderr
        assert "Traceback" not in stderr and "Check failure" not in stderr
    assert not (tmp_path / "run").exists()
    assert dead[0] == 7 and "met" in dead[1], dead
    assert survivor[0] not in (0, 1) and "met" in survivor[1]
    assert "another task died" in survivor[2] or "unhealthy" in survivor[2]


def test_alone_everything_works_without_a_word():
    hosts.initialize(Settings("none"))
    assert hosts.all_gather({"a": 1}) == [{"a": 1}]
    assert hosts.broadcast({"a": 1}) == {"a": 1}
