import dataclasses
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli import options
from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import Segmenter, entries, trust, weights_names
from tests.cli.segment_files import error_line, files, rows, save, table
from tests.inference import tiny


@pytest.mark.slow
def test_a_folder_from_beginning_to_end(workdir, segmenter, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    folder, out = tmp_path / "pictures", tmp_path / "deep" / "out"
    save(folder / "cat.png", tiny.image(40, 60))
    save(folder / "dog.JPG", tiny.image(25, 20, seed=1))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture either")
    arguments = [str(folder), f"--checkpoint={workdir}", f"--out={out}", "--num_steps=2"]
    assert cli.main(["segment", *arguments, "--batch_size=4", "--seed=5"]) == 0

    kinds = ("agreement", "colours", "labels", "overlay")
    names = [f"{i}_{k}.png" for i in ("cat", "dog") for k in kinds]
    assert files(out) == [*names, "images.csv", "overview.png", "regions.csv"]
    regions = table(out)
    for name, path in (("cat", folder / "cat.png"), ("dog", folder / "dog.JPG")):
        want = segmenter(path, num_samples=4, num_steps=2, seed=5)
        np.testing.assert_array_equal(
            images.read_labels(out / f"{name}_labels.png"), want.label_map()
        )
        agreement = np.asarray(Image.open(out / f"{name}_agreement.png"))
        agreement = agreement[: want.shape[0], : want.shape[1]]  # without its legend
        np.testing.assert_allclose(agreement / 255, want.agreement, atol=0.002)
        assert images.read_image(out / f"{name}_overlay.png").shape == want.image.shape
        mine = [row for row in regions if row["image"] == name]
        assert [int(row["area"]) for row in mine] == [region.area for region in want.regions()]
        assert {row["file"] for row in mine} == {str(path)}

    captured = capsys.readouterr()
    assert captured.err == ""
    for part in ("seed 5", "60x40, drawn at 16x11", "20x25, drawn at 13x16", tiny.TRAINED_ON):
        assert part in captured.out
    assert captured.out.count("compiling the program") <= 1


def test_a_preset_is_taken_and_other_options_win(run, segmenter, tmp_path, capsys):
    picture = save(tmp_path / "cat.png", tiny.image(40, 60))
    options = "--preset=faithful", "--num_steps=2", "--min_area=0", "--edges=nearest"
    assert run(picture, "--seed=3", *options, out=tmp_path / "out") == 0
    told = "of 2 steps of dpmpp_2m at times uniform in logsnr, guidance weight 0\n"
    assert told in capsys.readouterr().out
    want = segmenter(
        picture, num_samples=4, num_steps=2, seed=3, preset="faithful", min_area=0, edges="nearest"
    )
    got = images.read_labels(tmp_path / "out" / "cat_labels.png")
    np.testing.assert_array_equal(got, want.label_map())


def test_temperature_0_draws_the_same_for_any_seed(run, segmenter, tmp_path, capsys):
    picture = save(tmp_path / "cat.png", tiny.image(40, 60))
    as_drawn = {"min_area": 0, "edges": "nearest"}

    def draw(seed, *options):
        out = tmp_path / f"out{seed}{len(options)}"
        as_is = [f"--{name}={value}" for name, value in as_drawn.items()]
        assert run(picture, f"--seed={seed}", *as_is, *options, out=out) == 0
        return capsys.readouterr().out, images.read_labels(out / "cat_labels.png")

    told, still = draw(0, "--temperature=0")
    assert "guidance weight 1, temperature 0\n" in told and "mean agreement 1.00" in told
    np.testing.assert_array_equal(draw(5, "--temperature=0")[1], still)
    want = segmenter(picture, num_samples=4, num_steps=2, temperature=0, **as_drawn)
    np.testing.assert_array_equal(still, want.label_map())
    (told, first), (_, second) = draw(0), draw(5)
    assert "of 2 steps of ddpm, guidance weight 1\n" in told and "mean agreement 1.00" not in told
    assert (first != second).any() and (first != still).any()


def test_compiling_is_said_once_it_takes_long(workdir, segmenter, tmp_path, capsys, monkeypatch):
    def from_loaded(loaded, *, on_compile):
        assert loaded.step == tiny.STEP
        on_compile()
        return segmenter

    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    monkeypatch.setattr(Segmenter, "from_loaded", from_loaded)
    picture = save(tmp_path / "a.png", tiny.image(9, 9))
    arguments = [str(picture), f"--checkpoint={workdir}", f"--out={tmp_path}", "--num_steps=2"]
    assert cli.main(["segment", *arguments]) == 0
    assert capsys.readouterr().out.count("compiling the program") == 1


def test_the_model_of_the_package_is_the_default(workdir, segmenter, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    monkeypatch.setattr(Segmenter, "from_loaded", lambda *_, **__: segmenter)
    monkeypatch.setattr(weights_names, "_BUNDLED", tmp_path / "box")
    picture = save(tmp_path / "a.png", tiny.image(9, 9))
    arguments = ["segment", str(picture), f"--out={tmp_path / 'out'}", "--num_steps=2"]
    assert cli.main(arguments) == 2
    error_line(capsys, "weights photos", "no model of that name in the package")

    file = tmp_path / "box" / "photos.safetensors"
    out = f"--out={file}"
    licence = "research, non-commercial"
    assert cli.main(["pack", f"--checkpoint={workdir}", out, f"--licence={licence}"]) == 0
    packed = capsys.readouterr().out
    assert f"terms of use: {licence}\nwritten: {file}\n" in packed and "step 7 (ema)" in packed
    assert cli.main(arguments) == 0
    told, line, *_ = capsys.readouterr().out.splitlines()
    assert told == f"photos: terms of use: {licence}"
    assert line == f"photos, step {tiny.STEP}, trained on: {tiny.TRAINED_ON}"
    assert cli.main([*arguments, f"--weights={file}"]) == 0
    assert f"{file}: terms of use: {licence}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main([*arguments, "--weights=photos", f"--checkpoint={workdir}"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_broken_images_are_named_and_the_others_done(run, tmp_path, capsys):
    folder = tmp_path / "pictures"
    save(folder / "a.png", tiny.image(20, 20))
    whole = save(folder / "c.png", tiny.image(20, 20)).read_bytes()
    (folder / "b.png").write_bytes(whole[:200])
    (folder / "d.png").write_text("not a picture")
    (folder / "e.png").write_bytes(b"")
    assert run(folder, tmp_path / "missing.png") == 1
    *lines, count = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and all(line.startswith("bitdiff segment: error: ") for line in lines)
    for name, line in zip(("b.png", "d.png", "e.png", "missing.png"), lines, strict=True):
        assert name in line
    assert count == "bitdiff segment: 4 of 6 picture(s) left out, see above"
    assert {row["image"] for row in table(tmp_path / "out")} == {"a", "c"}
    assert len(files(tmp_path / "out")) == 2 * 4 + 3
    # A picture's maps do not depend on who else was there.
    want = images.read_labels(tmp_path / "out" / "c_labels.png")
    assert run(folder / "c.png", out=tmp_path / "alone") == 0
    np.testing.assert_array_equal(images.read_labels(tmp_path / "alone" / "c_labels.png"), want)


def test_nothing_but_broken_images(run, tmp_path, capsys):
    (tmp_path / "a.png").write_text("not a picture")
    assert run(tmp_path / "a.png") == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert not (tmp_path / "out").exists()


def test_images_of_one_name_do_not_overwrite_each_other(run, tmp_path):
    shapes = {"a.png": (9, 9), "a.bmp": (9, 10), "sub/A.png": (9, 11), "a-2.png": (9, 12)}
    paths = [save(tmp_path / "in" / n, tiny.image(*shape)) for n, shape in shapes.items()]
    assert run(*paths, paths[0], tmp_path / "in" / "sub" / ".." / "a.png") == 0
    out = tmp_path / "out"
    widths = {path.name: images.read_labels(path).shape[1] for path in out.glob("*_labels.png")}
    assert sorted(widths.values()) == [9, 10, 11, 12]
    assert len({name.casefold() for name in widths}) == 4
    assert {row["file"] for row in table(out)} == {str(path) for path in paths}


def test_one_sample_has_no_agreement(run, tmp_path, capsys):
    paths = [save(tmp_path / f"{i}.png", tiny.image(20, 20)) for i in range(4)]
    assert run(*paths, "--num_samples=1") == 0
    names = [f"{i}_{kind}.png" for i in range(4) for kind in ("colours", "labels", "overlay")]
    assert files(tmp_path / "out") == [*names, "images.csv", "overview.png", "regions.csv"]
    assert {row["agreement"] for row in table(tmp_path / "out")} == {""}
    out = capsys.readouterr().out.replace(str(tmp_path), "")
    assert "agree" not in out and "overview.png: picture, its regions\n" in out


def test_odd_images_come_out_at_their_own_size(run, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    save(folder / "pixel.png", tiny.image(1, 1))
    save(folder / "line.png", tiny.image(1, 3000))
    save(folder / "grey.png", tiny.image(7, 9)[..., 0])
    save(folder / "deep.png", rng.integers(0, 65_536, (7, 9)).astype(np.uint16))
    save(folder / "alpha.png", rng.integers(0, 256, (7, 9, 4), np.uint8))
    Image.fromarray(tiny.image(7, 9)).convert("P").save(folder / "palette.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(tiny.image(7, 9)).save(folder / "turned.jpg", exif=turned)
    assert run(folder) == 0
    shapes = {"pixel": (1, 1), "line": (1, 3000), "turned": (9, 7)}
    for path in folder.iterdir():
        labels = images.read_labels(tmp_path / "out" / f"{path.stem}_labels.png")
        assert labels.shape == shapes.get(path.stem, (7, 9))
        np.testing.assert_array_equal(np.unique(labels), np.arange(1, labels.max() + 1))


def test_a_decompression_bomb_is_left_out(run, tmp_path, capsys):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert run(tmp_path / "bomb.png") == 1
    assert "bomb.png" in capsys.readouterr().err.splitlines()[0]


def test_an_empty_folder_is_refused(run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 2
    error_line(capsys, "empty", "no pictures; known", ".png")
    (tmp_path / "empty" / "a.HEIC").write_text("")
    assert run(tmp_path / "empty") == 2
    error_line(capsys, "no pictures, and 1 other file is not read (.heic); known")


def test_an_empty_name_is_not_the_current_folder(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png", tiny.image(9, 9))
    assert run("") == 2
    error_line(capsys, "a picture's name is empty")


def test_what_is_not_read_of_a_folder_is_told(run, tmp_path, capsys):
    folder = tmp_path / "mixed"
    save(folder / "a.png", tiny.image(9, 9))
    save(folder / "sub" / "b.jpg", tiny.image(9, 9))
    Image.fromarray(tiny.image(9, 9)).save(folder / "d.jfif", format="JPEG")
    for name in ("c.HEIC", "c2.heic", "e", ".DS_Store", "Thumbs.db"):
        (folder / name).write_text("")
    assert run(folder, folder / "a.png") == 0
    captured = capsys.readouterr()
    line = f"{folder}: 3 other files and 1 folder are not read (.heic, no ending)"
    assert captured.out.splitlines()[0] == line and captured.out.count("not read") == 1
    assert {row["image"] for row in rows(tmp_path / "out")} == {"a", "d"}
    assert captured.err == ""


def test_what_is_not_read_in_a_few_words(tmp_path):
    assert entries.unread("examples") == entries.unread(str(tmp_path / "none.png")) == ""
    (tmp_path / "sub").mkdir()
    assert entries.unread(str(tmp_path)) == "1 folder is not read"
    for ending in "abcdef":
        (tmp_path / f"x.{ending}").write_text("")
    words = "6 other files and 1 folder are not read (.a, .b, .c, .d, .e, ...)"
    assert entries.unread(str(tmp_path)) == words


def test_a_missing_checkpoint_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    picture = save(tmp_path / "a.png", tiny.image(9, 9))
    out = tmp_path / "deep" / "out"
    arguments = [str(picture), f"--checkpoint={tmp_path / 'none'}", f"--out={out}"]
    assert cli.main(["segment", *arguments]) == 2
    error_line(capsys, "checkpoint", str(tmp_path / "none"), "--workdir")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    "bad",
    [
        "--num_samples=0", "--seed=-1", "--batch_size=0", "--guidance_weight=nan", "--min_area=-3",
        "--temperature=-1.0", "--temperature=inf",
    ],
)  # fmt: skip
def test_numbers_out_of_their_range_are_refused(workdir, tmp_path, capsys, monkeypatch, bad):
    monkeypatch.setattr(options, "load_weights", lambda *_: pytest.fail("loaded"))
    picture = save(tmp_path / "a.png", tiny.image(9, 9))
    arguments = [str(picture), f"--checkpoint={workdir}", f"--out={tmp_path}", bad]
    assert cli.main(["segment", *arguments]) == 2
    name, value = bad.removeprefix("--").split("=")
    error_line(capsys, f"{name} is {value}")
    assert files(tmp_path) == ["a.png"]


def test_a_bad_option_is_told_in_one_line(run, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "a.png", "--num_steps=0")
    assert stop.value.code == 2
    error_line(capsys, "--num_steps", "'0' is not a whole number of 1 or more")


def test_help_names_the_results(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["segment", "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for part in ("ID_labels.png", "regions.csv", "--num_samples", "--checkpoint"):
        assert part in out


def test_a_format_of_ones_own(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_format.py").write_text(
        "def counts(segmentation, folder, name):\n"
        "    areas = [str(region.area) for region in segmentation.regions()]\n"
        "    (folder / f'{name}.txt').write_text(' '.join(areas))\n"
        "counts.suffixes = ('.txt',)\n"
    )
    picture = save(tmp_path / "a.png", tiny.image(9, 9))
    assert run(picture, "--formats=own_format:counts, id_png") == 0
    tables = ["images.csv", "overview.png", "regions.csv"]
    assert files(tmp_path / "out") == ["a.txt", "a_labels.png", *tables]
    areas = [row["area"] for row in table(tmp_path / "out")]
    assert (tmp_path / "out" / "a.txt").read_text().split() == areas
    capsys.readouterr()
    # What it says that it writes is not to overwrite a picture.
    other = save(tmp_path / "in" / "a.png", tiny.image(9, 9))
    (tmp_path / "in" / "a.txt").write_bytes(other.read_bytes())
    arguments = [other, tmp_path / "in" / "a.txt", "--formats=own_format:counts"]
    assert run(*arguments, out=tmp_path / "in") == 2
    error_line(capsys, "overwrite", "a.txt")
    assert run(picture, "--formats=own_format:other") == 2
    error_line(capsys, "own_format has no other")
    assert run(picture, "--formats=png") == 2
    error_line(capsys, "'png' is not known", "id_png")
    sys.modules.pop("own_format", None)


def test_reasons_not_to_trust_a_result_are_told_and_written(
    run, segmenter, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(trust, "LOW_AGREEMENT", 0.9)  # which the tiny model does not reach
    picture = save(tmp_path / "a.png", tiny.image(20, 20))
    assert run(picture, "--min_area=0") == 0
    want = segmenter(picture, num_samples=4, num_steps=2).without_specks(0)
    assert "the samples disagree" in want.warnings[0]
    printed = capsys.readouterr().out.splitlines()
    told = [line for line in printed if "not to be trusted" in line]
    assert told == [f"a: not to be trusted: {reason}" for reason in want.warnings]
    (row,) = rows(tmp_path / "out")
    assert row["warnings"] == "; ".join(want.warnings)
    assert (row["height"], row["width"], row["num_samples"]) == ("20", "20", "4")
    assert float(row["agreement"]) == pytest.approx(want.agreement.mean(), abs=1e-4)
    assert int(row["num_regions"]) == len(table(tmp_path / "out"))


def test_an_area_is_said_in_pixels_of_the_image_or_as_a_share(run, segmenter, tmp_path, capsys):
    picture = save(tmp_path / "a.png", tiny.image(64, 64))  # drawn at 16 x 16
    drawn = segmenter(picture, num_samples=4, num_steps=2)
    counts = {}
    for area in ("0", "32", "0.8%", "2 drawn"):
        out = tmp_path / area
        assert run(picture, f"--min_area={area}", out=out) == 0
        counts[area] = images.read_labels(out / "a_labels.png").max()
        want = drawn.without_specks(area).label_map()
        np.testing.assert_array_equal(images.read_labels(out / "a_labels.png"), want)
    # 32 of 64 x 64 pixels are 2 of 16 x 16.
    assert counts["0"] > counts["32"] == counts["2 drawn"] >= counts["0.8%"]
    assert run(picture, "--min_area=3px") == 2
    error_line(capsys, "min_area is 3px", "0.1%")


def test_examples_are_the_photographs_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = entries.list_entries(["examples"])
    assert [each.identity for each in found] == ["astronaut", "cat", "coffee", "rocket"]
    for each in found:
        assert max(np.asarray(Image.open(each.file)).shape) <= 512
    (tmp_path / "examples").mkdir()  # a folder of one's own comes first
    with pytest.raises(InputError, match="holds no pictures"):
        entries.list_entries(["examples"])


def test_the_overview_shows_the_first_images(run, tmp_path, capsys):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(10):
        save(folder / f"{number}.png", tiny.image(20 + number, 24, seed=number))
    assert run(folder) == 0
    look = f"look at {tmp_path / 'out' / 'overview.png'}: picture, its regions, how far the samples"
    assert look in capsys.readouterr().out
    sheet = images.read_image(tmp_path / "out" / "overview.png")
    widths = [min(256, round(256 * 24 / (20 + number))) for number in range(8)]
    # A column is as wide as its image; the rows are image, regions and agreement.
    assert sheet.shape == (6 + 3 * 262, 6 + sum(widths) + 8 * 6, 3)


def test_edges_follow_the_image_unless_one_says_otherwise(run, segmenter, tmp_path, capsys):
    picture = save(tmp_path / "a.png", tiny.image(48, 64))
    drawn = segmenter(picture, num_samples=4, num_steps=2)
    written = {}
    for edges, arguments in (("image", []), ("nearest", ["--edges=nearest"])):
        assert run(picture, *arguments, out=tmp_path / edges) == 0
        written[edges] = images.read_labels(tmp_path / edges / "a_labels.png")
        want = dataclasses.replace(drawn, edges=edges).label_map()
        np.testing.assert_array_equal(written[edges], want)
    assert (written["image"] != written["nearest"]).any()
    with pytest.raises(SystemExit) as stop:
        run(picture, "--edges=sharp")
    assert stop.value.code == 2
    error_line(capsys, "--edges", "'sharp'", "nearest")
