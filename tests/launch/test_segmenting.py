"""The scripts that segment many pictures: each job draws its share, by the real command line."""

import pathlib
import re
import shlex
import subprocess

import pytest
import yaml

from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli import segment, shard_option
from tests.launch.sandbox import LAUNCH, can_run, run
from tests.launch.test_pages import VARIABLE, commands, words

pytestmark = pytest.mark.skipif(not can_run(), reason="bash, sed or envsubst is not installed")

GKE = {"BUCKET": "bucket", "IMAGE": "region/image:tpu"}
PAGES = ("segment_slurm.md", "segment_gke.md")
LAUNCHES = [
    (page, line)
    for page in PAGES
    for line in commands(LAUNCH / page)
    if "launch/segment_" in line and not line.startswith("`")
]


def on_a_cluster(folder, job="3"):
    (folder / "pictures").mkdir(exist_ok=True)
    given = {"VENV": str(folder), "PICTURES": f"{folder}/pictures", "OUT": f"{folder}/out"}
    return given | {"SLURM_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": job, "SLURM_ARRAY_TASK_COUNT": "8"}


def share(argv):
    """(arguments, (index, num_shards)) of a `bitdiff segment` command, as it is read."""
    assert argv[0] == "segment"
    args = segment._parser().parse_args(argv[1:])
    return args, shard_option.shard_of(args.shard, {}, None)


def container(text):
    """The Job that a script printed, and its one container."""
    job = yaml.safe_load(text)
    assert job["apiVersion"] == "batch/v1" and job["kind"] == "Job"
    (only,) = job["spec"]["template"]["spec"]["containers"]
    return job["spec"], only


@pytest.mark.parametrize("code", [0, 2, 134])
def test_a_job_of_an_array_draws_its_share(code, tmp_path):
    result = run("segment_slurm.sh", "--num_samples", "1", folder=tmp_path, codes=[code],
                 **on_a_cluster(tmp_path))  # fmt: skip
    assert result.code == code, result.output
    ((_, *argv),) = result.of("bitdiff")
    args, number = share(argv)
    assert number == (3, 8) and args.num_samples == 1
    assert args.images == [f"{tmp_path}/pictures"] and args.out == f"{tmp_path}/out"
    assert not result.of("scontrol")


def test_some_shares_again_are_of_the_whole_array(tmp_path):
    given = on_a_cluster(tmp_path) | {"SLURM_ARRAY_TASK_COUNT": "2", "SHARDS": "100"}
    result = run("segment_slurm.sh", folder=tmp_path, **given)
    assert share(result.of("bitdiff")[0][1:])[1] == (3, 100)


def test_at_the_time_limit_the_job_is_queued_again(tmp_path):
    """The stub of srun sends the signal that SLURM sends to the script."""
    given = on_a_cluster(tmp_path)
    script = (LAUNCH / "segment_slurm.sh").read_text()
    assert "#SBATCH --signal=B:USR1@" in script and "#SBATCH --requeue" in script
    launch = tmp_path / "launch"
    launch.mkdir()
    (launch / "segment_slurm.sh").write_text(
        script.replace('"${step[@]}" &', 'parent=$$; { kill -USR1 "$parent"; "${step[@]}"; } &')
    )
    result = run("segment_slurm.sh", folder=tmp_path, launch=launch, **given)
    assert result.of("scontrol") == [["scontrol", "requeue", "17"]]
    assert "queueing the job again" in result.output


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"VENV": "/not/there"}, "/not/there/bin/bitdiff"),
        ({"PICTURES": "pictures"}, "PICTURES is"),
        ({"PICTURES": "/not/there"}, "no /not/there"),
        ({"OUT": "out"}, "OUT is"),
        ({"SHARDS": "many"}, "SHARDS is"),
        ({"SLURM_ARRAY_TASK_ID": "8"}, "job 8 of an array of 8"),
        ({"SLURM_ARRAY_TASK_ID": ""}, "SLURM_ARRAY_TASK_ID"),
    ],
)
def test_what_a_cluster_lacks(changed, told, tmp_path):
    result = run("segment_slurm.sh", folder=tmp_path, **on_a_cluster(tmp_path) | changed)
    assert result.code == 2 and told in result.output and not result.calls


