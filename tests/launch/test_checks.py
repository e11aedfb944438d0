"""The launch scripts call nothing unless all that they need is there."""

import re
import shlex
import shutil
import subprocess

import pytest

from tests.launch.sandbox import LAUNCH, can_run, run
from tests.launch.test_scripts import GKE, TPU, on_a_cluster

pytestmark = pytest.mark.skipif(not can_run(), reason="bash, sed or envsubst is not installed")

# The commands that cost, each with the variables that have no default.
COSTLY = {
    ("tpu_vm.sh", "all"): ["WORKDIR"],
    ("tpu_vm.sh", "run"): ["WORKDIR"],
    ("tpu_vm.sh", "watch"): ["WORKDIR"],
    ("tpu_vm.sh", "show"): ["WORKDIR"],
    ("gke.sh", "start"): ["BUCKET", "IMAGE"],
    ("gke.sh", "show"): ["BUCKET", "IMAGE"],
    ("slurm.sh", None): ["VENV", "DATA", "SLURM_JOB_ID"],
    ("slurm.sh", "show"): ["VENV", "DATA"],
}
WHOLE = [("tpu_vm.sh", "all"), ("gke.sh", "start"), ("slurm.sh", None)]


def variables(script):
    """All that the head of a script takes from the environment."""
    head = (LAUNCH / script).read_text().split("TRAIN=(")[0]
    return re.findall(r"^(?:export )?(\w+)=\"\$\{\1:?-", head, re.M)


def settings(script, folder):
    return {"tpu_vm.sh": TPU, "gke.sh": GKE, "slurm.sh": None}[script] or on_a_cluster(folder)


def call(script, command, folder, **options):
    return run(script, *filter(None, [command]), folder=folder, **options)


@pytest.fixture
def refused():
    """Checks that a script has named the trouble and has called nothing at all."""

    def check(result, name):
        assert result.code == 2, result.output
        assert "nothing was called" in result.output and name in result.output
        assert not result.calls and not (result.folder / "applied").exists()

    return check


