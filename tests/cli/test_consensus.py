import csv

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.evaluation.predictions import open_predictions
from tests.posterior.cases import noisy_maps, renamed, same_partition

NAMES = ("cat", "dog", "owl")
SIZE = 24
WRONG = np.broadcast_to(np.arange(SIZE) // 3, (SIZE, SIZE))


def run(*argv):
    return cli.main(["consensus", *map(str, argv)])


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def write(folder, maps, names=NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in zip(names, maps, strict=True):
        images.write_labels(folder / f"{name}.png", labels)
    return folder


def labels_of(out):
    return {name: images.read_labels(out / f"{name}_labels.png") for name in NAMES}


@pytest.fixture
def people(tmp_path):
    """Five people who draw nearly the same, the last of whom errs in everything."""
    maps = [noisy_maps(5, SIZE, seed=k) for k in range(len(NAMES))]
    for each in maps:
        each[4] = WRONG
    return [write(tmp_path / f"p{k}", [each[k] for each in maps]) for k in range(5)]


def test_maps_and_tables(people, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for name in NAMES:
        Image.fromarray(np.full((SIZE, SIZE, 3), 90, np.uint8)).save(
            tmp_path / "images" / f"{name}.jpg"
        )
    out = tmp_path / "out"
    assert run(*people, f"--images={tmp_path / 'images'}", f"--out={out}") == 0
    printed = capsys.readouterr()
    assert "3 image(s), 5 source(s)" in printed.out and not printed.err
    assert {each.name for each in out.iterdir()} == {
        "images.csv", "sources.csv", "disputed.csv",
        *(f"{name}_{what}.png" for name in NAMES for what in ("labels", "boundary", "overlay")),
    }  # fmt: skip
    rows = {row["image"]: row for row in table(out / "images.csv")}
    assert tuple(rows) == NAMES
    for name in NAMES:
        labels = np.asarray(Image.open(out / f"{name}_labels.png"))
        row = rows[name]
        assert labels.dtype == np.uint16 and labels.min() == 1
        assert int(row["num_regions"]) == labels.max() and row["num_maps"] == "5"
        assert float(row["effective_maps"]) == 5
        counts = [len(np.unique(images.read_labels(each / f"{name}.png"))) for each in people]
        low, high = int(row["num_regions_low"]), int(row["num_regions_high"])
        assert [low, high] == [min(counts), max(counts)]  # each of five is 20 %
        boundary = np.asarray(Image.open(out / f"{name}_boundary.png"))
        assert boundary.dtype == np.uint8 and set(np.unique(boundary)) <= {
            0,
            51,
            102,
            153,
            204,
            255,
        }
    reliable = table(out / "sources.csv")
    assert [row["source"] for row in reliable] == ["p0", "p1", "p2", "p3", "p4"]
    assert min(reliable, key=lambda row: float(row["ari"]))["source"] == "p4"
    assert max(reliable, key=lambda row: float(row["vi"]))["source"] == "p4"
    disputed = table(out / "disputed.csv")
    parts = [float(row["part"]) for row in disputed]
    assert parts == sorted(parts, reverse=True)
    found = labels_of(out)
    for row in disputed:
        labels, region = found[row["image"]], int(row["region"])
        assert labels[int(row["row"]), int(row["column"])] == region
        assert (labels == region).sum() == int(row["area"])
    for name, row in rows.items():
        own = sum(float(each["part"]) for each in disputed if each["image"] == name)
        assert own == pytest.approx(float(row["entropy"]), abs=1e-3)


def test_renamed_ids_change_nothing(people, tmp_path, capsys):
    for k, person in enumerate(people):
        maps = np.stack([images.read_labels(person / f"{name}.png") for name in NAMES])
        changed = renamed(maps, k) % 60000 if k else maps + 100
        assert all(map(same_partition, maps, changed))
        write(tmp_path / "renamed" / person.name, changed)
    assert run(*people, f"--out={tmp_path / 'a'}") == 0
    assert run(*sorted((tmp_path / "renamed").iterdir()), f"--out={tmp_path / 'b'}") == 0
    for each in (tmp_path / "a").iterdir():
        assert each.read_bytes() == (tmp_path / "b" / each.name).read_bytes()


def test_two_opposite_maps(tmp_path):
    stripes = np.repeat([[1, 1, 2, 2]], 4, 0)
    one, other = (
        write(tmp_path / "one", [stripes], ["x"]),
        write(tmp_path / "o", [stripes.T], ["x"]),
    )
    out = tmp_path / "out"
    assert run(one, other, f"--out={out}", "--criterion=medoid") == 0
    labels = images.read_labels(out / "x_labels.png")
    assert same_partition(labels, stripes) or same_partition(labels, stripes.T)
    (row,) = table(out / "images.csv")
    # One bit in each direction to the other map, which has half of the weight.
    assert float(row["entropy"]) == 1 and row["effective_maps"] == "2.00"
    assert {each["vi"] for each in table(out / "sources.csv")} == {"2.0000"}
    assert run(one, other, f"--out={out}", "--criterion=medoid", "--weights=0,1") == 0
    assert same_partition(images.read_labels(out / "x_labels.png"), stripes.T)
    assert table(out / "images.csv")[0]["effective_maps"] == "1.00"
    assert [each["vi"] for each in table(out / "sources.csv")] == ["2.0000", ""]


def test_a_missing_image(people, tmp_path, capsys):
    (people[1] / "dog.png").unlink()
    for person in people[1:]:
        (person / "owl.png").unlink()
    out = tmp_path / "out"
    assert run(*people, f"--out={out}") == 0
    err = capsys.readouterr().err
    assert "p1 has no map of 2 of 3 images: dog, owl\n" in err
    assert "1 of 3 images have one map alone, a copy: owl\n" in err
    assert [row["num_maps"] for row in table(out / "images.csv")] == ["5", "4", "1"]
    assert [row["num_images"] for row in table(out / "sources.csv")] == ["3", "1", "2", "2", "2"]
    alone = images.read_labels(people[0] / "owl.png")
    assert same_partition(labels_of(out)["owl"], alone)


def test_several_maps_in_one_folder(tmp_path):
    maps = noisy_maps(4, SIZE)
    folder = write(tmp_path / "all", maps, [f"cat_{k}" for k in range(4)])
    out = tmp_path / "out"
    assert run(folder, "--names=sample_suffix", f"--out={out}") == 0
    assert [row["source"] for row in table(out / "sources.csv")] == [f"all_{k}" for k in range(4)]
    (row,) = table(out / "images.csv")
    assert (row["num_sources"], row["num_maps"]) == ("1", "4")
    # The four share the weight of their folder: another source speaks as loud as all of them.
    other = write(tmp_path / "other", [WRONG], ["cat"])
    options = ["--names=sample_suffix", "--criterion=medoid", "--weights=1,1.5"]
    assert run(folder, other, *options, f"--out={out}") == 0
    assert same_partition(images.read_labels(out / "cat_labels.png"), WRONG)


def test_files_of_one_image(tmp_path):
    maps = noisy_maps(3, SIZE)
    folder = write(tmp_path, maps[:2], ["anna", "ben"])
    np.save(folder / "tool.npy", maps[2])
    files = [folder / each for each in ("anna.png", "ben.png", "tool.npy")]
    assert run(*files, f"--out={tmp_path / 'out'}") == 0
    assert (tmp_path / "out" / "image_labels.png").is_file()
    assert len(table(tmp_path / "out" / "sources.csv")) == 3


def test_zero_is_a_region_or_ignored(tmp_path):
    one = np.array([[0, 0, 1, 1, 2, 2]])
    paths = [write(tmp_path / name, [one], ["x"]) for name in ("a", "b")]
    for zero, want in (("region", [1, 1, 2, 2, 3, 3]), ("ignore", [0, 0, 1, 1, 2, 2])):
        out = tmp_path / zero
        assert run(*paths, f"--zero={zero}", f"--out={out}") == 0
        assert images.read_labels(out / "x_labels.png").tolist() == [want]
    # As predictions: 0 is what has no region.
    (labels,) = open_predictions(tmp_path / "ignore", "segment").maps("x")
    assert labels.tolist() == [[-1, -1, 0, 0, 1, 1]]


def test_what_others_wrote_is_kept(people, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("dog_labels.png", "sources.csv", "images.csv", "cat_overlay.png"):
        (out / name).write_text("mine")
        assert run(*people, f"--out={out}") == 2
        err = capsys.readouterr().err
        assert name in err and err.count("\n") == 1 and "another folder" in err
        assert [each.name for each in out.iterdir()] == [name]
        assert (out / name).read_text() == "mine"
        (out / name).unlink()
    (out / "notes.txt").write_text("mine")
    assert run(*people, f"--out={out}") == 0
    assert run(*people[:2], f"--out={out}") == 0  # its own results are replaced
    assert table(out / "images.csv")[0]["num_maps"] == "2"
    assert (out / "notes.txt").read_text() == "mine"
    (people[0] / "emu.png").write_bytes((people[0] / "cat.png").read_bytes())
    others = [write(tmp_path / name, [WRONG], ["emu"]) for name in ("x", "y")]
    capsys.readouterr()
    assert run(*others, f"--out={out}") == 2
    assert "holds results of other images (cat and 2 more)" in capsys.readouterr().err
    assert run(*people, f"--out={people[0]}") == 2
    assert "is one of the folders that are read" in capsys.readouterr().err


def test_a_killed_command_is_resumed(people, tmp_path, monkeypatch, capsys):
    from bitdiff_jax.evaluation.consensus_folder import ConsensusFolder

    out = tmp_path / "out"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ConsensusFolder, "finish", killed)
        assert run(*people, f"--out={out}") == 130
    assert (out / "unfinished.csv").is_file()
    (out / ".cat_labels.png.123.tmp").write_text("half")
    (out / ".mine.123.tmp").write_text("mine")
    assert run(*people, f"--out={out}") == 0
    assert not (out / "unfinished.csv").exists() and len(table(out / "images.csv")) == 3
    assert [each.name for each in out.glob(".*")] == [".mine.123.tmp"]


def test_maps_of_two_sizes_are_left_out(people, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(*people, f"--out={out}") == 0
    images.write_labels(people[2] / "dog.png", np.ones((10, 12), int))
    assert run(*people, f"--out={out}") == 1
    err = capsys.readouterr().err
    assert "error: dog: the map of p0 is 24x24 and that of p2 12x10; bring all" in err
    assert err.count("\n") == 1
    assert [row["image"] for row in table(out / "images.csv")] == ["cat", "owl"]
    assert not (out / "dog_labels.png").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["p0"], "p0: holds one map of each image; name another source"),
        (["p0", "no"], "no: no such file or folder"),
        (["p0", "p1", "--weights=1"], "--weights 1: say 2 numbers"),
        (["p0", "p1", "--weights=1,x"], "--weights 1,x: say 2 numbers"),
        (["p0", "p1", "--weights=0,0"], "and not all 0"),
        (["p0", "strange"], "no image is in two of the sources: p0 has such as 'cat'"),
        (["small", "p0"], "emu: the map of"),
        (["p0", "p0"], "two tools are called"),
    ],
)
def test_errors_are_one_line(argv, message, people, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "strange", [WRONG], ["emu"])
    if "small" in argv:
        for name in NAMES:
            (people[0] / f"{name}.png").unlink()
        write(people[0], [WRONG], ["emu"])
        write(tmp_path / "small", [WRONG[:4]], ["emu"])
    assert run(*argv, "--out=out") == 2
    err = capsys.readouterr().err
    assert err.startswith("bitdiff consensus: error: ") and message in err
    assert err.count("\n") == 1 and not (tmp_path / "out").exists()
