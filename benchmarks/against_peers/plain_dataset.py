"""A PyTorch Dataset of segmented pictures, as one is usually written: Pillow, then numpy.

It changes pictures as `bitdiff_jax.data.augment.Augmentation` does, by Pillow's means: crop and
stretch while resizing, flip, rotation, tone and colour. Labels are taken from the nearest pixel;
ours go by majority and drop what a crop left of a region, which costs more and is not asked for
here.
"""

import math
import pathlib

import numpy as np
from PIL import Image, ImageEnhance
from torch.utils.data import Dataset

from bitdiff_jax.data.augment import Augmentation


class Folder(Dataset):
    """images/ID.jpg or .png with labels/ID.png or labels/ID_0.png."""

    def __init__(self, root: pathlib.Path, size: int):
        self.size = size
        self.chances = Augmentation()
        self.pairs = []
        for image in sorted((root / "images").glob("*")):
            maps = sorted((root / "labels").glob(f"{image.stem}_[0-9]*.png"))
            maps += [path for path in [root / "labels" / f"{image.stem}.png"] if path.is_file()]
            if maps:
                self.pairs.append((image, maps))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        rng, c = np.random.default_rng(), self.chances
        image_path, maps = self.pairs[index]
        with Image.open(image_path) as file:
            image = file.convert("RGB")
        with Image.open(maps[rng.integers(len(maps))]) as file:
            labels = Image.fromarray(np.asarray(file).astype(np.int32))
        box = None
        if rng.random() < c.crop:
            sides = [side * rng.uniform(c.min_side, 1) for side in image.size]
            x, y = (rng.uniform(0, w - s) for w, s in zip(image.size, sides, strict=True))
            box = (x, y, x + sides[0], y + sides[1])
        width, height = image.size if box is None else (box[2] - box[0], box[3] - box[1])
        height *= math.exp(rng.uniform(-c.stretch, c.stretch))
        scale = self.size / max(width, height)
        shape = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = image.resize(shape, Image.Resampling.BOX, box)
        labels = labels.resize(shape, Image.Resampling.NEAREST, box)
        if rng.random() < c.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            labels = labels.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if rng.random() < c.rotate:
            degrees = rng.uniform(-c.degrees, c.degrees)
            image = image.rotate(degrees, Image.Resampling.BILINEAR)
            labels = labels.rotate(degrees, Image.Resampling.NEAREST, fillcolor=-1)
        if rng.random() < c.colour:
            factors = np.exp(rng.uniform(-c.strength, c.strength, 2))
            image = ImageEnhance.Brightness(image).enhance(factors[0])
            image = ImageEnhance.Contrast(image).enhance(factors[1])
        if rng.random() < c.colour:
            image = ImageEnhance.Color(image).enhance(1 + rng.uniform(-c.strength, c.strength))
        return self._padded(np.asarray(image), np.asarray(labels))

    def _padded(self, image: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        height, width = labels.shape
        ids, compact = np.unique(labels, return_inverse=True)
        compact = compact.reshape(labels.shape) - (ids[0] == -1)
        square = np.zeros((self.size, self.size, 3), np.uint8)
        square[:height, :width] = image
        whole = np.full((self.size, self.size), -1, np.int32)
        whole[:height, :width] = compact
        return {"image": square, "labels": whole, "size": np.array([height, width], np.int32)}