@pytest.mark.parametrize(
    ("script", "command", "missing"),
    [(*key, name) for key, names in COSTLY.items() for name in names],
)
def test_a_missing_variable(script, command, missing, tmp_path, refused):
    given = settings(script, tmp_path)
    given = {name: value for name, value in given.items() if name != missing}
    if missing == "DATA":  # which has a default, and nothing is there
        (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    if missing == "VENV":
        given["VENV"] = str(tmp_path / "bitdiff")
    refused(call(script, command, tmp_path, **given), missing)


def test_all_variables_are_tried():
    assert {"WORKDIR", "DATA_FROM", "ZONE", "POLL"} < set(variables("tpu_vm.sh"))
    assert {"BUCKET", "IMAGE", "HOSTS"} < set(variables("gke.sh"))
    assert set(variables("slurm.sh")) == {"VENV", "DATA", "WORKDIR"}


@pytest.mark.parametrize(
    ("script", "command", "name"), [(*key, name) for key in WHOLE for name in variables(key[0])]
)
@pytest.mark.parametrize("value", ["no such;$(thing)", "Ä\n"])
def test_a_value_that_cannot_be(script, command, name, value, tmp_path, refused):
    given = settings(script, tmp_path) | {name: value}
    refused(call(script, command, tmp_path, **given), name)


@pytest.mark.parametrize(
    "bucket", ["gs://BUCKET/runs/a", "gs://bucket", "/home/me/runs", "bucket/a"]
)
def test_a_tpu_run_goes_to_a_bucket_that_was_filled_in(bucket, tmp_path, refused):
    refused(run("tpu_vm.sh", "all", folder=tmp_path, **TPU | {"WORKDIR": bucket}), "WORKDIR")


@pytest.mark.parametrize(
    ("script", "command", "tool"),
    [
        ("tpu_vm.sh", "all", "gcloud"),
        ("tpu_vm.sh", "all", "uv"),
        ("tpu_vm.sh", "watch", "uv"),
        ("tpu_vm.sh", "down", "gcloud"),
        ("gke.sh", "start", "kubectl"),
        ("gke.sh", "start", "envsubst"),
        ("gke.sh", "stop", "kubectl"),
        ("slurm.sh", None, "srun"),
        ("slurm.sh", None, "scontrol"),
    ],
)
def test_a_missing_tool(script, command, tool, tmp_path, refused):
    refused(call(script, command, tmp_path, without=tool, **settings(script, tmp_path)), tool)


@pytest.mark.parametrize(
    ("script", "command", "file"),
    [("tpu_vm.sh", "all", "pyproject.toml"), ("gke.sh", "start", "gke_jobset.yaml")],
)
def test_a_missing_file_beside_the_script(script, command, file, tmp_path, refused):
    launch = tmp_path / "launch"
    launch.mkdir()
    shutil.copy(LAUNCH / script, launch)
    refused(call(script, command, tmp_path, launch=launch, **settings(script, tmp_path)), file)


@pytest.mark.parametrize("part", ["pictures/images", "pictures/labels", "pictures/splits.json"])
def test_missing_pictures_of_a_cluster(part, tmp_path, refused):
    given = on_a_cluster(tmp_path)
    (tmp_path / part).rename(tmp_path / "elsewhere")
    refused(call("slurm.sh", None, tmp_path, **given), part)


def test_a_selector_of_tpus_finds_no_gpus(tmp_path, refused):
    given = GKE | {"RESOURCE": "nvidia.com/gpu"}
    refused(call("gke.sh", "start", tmp_path, **given), "NODE_SELECTOR")


def test_pictures_that_cannot_be_read_buy_no_tpu(tmp_path):
    result = run("tpu_vm.sh", "all", folder=tmp_path, buckets=[1], **TPU)
    assert result.code == 1 and "gs://bucket/pictures cannot be read" in result.output
    assert result.calls == [["gcloud", "storage", "ls", "gs://bucket/pictures/"]]


def test_an_end_in_trouble_tells_of_the_tpu_that_is_there(tmp_path):
    result = run("tpu_vm.sh", "all", folder=tmp_path, units=["failed"], **TPU)
    assert result.code == 1
    assert "it costs while it is there" in result.output and "'down'" in result.output


# --- show ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"QUEUE": "", "SPOT": ""}, {"DATA_FROM": ""}, {"ACCELERATOR": "v6e-8"}]
)
def test_what_is_shown_is_what_a_tpu_costs(options, tmp_path):
    arguments = ["--config", "base", "--config.data.train=folder:it's a place,split=train"]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shown = run("tpu_vm.sh", "show", *arguments, folder=tmp_path / "a", **TPU | options)
    assert shown.code == 0 and not shown.calls
    assert not list((tmp_path / "a").glob("tmp*"))  # of no trace
    made = run("tpu_vm.sh", "all", *arguments, folder=tmp_path / "b", **TPU | options)
    assert made.code == 0, made.output
    # Those of the script itself, not those that a TPU's own shell made.
    first = {("gcloud", "compute"), ("gcloud", "storage"), ("uv", "build")}
    calls = [
        c for c in made.calls if tuple(c[:2]) in first and c[:3] != ["gcloud", "storage", "rsync"]
    ]

    def plain(word):  # without the folder of the build
        word = re.sub(r"^\S*/tmp\.\w+", "WHEELS", word)
        return word.replace("-0.0.0-py3-none-any.whl", "-*.whl")

    lines = shlex.split(shown.output, comments=True)
    assert [plain(word) for word in lines] == [plain(word) for call in calls for word in call]


def test_what_is_shown_is_what_a_cluster_runs(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    given = on_a_cluster(tmp_path) | {"VENV": str(tmp_path / "b"), "WORKDIR": "/runs/it's a"}
    (tmp_path / "b" / "bin").mkdir()
    (tmp_path / "b" / "bin" / "bitdiff").touch(0o755)
    del given["SLURM_JOB_ID"]
    shown = run("slurm.sh", "show", "--config", "base", folder=tmp_path / "a", **given)
    assert shown.code == 0 and not shown.calls, shown.output
    shutil.rmtree(tmp_path / "b" / "bin")
    made = run("slurm.sh", "--config", "base", folder=tmp_path / "b", SLURM_JOB_ID="1", **given)
    assert made.of("srun") == [shlex.split(shown.output)]


# --- The image -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "code"), [("tpu", 0), ("cuda12", 0), ("cuda13", 0), ("cuda", 2), ("", 2)]
)
def test_an_image_is_built_for_a_platform_that_there_is(platform, code):
    (line,) = re.findall(r"^RUN (case .*)$", (LAUNCH / "Dockerfile").read_text(), re.M)
    done = subprocess.run(
        ["sh", "-c", line], env={"PLATFORM": platform}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code and ("say tpu, cuda12 or cuda13" in done.stderr) == bool(code)
