"""Damaged image files: an array or an `InputError` of one line, never a crash or a hang.

Run as a script it reads `count` mutants of each seed; the test does so in another process, because
what is looked for ends a process or never returns.
"""

import collections
import contextlib
import io
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import image_files, images
from bitdiff_jax.errors import InputError

MAX_PIXELS = 1_000_000
READERS = (images.read_image, images.read_labels, images.read_label_frames)


def seeds():
    """Small files of all kinds, by name."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:13, :17]
    colours = np.stack([y * 19, x * 15, x * y], axis=-1).astype(np.uint8)
    colours[3:9, 4:12] = rng.integers(0, 256, (6, 8, 3))
    rgb = Image.fromarray(colours)
    grey = rgb.convert("L")
    alpha = rgb.convert("RGBA")
    alpha.putalpha(grey)
    palette = rgb.quantize(12)
    deep = Image.fromarray(colours[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    kinds = {
        "jpeg, EXIF": (rgb, "JPEG", {"exif": exif}),
        "jpeg, progressive": (rgb, "JPEG", {"progressive": True}),
        "jpeg, grey": (grey, "JPEG", {}),
        "jpeg, CMYK": (rgb.convert("CMYK"), "JPEG", {}),
        "jpeg, restarts": (rgb, "JPEG", {"subsampling": 2, "restart_marker_blocks": 1}),
        "png": (rgb, "PNG", {"exif": exif}),
        "png, 16 bits": (deep, "PNG", {}),
        "png, palette": (palette, "PNG", {"transparency": 3, "bits": 4}),
        "png, alpha": (alpha, "PNG", {}),
        "png, grey": (grey, "PNG", {}),
        "png, 1 bit": (grey.convert("1"), "PNG", {}),
        "png, animated": (rgb, "PNG", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        "gif": (palette, "GIF", {"transparency": 0}),
        "gif, animated": (
            palette,
            "GIF",
            {"save_all": True, "append_images": [palette.rotate(30)], "disposal": 2},
        ),
        "tiff": (rgb, "TIFF", {}),
        "tiff, 16 bits": (deep, "TIFF", {}),
        "tiff, floats": (grey.convert("F"), "TIFF", {}),
        "tiff, stack": (
            grey,
            "TIFF",
            {"save_all": True, "append_images": [grey.rotate(90), grey.rotate(180)]},
        ),
        "mpo": (rgb, "MPO", {"save_all": True, "append_images": [rgb.resize((8, 6))]}),
        "pgm, 16 bits": (deep, "PPM", {}),
        "tiff, CMYK": (rgb.convert("CMYK"), "TIFF", {}),
        "webp": (rgb, "WEBP", {"exif": exif.tobytes()}),
        "webp, lossless": (alpha, "WEBP", {"lossless": True}),
        "bmp": (rgb, "BMP", {}),
        "bmp, palette": (palette, "BMP", {}),
        "ppm": (rgb, "PPM", {}),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        kinds[f"tiff, {compression}"] = (rgb, "TIFF", {"compression": compression})
    files = {}
    for name, (image, kind, options) in kinds.items():
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        files[name] = buffer.getvalue()
    return files


def mutate(data, others, rng):
    """Bit flips, extreme or random bytes, cuts, repeats and splices, more of them near the head."""
    changed = bytearray(data)

    def place():
        first, second = rng.integers(len(changed), size=2)
        return int(min(first, second) if rng.random() < 0.5 else first)

    start = place()
    kind = rng.integers(7)
    if kind == 0:
        for _ in range(rng.integers(1, 9)):
            changed[place()] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        for _ in range(rng.integers(1, 5)):
            changed[place()] = int(rng.choice([0, 1, 127, 128, 254, 255]))
    elif kind == 2:
        del changed[start:]
    elif kind == 3:
        del changed[start : start + int(rng.integers(1, 40))]
    elif kind == 4:
        other = place()
        changed[start:start] = changed[other : other + int(rng.integers(1, 60))]
    elif kind == 5:
        other = others[int(rng.integers(len(others)))]
        changed[start:] = other[int(rng.integers(len(other))) :]
    else:
        length = int(rng.integers(1, 9))
        changed[start : start + length] = rng.bytes(length)
    return bytes(changed)


def check(read, path):
    """'array' or 'refused'; anything else is an exception, which ends the script."""
    try:
        got = read(path, max_pixels=MAX_PIXELS)
    except InputError as error:
        message = str(error)
        assert "\n" not in message and message.startswith(f"{path}: "), message
        return "refused"
    for array in got if isinstance(got, tuple) else (got,):
        if read is images.read_image:
            assert array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3
        else:
            assert array.dtype == np.int32 and array.ndim == 2 and array.min() >= 0
        assert 0 < array.shape[0] * array.shape[1] <= MAX_PIXELS
    assert len(got)
    return "array"


def run(path, count):
    """Counts of what became of `count` mutants of each seed, each read both ways."""
    warnings.simplefilter("ignore")
    files = seeds()
    others = list(files.values())
    results = collections.Counter()
    for number, (name, data) in enumerate(files.items()):
        for k in range(count):
            path.write_bytes(mutate(data, others, np.random.default_rng((number, k))))
            print(f"\r{name} {k}", end="", file=sys.stderr)
            for read in READERS:
                results[f"{read.__name__} {check(read, path)}"] += 1
    return results


@pytest.mark.multiprocess
@pytest.mark.slow
def test_thousands_of_damaged_files(tmp_path):
    count = 100
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        path = pathlib.Path(folder) / "mutant"
        done = subprocess.run(
            [sys.executable, __file__, str(path), str(count)],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    results, total = report["results"], len(seeds()) * count
    assert total > 2_500
    for read in (each.__name__ for each in READERS):
        assert results[f"{read} array"] + results[f"{read} refused"] == total
        assert min(results[f"{read} array"], results[f"{read} refused"]) > total / 20
    assert report["megabytes"] < 400  # whatever sizes the damaged headers claim


@pytest.mark.parametrize("name", seeds())
def test_the_seeds_are_whole(tmp_path, name):
    path = tmp_path / "seed"
    path.write_bytes(seeds()[name])
    refused = {
        "tiff, floats": "floating-point",
        "tiff, stack": "holds 3 frames",
        "png, animated": "holds 2 frames",
        "gif, animated": "holds 2 frames",
    }
    if name in refused:
        with pytest.raises(InputError, match=refused[name]):
            images.read_image(path)
    else:
        turned = b"maker" in path.read_bytes()
        assert images.read_image(path).shape == ((17, 13, 3) if turned else (13, 17, 3))


def patched(name, place, sizes, form):
    data = bytearray(seeds()[name])
    struct.pack_into(form, data, place(data), *sizes)
    return bytes(data)


BOMBS = {
    "ppm": lambda: b"P6 40000 40000 255\n",
    "bmp": lambda: patched("bmp", lambda _: 18, (40_000, 40_000), "<ii"),
    "gif": lambda: patched("gif", lambda _: 6, (65_000, 65_000), "<HH"),
    "jpeg": lambda: patched(
        "jpeg, grey", lambda data: data.index(b"\xff\xc0") + 5, (65_000, 65_000), ">HH"
    ),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("read", READERS)
def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch, name, read):
    """A few bytes that announce more than a billion pixels, at the bound that readers use."""
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name]())
    monkeypatch.setattr(image_files, "decode", lambda *_: pytest.fail("was unpacked"))
    with pytest.raises(InputError, match="pixels") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_a_bomb_of_text_inside_a_small_image(tmp_path):
    """100 MB of zeros in a compressed comment of a PNG."""
    body = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = seeds()["png"]
    path = tmp_path / "bomb"
    path.write_bytes(data[:33] + chunk + data[33:])
    tracemalloc.start()
    with contextlib.suppress(InputError):  # the comment may be skipped, or the file refused
        images.read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def peak_megabytes():
    """Of this program; `getrusage` begins with the peak of the process that started it."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():  # not Linux
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    counts = run(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({"results": counts, "megabytes": peak_megabytes()}))
