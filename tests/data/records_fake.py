"""A data set that is drawn rather than read, for the tests of prepared records."""

import dataclasses
import time

import numpy as np

from bitdiff_jax.errors import InputError


class FakeReader:
    unlabelled = "pixels of no region are ignored"

    def __init__(self, split, data):
        self.split, self.data = split, data
        self.names = tuple(f"{split}/{i:03d}" for i in range(data.counts[split]))
        self.definition = f"fake {split} {data.seed}"

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        time.sleep(self.data.delay)
        name = self.names[index]
        if name in self.data.broken:
            raise InputError(f"{name}.jpg: the file is damaged or cut short; download it again")
        if name in self.data.buggy:
            raise KeyError(name)
        rng = np.random.default_rng([self.data.seed, index])
        height, width = rng.integers(20, 60, 2) * self.data.scale
        labels = []
        for _ in range(1 + index % 3):
            ids = rng.integers(-1, 5, (4, 5)).repeat(-(-height // 4), 0).repeat(-(-width // 5), 1)
            ids = ids[:height, :width]
            ids = np.where(ids == 4, 70_000 + index, ids).astype(np.int32)
            labels.append(np.ascontiguousarray(ids))
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        return {"name": name, "image": image, "labels": tuple(labels)}


@dataclasses.dataclass(frozen=True)
class FakeData:
    counts: dict = dataclasses.field(default_factory=lambda: {"train": 40, "val": 9})
    broken: tuple = ()
    buggy: tuple = ()
    delay: float = 0.0
    seed: int = 0
    scale: int = 1
    kind: str = "fake"
    options: dict = dataclasses.field(default_factory=dict)

    def splits(self):
        return () if list(self.counts) == ["all"] else tuple(self.counts)

    def open(self, split):
        return FakeReader(split, self)


def content(folder):
    """All files of a prepared folder; what tells the time is left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "summary.txt"
    }
