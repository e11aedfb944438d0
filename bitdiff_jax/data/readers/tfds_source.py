"""Data sets that TensorFlow Datasets has prepared as array_record; TensorFlow takes no part."""

import os
import re
import threading
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import encoded, listed, listing
from bitdiff_jax.errors import InputError

_EXPECTED = "NAME/[CONFIG/]VERSION with dataset_info.json and features.json, as tfds prepares it"
_FEATURES = "features.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_CONVERT = (
    "python -m tensorflow_datasets.scripts.convert_format --dataset_version_dir={} "
    "--out_file_format=array_record --out_dir=DIR"
)


class TFDSReader:
    """A picture feature and a label map feature of a prepared data set.

    Features may be tfds images (as bytes, decoded here) or tensors: uint8 [h, w, 3 or 1] for the
    picture, whole numbers [h, w] or [h, w, 1] for the map. Names are like train-00000012, with the
    place in the split.
    """

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        name: str = "",
        image: str = "image",
        labels: str = "segmentation_mask",
        zero: listed.Zero = "ignore",
    ):
        """Reads the description of the data set.

        Args:
            root: the folder of a prepared version (with dataset_info.json), or the data_dir it is
                in.
            split: one of its splits; None for all, one after the other.
            name: NAME, NAME/CONFIG or either with :VERSION, where `root` is a data_dir; without a
                version the highest one is read.
            image: the feature with the picture.
            labels: the feature with the map of region ids.
            zero: what id 0 is: 'ignore' (not annotated), 'region', one like others, or
                'background'.

        Raises:
            InputError: no such data set, split or feature, features of another kind, or another
                file format than array_record, which is the one with random access.
        """
        listed.check_zero(zero)
        self._folder = os.fspath(_find(epath.Path(root), name))
        self._image, self._labels, self.zero = image, labels, zero
        self._forget()
        builder = self._open_builder()
        info = builder.info
        for key in (image, labels):
            if key not in info.features:
                raise InputError(
                    f"{self._folder}: has no feature {key!r}; it has: {', '.join(info.features)} "
                    "(options image=, labels=)"
                )
        formats = sorted(each.value for each in info.available_file_formats())
        if "array_record" not in formats:
            raise InputError(
                f"{self._folder}: is stored as {', '.join(formats) or 'nothing known'}, which "
                f"needs TensorFlow; convert it where that is: {_CONVERT.format(self._folder)}"
            )
        counts = {each: info.splits[each].num_examples for each in info.splits}
        listed.check_split(self._folder, split, tuple(counts))
        self._counts = {each: counts[each] for each in (counts if split is None else (split,))}
        if not sum(self._counts.values()):
            raise InputError(f"{self._folder}: holds no examples; prepare it again")
        self._full_name = info.full_name

    def _forget(self) -> None:
        self._opened: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_opened"], state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __repr__(self) -> str:
        return f"TFDSReader({len(self)} pictures, {self.definition})"

    @property
    def names(self) -> tuple[str, ...]:
        """Split and place of each."""
        return tuple(
            f"{split}-{place:08d}"
            for split, count in self._counts.items()
            for place in range(count)
        )

    @property
    def definition(self) -> str:
        """The data set's full name, its splits and the options."""
        counts = " ".join(f"{split}={count}" for split, count in self._counts.items())
        options = f"image={self._image} labels={self._labels} zero={self.zero}"
        return f"tfds {self._full_name} {counts} {options}"

    @property
    def unlabelled(self) -> str:
        """What pixels without a region are taken for, and why."""
        if self.zero != "ignore":
            return f"id 0 of {self._labels} is {listed.of_zero(self.zero)}"
        return (
            f"id 0 of {self._labels} is taken for not annotated and ignored; zero=background or "
            "zero=region keeps it"
        )

    @property
    def has_background(self) -> bool:
        """Whether id 0 is the background of every label map."""
        return self.zero == "background"

    @classmethod
    def splits(cls, root: os.PathLike | str, name: str = "") -> tuple[str, ...]:
        """The splits that the data set's description lists, without empty ones."""
        info = _builder(os.fspath(_find(epath.Path(root), name))).info
        return tuple(each for each in info.splits if info.splits[each].num_examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        split, place = self._locate(int(index))
        where = f"{self._folder}: example {place} of {split}"
        try:
            example = self._read(split, place)
        except Exception as error:  # array_record and protobuf raise errors of their own kinds
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"{where} cannot be read ({reason}); copy or prepare it again"
            ) from None
        image = encoded.decode_image(example[self._image], f"{where}, {self._image}")
        ids = encoded.ids(example[self._labels], f"{where}, {self._labels}")
        listed.check_size(image, self._image, ids, f"{where}, {self._labels}")
        if self.zero == "ignore":
            ids = np.where(ids == 0, np.int32(IGNORE), ids)
        return {"name": f"{split}-{place:08d}", "image": image, "labels": (ids,)}

    def _locate(self, index: int) -> tuple[str, int]:
        place = index
        for split, count in self._counts.items():
            if 0 <= place < count:
                return split, place
            place -= count
        raise IndexError(f"index {index} is out of range for {len(self)} pictures")

    def _read(self, split: str, place: int) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        with self._lock:
            if split not in self._opened:
                builder = self._open_builder()
                records = builder.as_data_source(
                    split,
                    deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES,
                    file_format="array_record",
                )
                # Only these two are parsed, and images are not decoded: tfds would use OpenCV.
                wanted = {key: builder.info.features[key] for key in (self._image, self._labels)}
                decoders = {
                    key: tfds.decode.SkipDecoding()
                    for key, feature in wanted.items()
                    if isinstance(feature, tfds.features.Image)
                }
                self._opened[split] = records, tfds.features.FeaturesDict(wanted), decoders
            records, features, decoders = self._opened[split]
        record = records[place]
        if not record:  # what array_record makes of a shard that is cut short
            raise ValueError("the shard is damaged")
        return features.deserialize_example_np(record, decoders=decoders)

    def _open_builder(self) -> Any:
        return _builder(self._folder)


def _builder(folder: str) -> Any:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
        builder.info.available_file_formats()
    except Exception as error:  # tfds parses JSON, protobufs and class names here
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{folder}: its description cannot be used without TensorFlow ({reason}); expected "
            f"{_EXPECTED}"
        ) from None
    return builder


def _find(root: epath.Path, name: str) -> epath.Path:
    """The folder of the version that is meant."""
    if (root / _FEATURES).exists():
        return root
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected {_EXPECTED}")
    if not name:
        sets = ", ".join(path.name for path in listing.entries(root) if path.is_dir()) or "nothing"
        raise InputError(f"{root}: holds {sets}; name the data set, as in tfds:NAME")
    path, _, version = name.partition(":")
    folder = root / path
    versions = _versions(folder)
    if version:
        versions = [each for each in versions if each == version]
    if versions:
        return folder / max(versions, key=lambda each: tuple(map(int, each.split("."))))
    configs = [each.name for each in listing.entries(folder) if _versions(each)]
    if configs:
        raise InputError(
            f"{folder}: has the configs {', '.join(configs)}; "
            f"name one, as in tfds:{path}/{configs[0]}"
        )
    raise InputError(
        f"{folder}: holds no version {version or 'of a data set'}; expected {_EXPECTED}"
    )


def _versions(folder: epath.Path) -> list[str]:
    return [
        path.name
        for path in listing.entries(folder)
        if _VERSION.fullmatch(path.name) and (path / _FEATURES).exists()
    ]
