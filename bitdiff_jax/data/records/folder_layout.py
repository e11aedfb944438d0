"""What lies where in a prepared folder.

    OUT/KIND-SPLIT.array_record-00000-of-00016   shards, contiguous ranges of the split's pictures
    OUT/progress/parameters.json                 what was asked for; the first file that is written
    OUT/progress/SPLIT-00000-of-00016.json       figures of a shard, written before its final name
    OUT/records.json                             splits, shards and digests, for `RecordSource`
    OUT/summary.txt, OUT/contact_sheet.png
    OUT/features.json, OUT/dataset_info.json     for tfds; dataset_info.json is written last

So a shard with its final name is whole and has its figures, and a folder with dataset_info.json
is whole.
"""

import dataclasses
import os
from typing import Final

from etils import epath

INDEX: Final = "records.json"
INFO: Final = "dataset_info.json"
FEATURES: Final = "features.json"
SUMMARY: Final = "summary.txt"
SHEET: Final = "contact_sheet.png"
PROGRESS: Final = "progress"
PARAMETERS: Final = "parameters.json"
ALL: Final = "all"  # the one split of a set that has none

# A shard is what an interruption may cost, and what a process works on at a time; and each is a
# file that training keeps open.
_MOST_IMAGES = 256
_MOST_SHARDS = 128
_FEW_SHARDS = 16
_FEW_IMAGES = 8


@dataclasses.dataclass(frozen=True)
class Shard:
    """A range of the pictures of a split, and the file it becomes."""

    dataset: str
    split: str
    number: int
    count: int
    start: int
    stop: int

    @property
    def file(self) -> str:
        """The name that tfds expects."""
        return f"{self.dataset}-{self.split}.array_record-{self._place}"

    @property
    def statistics(self) -> str:
        """The file with its figures, in the folder of progress."""
        return f"{self.split}-{self._place}.json"

    @property
    def _place(self) -> str:
        return f"{self.number:05d}-of-{self.count:05d}"


def plan(dataset: str, split: str, num_images: int) -> list[Shard]:
    """The shards of a split: a function of the number of pictures alone, never of the workers."""
    count = -(-num_images // _MOST_IMAGES)
    count = max(count, min(_FEW_SHARDS, -(-num_images // _FEW_IMAGES)))
    count = min(count, _MOST_SHARDS)
    edges = [k * num_images // count for k in range(count + 1)]
    return [Shard(dataset, split, k, count, edges[k], edges[k + 1]) for k in range(count)]


def how_to_split(kind: str) -> str:
    """How a set of a kind that has no splits gets them, as part of a sentence; '' for no way."""
    if kind != "folder":
        return ""
    return 'list the splits in splits.json of the source, {"train": ["ID", ...]},'


def is_local(path: epath.PathLike) -> bool:
    """Whether a library that knows no buckets can open it."""
    return "://" not in os.fspath(path)
