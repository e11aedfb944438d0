"""Images and label maps: files -> sources -> transforms -> batches.

`images` reads and writes files; `folder`, `readers` and `records` are sources, that is
`len(source)` and `source[i]`; `transforms` brings an item to network size; `augment` changes it at
random; `pipeline` makes batches. The names below are imported when they are first used, since
`pipeline` loads grain.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitdiff_jax.data.augment import Augmentation
    from bitdiff_jax.data.folder import FolderSource
    from bitdiff_jax.data.own_source import check_source
    from bitdiff_jax.data.pipeline import Source, eval_batches, train_dataset
    from bitdiff_jax.data.readers.dataset import Reader
    from bitdiff_jax.data.records.record_source import RecordSource
    from bitdiff_jax.data.resident import Resident
    from bitdiff_jax.data.specs import open_source, open_sources

_HOMES = {
    "Augmentation": "augment",
    "FolderSource": "folder",
    "Reader": "readers.dataset",
    "RecordSource": "records.record_source",
    "Resident": "resident",
    "Source": "pipeline",
    "check_source": "own_source",
    "eval_batches": "pipeline",
    "open_source": "specs",
    "open_sources": "specs",
    "train_dataset": "pipeline",
}

__all__ = [
    "Augmentation",
    "FolderSource",
    "Reader",
    "RecordSource",
    "Resident",
    "Source",
    "check_source",
    "eval_batches",
    "open_source",
    "open_sources",
    "train_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
