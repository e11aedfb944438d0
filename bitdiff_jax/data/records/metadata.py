"""What tells readers which shards there are."""

import hashlib
import json
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data.records import folder_layout, schema, shards
from bitdiff_jax.errors import InputError


def write_index(
    out: epath.Path,
    plans: Mapping[str, Sequence[folder_layout.Shard]],
    statistics: Mapping[str, Sequence[shards.ShardStatistics]],
    parameters: dict[str, Any],
    unlabelled: str,
    has_background: bool,
) -> None:
    """Writes records.json, what `RecordSource` reads first.

    Raises:
        InputError: a split without any record.
    """
    splits = {}
    for split, plan in plans.items():
        parts = statistics[split]
        if not any(part.names for part in parts):
            _, reason = parts[0].skipped[0]
            raise InputError(f"no picture of split {split!r} can be read; the first: {reason}")
        splits[split] = {
            "shards": [
                {"file": shard.file, "figures": shard.statistics, "records": len(part.names)}
                for shard, part in zip(plan, parts, strict=True)
            ],
            "digest": hashlib.sha256("".join(p.digest for p in parts).encode()).hexdigest(),
            "max_annotators": max(len(maps) for part in parts for maps in part.regions),
        }
    index = {
        "version": schema.VERSION,
        "parameters": parameters,
        "unlabelled": unlabelled,
        "has_background": has_background,
        "splits": splits,
    }
    files.write(out / folder_layout.INDEX, json.dumps(index, indent=1).encode())


def write_tfds(
    out: epath.Path,
    dataset: str,
    plans: Mapping[str, Sequence[folder_layout.Shard]],
    statistics: Mapping[str, Sequence[shards.ShardStatistics]],
    description: str,
) -> None:
    """What `tfds.builder_from_directory` needs; the file that says the set is whole comes last."""
    import tensorflow_datasets as tfds

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        infos = []
        for split, plan in plans.items():
            for shard in plan:  # it looks at their names only
                (folder / shard.file).touch()
            template = tfds.core.ShardedFileTemplate(
                data_dir=folder, dataset_name=dataset, split=split, filetype_suffix="array_record"
            )
            infos.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[len(part.names) for part in statistics[split]],
                    num_bytes=sum(part.bytes for part in statistics[split]),
                    filename_template=template,
                )
            )
        tfds.folder_dataset.write_metadata(
            data_dir=folder,
            features=schema.features(),
            split_infos=infos,
            description=description,
            check_data=False,
        )
        for file in (folder_layout.FEATURES, folder_layout.INFO):
            files.write(out / file, (folder / file).read_bytes())
