"""Every command on the pages about launching and training means something to what it names."""

import pathlib
import re
import shlex

import pytest
import yaml

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli import train
from tests.launch.sandbox import LAUNCH, can_run, run
from tests.launch.test_scripts import on_a_cluster, parsed, trained  # noqa: F401  (a fixture)

ROOT = LAUNCH.parent
PAGES = [*sorted(LAUNCH.glob("*.md")), ROOT / "docs" / "training.md"]
VARIABLE = re.compile(r"([A-Z_]+)=(.*)", re.S)


def commands(page: pathlib.Path) -> list[str]:
    """Lines of its blocks of code, continued ones joined."""
    text = page.read_text().replace("\\\n", " ")
    return [line.strip() for line in re.findall(r"^ {4}(\S.*)$", text, re.M)]


ALL = [(page.name, line) for page in PAGES for line in commands(page)]
TRAININGS = [(p, c) for p, c in ALL if re.search(r"(^|\s)bitdiff train\s", c)]
LAUNCHES = [(p, c) for p, c in ALL if re.search(r"launch/(?!segment_)\w+\.sh", c)]


def words(line):
    return shlex.split(line.replace("$HOME", "/home/me"), comments=True)


def test_there_are_commands_of_each_kind():
    assert len(TRAININGS) >= 6 and len(LAUNCHES) >= 8
    assert {p for p, _ in LAUNCHES} >= {"README.md", "gke.md", "slurm.md", "tpu_vm.md"}


@pytest.mark.parametrize(("page", "line"), TRAININGS)
def test_trainings(page, line, trained):  # noqa: F811
    argv = words(line)
    start = argv.index("train")
    assert argv[start - 1] == "bitdiff"
    config, workdir = parsed(argv[start:], trained)
    assert config.train.num_steps and workdir


@pytest.mark.skipif(not can_run(), reason="bash, sed or envsubst is not installed")
@pytest.mark.parametrize(("page", "line"), LAUNCHES)
def test_launches(page, line, tmp_path, trained):  # noqa: F811
    """The script is run with stubs; if it starts a training, the real command line reads it."""
    for placeholder in ("BUCKET", "REGION", "PROJECT", "REPOSITORY"):  # refused as they are
        line = re.sub(rf"\b{placeholder}\b(?!=)", placeholder.lower(), line)
    before, script, *arguments = re.split(r"launch/(\w+\.sh)", line)
    arguments = words("".join(arguments))
    settings = dict(m.groups() for word in words(before) if (m := VARIABLE.fullmatch(word)))
    options = [word for word in words(before) if not VARIABLE.fullmatch(word)]
    assert options == [] or (script == "slurm.sh" and options[0] == "sbatch")
    if script == "slurm.sh":
        settings |= on_a_cluster(tmp_path)
    known = set(re.findall(r"\$\{(\w+)[:-]", (LAUNCH / script).read_text()))
    assert set(settings) <= known, f"{script} has no variable {set(settings) - known}"

    result = run(script, *arguments, folder=tmp_path, **settings)
    assert result.code == 0, result.output
    trainings = [call[1:] for call in result.of("bitdiff")]
    if (applied := tmp_path / "applied").exists():
        (job,) = yaml.safe_load(applied.read_text())["spec"]["replicatedJobs"]
        (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
        trainings.append([*container["command"], *container["args"]][1:])
    starts = options if script == "slurm.sh" else arguments[0] in ("all", "run", "start")
    assert len(trainings) == bool(starts)
    for argv in trainings:
        config, _ = parsed(argv, trained)
        assert config.train.batch_size % 8 == 0


@pytest.mark.parametrize(("page", "line"), [x for x in ALL if x[1].startswith("bitdiff compile")])
def test_compilations(page, line):
    compile_ = pytest.importorskip("bitdiff_jax.cli.compile")
    accelerators = pytest.importorskip("bitdiff_jax.compile.accelerators")
    args, overrides = compile_._parser().parse_known_args(words(line)[2:])
    train.override(config_lib.load(args.config), overrides)
    assert accelerators.find(args.accelerator).devices >= 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page):
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / path).exists(), path


@pytest.mark.parametrize(
    "page", ["docker.md", "gke.md", "segment_gke.md", "segment_slurm.md", "slurm.md", "tpu_vm.md"]
)
def test_a_page_has_what_each_has(page):
    text = (LAUNCH / page).read_text()
    assert re.search(r"^\*Not .*by us", text, re.M)
    titles = re.findall(r"^## (.*)$", text, re.M)
    assert titles[:4] == ["Before", "The command", "What it prints", "Cost"] and len(titles) == 5
    assert titles[4].startswith("After ")
    assert page in (LAUNCH / "README.md").read_text()


def test_the_snippet_that_reads_metrics(tmp_path):
    from bitdiff_jax.writers import RunWriter

    writer = RunWriter(tmp_path, start_step=0)
    writer.write_scalars(10, {"loss": 0.5})
    writer.close()
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGES[-1].read_text(), re.S)
    names: dict = {}
    exec(snippet.replace('"runs/mine"', repr(str(tmp_path))), names)
    assert names["losses"] == {10: 0.5}


def test_settings_that_are_named_exist():
    """`telemetry.peak_flops` and the like, in the text."""
    config = config_lib.default()
    groups = "|".join(config)
    for page in PAGES:
        for name in re.findall(rf"`(?:--config\.)?((?:{groups})\.[a-z_0-9.]+)", page.read_text()):
            node = config
            for part in name.split("."):
                assert part in node, f"{page.name}: {name}"
                node = node[part]


def test_extras_that_are_named_exist():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    docker = (LAUNCH / "Dockerfile").read_text()
    named = set(re.search(r"# (\w+), (\w+) or (\w+): an extra", docker).groups())
    for path in (*LAUNCH.iterdir(), *PAGES):
        for group in re.findall(r"(?:bitdiff_jax\S*|/src)\[([a-z0-9,${}A-Z]+)\]", path.read_text()):
            named |= set(group.replace("${PLATFORM},", "").split(","))
    assert named >= {"tpu", "cuda12", "cuda13", "gcs", "tensorboard"}
    assert named <= extras, f"pyproject.toml lacks the extras {sorted(named - extras)}"


def test_the_image_gets_all_that_the_build_needs():
    left_in = (LAUNCH / "Dockerfile.dockerignore").read_text().split()
    for path in ("bitdiff_jax", "configs", "LICENSE", "README.md", "pyproject.toml"):
        assert f"!{path}" in left_in and (ROOT / path).exists()
