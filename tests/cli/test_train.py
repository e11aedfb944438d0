import os

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import config as config_lib
from bitdiff_jax.checkpoint import open_for_reading
from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli.train import override
from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import partition_rules


def failed(capsys, *argv):
    try:
        code = cli.main(list(map(str, argv)))
    except SystemExit as stop:
        code = stop.code
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and "Traceback" not in err, err
    return err


def train(*argv):
    return ("train", "--config=base:smoke", *argv)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.train.bach_size=3", "did you mean --config.train.batch_size=3?"),
        ("--config.optimiser.b1=.9", "did you mean --config.optimizer.b1=.9?"),
        ("--config.learning_rate=1", "did you mean --config.optimizer.learning_rate=1?"),
        ("--config.train.numsteps=1", "did you mean --config.train.num_steps=1?"),
        ("--train.num_steps=1", "did you mean --config.train.num_steps=1?"),
        ("--dryrun", "did you mean --dry_run?"),
        ("--config.train.num_steps=-1", "use a whole number of 1 or more"),
        ("--config.model.net.dtype=float17", "float32, bfloat16, float16"),
        ("--config.model.net.channel_multipliers=(1.5,2)", "channel_multipliers"),
        ("--config.eval.batch_size=0", "config.eval.batch_size is 0"),
        ("--config.seed=1.5", "--config.seed is '1.5'; use a whole number"),
        ("--config.optimizer.b1=x", "--config.optimizer.b1 is 'x'; use a number"),
        ("--config.model.net.remat=maybe", "remat is 'maybe'; use true or false"),
        ("--config.model.net.channel_multipliers=(1,", "use a tuple in quotes"),
    ],
)
def test_what_is_mistyped_is_one_line(argument, message, tmp_path, capsys):
    assert message in failed(capsys, *train(f"--workdir={tmp_path / 'run'}", argument))
    assert not (tmp_path / "run").exists()


def test_a_misspelt_option_that_is_needed(tmp_path, capsys):
    err = failed(capsys, *train(f"--work_dir={tmp_path}"))
    assert "required: --workdir" in err and "did you mean --workdir?" in err


def test_no_config_is_named(tmp_path, capsys):
    assert "--config" in failed(capsys, "train", f"--workdir={tmp_path}")


def test_rules_by_the_command_line():
    config = override(
        config_lib.load("base"), ["--config.mesh.rules=('.*/qkv/.* replicate', '.* fsdp')"]
    )
    assert [p for p, _ in partition_rules.rules_from_config(config.mesh)] == [".*/qkv/.*", ".*"]


@pytest.mark.slow
def test_a_dry_run_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main([*train("--workdir=run", "--dry_run")]) == 0
    out = capsys.readouterr().out
    assert "image uint8[8, 32, 32, 3]" in out and "labels int32[8, 32, 32]" in out
    assert "expected: " in out and "parameters" in out
    assert "trained on: procedural scenes of textured shapes (level 1)" in out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_finds_what_a_training_would_stop_at(tmp_path, capsys):
    err = failed(
        capsys, *train(f"--workdir={tmp_path}", "--dry_run", "--config.data.train=folder:nowhere")
    )
    assert "nowhere" in err


@pytest.mark.slow
def test_the_kind_of_images_is_that_of_the_data(tmp_path, capsys):
    root = tmp_path / "nuclei"
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for k in range(2):
        Image.fromarray(np.full((20, 30, 3), 10 * k, np.uint8)).save(root / f"images/{k}.png")
        images.write_labels(root / f"labels/{k}.png", np.ones((20, 30), int))
    argv = (
        "train", "--config=bsds:smoke", f"--config.data.train=folder:{root}",
        "--config.mesh.cpu_devices=1", "--config.train.num_steps=4",
        "--config.model.net.implementation=tests.own_network:ThreeConvs",
    )  # fmt: skip
    assert cli.main([*argv, f"--workdir={tmp_path / 'run'}"]) == 0
    out = capsys.readouterr().out
    assert out.index("expected: ") < out.index("compiling")
    with (opened := open_for_reading(tmp_path / "run"))[0] as checkpoints:
        assert checkpoints.about(opened[1])["trained_on"] == "folder nuclei (2 images)"
    assert cli.main([*argv, f"--workdir={tmp_path / 'run'}", "--dry_run"]) == 0
    assert "would resume at step 4" in capsys.readouterr().out
    told = "--config.data.trained_on=stained nuclei"
    assert cli.main([*argv, f"--workdir={tmp_path / 'told'}", told, "--dry_run"]) == 0
    assert "trained on: stained nuclei" in capsys.readouterr().out


@pytest.mark.slow
def test_a_workdir_that_cannot_be_one(tmp_path, capsys):
    (tmp_path / "file").touch()
    for place in ("file", "file/run"):
        assert place in failed(capsys, *train(f"--workdir={tmp_path / place}"))
        assert place in failed(capsys, *train(f"--workdir={tmp_path / place}", "--dry_run"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read what it likes")
def test_a_workdir_that_cannot_be_written(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert "ermission" in failed(capsys, *train(f"--workdir={tmp_path / 'run'}"))


CONFIG_FILES = [
    ("x = 1\n", "has no get_config"),
    ("def get_config(variant=''):\n    return 3\n", "returned int, not a ConfigDict"),
    ("x = (\n", "line 1: SyntaxError"),
    ("import nonsense_module\n", "No module named 'nonsense_module'; correct it"),
    ("def get_config(variant=''):\n    return 1 / 0\n", "line 2: ZeroDivisionError"),
    (
        "from bitdiff_jax import config\ndef get_config(variant=''):\n"
        "    c = config.default()\n    c.train.num_step = 3\n    return c\n",
        'line 4: AttributeError: Key "num_step" does not exist and cannot be added since the '
        'config is locked. Did you mean "num_steps" instead of "num_step"?; correct it\n',
    ),
    ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
    ("def get_config():\n    return 1\n", "TypeError"),
    (
        "from bitdiff_jax import config\ndef get_config(variant=''):\n"
        "    return config.shrink(config.default(), 'tiny')\n",
        "unknown variant 'tiny'",
    ),
]


@pytest.mark.parametrize(("text", "message"), CONFIG_FILES)
def test_a_config_file_that_is_none(text, message, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(text)
    err = failed(capsys, "train", f"--config={path}", f"--workdir={tmp_path / 'run'}")
    assert message in err and (str(path) in err or "variant" in err)


def test_names_that_are_empty(tmp_path, capsys):
    assert failed(capsys, "train", "--config=", f"--workdir={tmp_path}").startswith(
        "bitdiff train: error: --config is empty; name one of base"
    )
    assert "--workdir is empty; name a folder" in failed(capsys, *train("--workdir="))


def test_a_config_that_is_a_folder_or_another_file(tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "deep.py").mkdir()
    for name, message in (
        (tmp_path, "is a folder"), (tmp_path / "deep.py", "is a folder"),
        (tmp_path / "notes.txt", "is no Python file"), (tmp_path / "no.py", "does not exist"),
        ("bsd", "did you mean bsds?"),
    ):  # fmt: skip
        err = failed(capsys, "train", f"--config={name}", f"--workdir={tmp_path / 'run'}")
        assert message in err


def test_a_path_with_a_colon(tmp_path):
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "mine.py").touch()
    assert config_lib.locate(f"{folder / 'mine.py'}:smoke") == (folder / "mine.py", "smoke")


def test_an_own_section_is_no_setting(tmp_path):
    with pytest.raises(InputError, match="unknown setting"):
        override(config_lib.load("base"), ["--config.mine.key=3"])
