"""Draws label maps with an exported sampler: python run.py IMAGE ... --out DIR

This file stands by itself. It needs JAX, flatbuffers, numpy and Pillow, and the three files beside
it. From Python: `Sampler(folder)(image)`.
"""

import argparse
import json
import os
import pathlib
import sys
import zlib
from typing import Any

import jax
import numpy as np
from jax import export
from PIL import Image

FORMAT, VERSION = "bitdiff_jax.sampler", 1
PROGRAM, PARAMS, ABOUT, SCRIPT = "sampler.stablehlo", "params.npz", "sampler.json", "run.py"


class Sampler:
    """An exported sampler, read from its folder.

    Attributes:
        about: what sampler.json says.
        program: the program of `jax.export`; `program.call(params, rows, seed)` runs it.
        params: the parameters, as the program takes them.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Reads the program and the parameters; ValueError if they are of another format."""
        folder = pathlib.Path(folder)
        self.about = json.loads((folder / ABOUT).read_text())
        found = self.about.get("format"), self.about.get("format_version")
        if found != (FORMAT, VERSION):
            raise ValueError(f"{folder / ABOUT}: is of format {found}, not {(FORMAT, VERSION)}")
        self.program = export.deserialize(bytearray((folder / PROGRAM).read_bytes()))
        self.params: dict[str, Any] = {}
        with np.load(folder / PARAMS) as arrays:
            for name in arrays.files:
                *parts, last = name.split("/")
                place = self.params
                for part in parts:
                    place = place.setdefault(part, {})
                place[last] = arrays[name]
        self.params = jax.device_put(self.params)
        self._call = jax.jit(self.program.call)

    def __call__(
        self,
        image: np.ndarray,
        num_samples: int = 1,
        seed: int = 0,
        name: str = "",
        features: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws label maps of one image.

        Args:
            image: uint8 [h, w, 3].
            num_samples: number n of maps.
            seed: seed and name draw the same maps again.
            name: of the image.
            features: float16 [G, G, C], for a program without its encoder.

        Returns:
            The codes int32 [n, h', w'] at the size that the network draws, where pixels with the
            same code are a region, and their probabilities, float32 of the same shape.
        """
        row, (height, width) = self.row(image)
        if "features" in self.about["rows"]:
            if features is None:
                raise ValueError("this sampler was exported without its encoder: give features")
            row["features"] = features
        rows = {key: np.repeat(value[None], num_samples, 0) for key, value in row.items()}
        rows["image_id"] = np.full(num_samples, zlib.crc32(name.encode()), np.uint32)
        rows["sample"] = np.arange(num_samples, dtype=np.uint32)
        maps = self._call(self.params, rows, np.uint32(seed))
        codes, certainty = np.asarray(maps["codes"]), np.asarray(maps["certainty"])
        return codes[:, :height, :width], certainty[:, :height, :width]

    def row(self, image: np.ndarray) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
        """What the program is shown of an image, and (h, w) of the label map that it fills."""
        drawn, side = self.about["size"], self.about["image_size"]
        height, width = fitted(image.shape, drawn)
        scale = side // drawn
        row = {
            "image": padded(by_area(image, (height * scale, width * scale)), side),
            "size": np.array([height, width], np.int32),
        }
        if "encoder_size" in self.about:
            side = self.about["encoder_size"]
            shape = fitted(image.shape, side)
            picture = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR)
            row["encoder_image"] = padded(np.asarray(picture), side)
            row["encoder_size"] = np.array(shape, np.int32)
        return row, (height, width)


def fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """(h, w) of an image whose longest side becomes `side`."""
    height, width = shape[:2]
    if height > width:
        return side, max(1, round(width / height * side))
    return max(1, round(height / width * side)), side


def padded(image: np.ndarray, side: int) -> np.ndarray:
    """The image at the top left of a black square."""
    square = np.zeros((side, side, image.shape[2]), image.dtype)
    square[: image.shape[0], : image.shape[1]] = image
    return square


def by_area(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The image resized: each pixel is the mean of the area that it covers."""
    if image.shape[:2] == tuple(shape):
        return image
    rows, columns = (box_filter(old, new) for old, new in zip(image.shape, shape, strict=False))
    wide = np.tensordot(rows, image.astype(np.float32), 1)
    resized = np.tensordot(wide, columns, (1, 1)).transpose(0, 2, 1)
    return np.rint(resized).astype(np.uint8)


def box_filter(source: int, target: int) -> np.ndarray:
    """float32 [target, source]: the share of each source pixel in each target pixel."""
    starts = np.arange(source) * target
    first, last = np.arange(target)[:, None] * source, np.arange(1, target + 1)[:, None] * source
    overlap = np.minimum(starts + target, last) - np.maximum(starts, first)
    return (np.maximum(overlap, 0) / source).astype(np.float32)


def main() -> None:
    """Reads the command line, writes a 16-bit PNG of region ids for each image."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--out", required=True, metavar="DIR", help="made if need be")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    sampler = Sampler(pathlib.Path(__file__).parent)
    if sampler.about["terms_of_use"]:
        print(f"terms of use: {sampler.about['terms_of_use']}")
    for name in args.images:
        path = pathlib.Path(name)
        try:
            image = np.asarray(Image.open(path).convert("RGB"))
        except OSError as error:
            sys.exit(f"{name}: is no image that can be read ({error})")
        codes, _ = sampler(image, seed=args.seed, name=path.stem)
        _, ids = np.unique(codes[0], return_inverse=True)
        labels = Image.fromarray((ids.reshape(codes[0].shape) + 1).astype(np.uint16))
        file = out / f"{path.stem}_labels.png"
        labels.resize(image.shape[1::-1], Image.Resampling.NEAREST).save(file)
        print(f"{file}: {ids.max() + 1} regions")


if __name__ == "__main__":
    main()