def test_what_is_shown_is_what_a_cluster_runs(tmp_path):
    for name in ("a", "b", "b/bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "bin" / "bitdiff").touch(0o755)
    given = on_a_cluster(tmp_path / "b")
    shown = run("segment_slurm.sh", "show", "--seed=1", folder=tmp_path / "a", **given)
    assert shown.code == 0 and not shown.calls, shown.output
    assert shlex.split(shown.output)[0] == "srun"
    assert share(shlex.split(shown.output)[2:])[1] == (3, 8)


def test_an_indexed_job_gives_each_pod_its_share(tmp_path):
    result = run("segment_gke.sh", "show", "--formats", "id_png", folder=tmp_path, SHARDS="12",
                 **GKE)  # fmt: skip
    assert result.code == 0 and not result.calls and "${" not in result.output
    job, only = container(result.output)
    assert job["completionMode"] == "Indexed" and job["completions"] == 12
    assert job["parallelism"] == 8 and job["template"]["spec"]["restartPolicy"] == "Never"
    actions = {rule["action"] for rule in job["podFailurePolicy"]["rules"]}
    assert actions == {"FailJob", "Ignore"}
    shell, option, script, *name = only["command"]
    assert (shell, option, name) == ("bash", "-c", ["bitdiff"])
    # What the shell makes of it, with a word in place of the program.
    done = subprocess.run(
        [shell, option, script.replace("exec bitdiff", "printf '%s\\n'"), *name, *only["args"]],
        env={"JOB_COMPLETION_INDEX": "7", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    args, number = share(done.stdout.splitlines())
    assert number == (7, 12) and args.formats == "id_png"
    (mount,) = (m for m in only["volumeMounts"] if m["name"] == "bucket")
    assert args.images == [f"{mount['mountPath']}/pictures"] and args.out == "gs://bucket/segmented"
    volumes = {v["name"] for v in job["template"]["spec"]["volumes"]}
    assert {m["name"] for m in only["volumeMounts"]} <= volumes


def test_the_cluster_gets_what_is_shown(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    shown = run("segment_gke.sh", "show", "--seed=3", folder=tmp_path / "a", **GKE)
    result = run("segment_gke.sh", "start", "--seed=3", folder=tmp_path / "b", **GKE)
    assert result.of("kubectl") == [["kubectl", "apply", "--filename", "-"]]
    assert (tmp_path / "b" / "applied").read_text() == shown.output


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"BUCKET": ""}, "BUCKET is"),
        ({"IMAGE": ""}, "IMAGE is"),
        ({"SHARDS": "0"}, "SHARDS is"),
        ({"OUT": "/local"}, "OUT is"),
        ({"NAME": "A"}, "NAME is"),
        ({"RESOURCE": "nvidia.com/gpu"}, "NODE_SELECTOR is of TPUs"),
    ],
)
def test_what_gke_lacks(changed, told, tmp_path):
    result = run("segment_gke.sh", "start", folder=tmp_path, **GKE | changed)
    assert result.code == 2 and told in result.output and not result.calls


def test_a_word_that_is_no_command_tells_which_there_are(tmp_path):
    result = run("segment_gke.sh", folder=tmp_path)
    assert result.code == 2 and not result.calls
    assert re.findall(r"^  (\w+) {2,}", result.output, re.M) == ["show", "start", "log", "stop"]


@pytest.mark.parametrize(("page", "line"), LAUNCHES)
def test_commands_of_the_pages(page, line, tmp_path):
    for placeholder in ("REGION", "PROJECT", "REPOSITORY"):
        line = re.sub(rf"\b{placeholder}\b(?!=)", placeholder.lower(), line)
    before, script, arguments = re.split(r"launch/(\w+\.sh)", line)
    given = dict(m.groups() for word in words(before) if (m := VARIABLE.fullmatch(word)))
    rest = [word for word in words(before) if not VARIABLE.fullmatch(word)]
    known = set(re.findall(r"\$\{(\w+)[:-]", (LAUNCH / script).read_text()))
    assert given and set(given) <= known
    if script == "segment_slurm.sh":
        assert rest[0] == "sbatch" and all(word.startswith("--") for word in rest[1:])
        given = on_a_cluster(tmp_path) | {"SHARDS": given.get("SHARDS", "100")}
    result = run(script, *words(arguments), folder=tmp_path, **given)
    assert result.code == 0, result.output
    if script == "segment_gke.sh":
        _, only = container((tmp_path / "applied").read_text())
        argv = [*only["args"], "--shard", "0/1"]
    else:
        argv = result.of("bitdiff")[0][1:]
    share(argv)


def test_the_pages_name_each_kind_of_command():
    assert len(LAUNCHES) >= 5 and {page for page, _ in LAUNCHES} == set(PAGES)
    for page in (
        *(LAUNCH / name for name in PAGES),
        pathlib.Path(LAUNCH.parent / "docs/shards.md"),
    ):
        joins = [words(line) for line in commands(page) if line.startswith("bitdiff join")]
        assert joins and "join" in cli._COMMANDS and all(len(each) >= 3 for each in joins)
