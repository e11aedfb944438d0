"""Sources to batches: a pure function of (seed, step, process), with grain.

    source.seed(s).shuffle().repeat() for each set -> mix by weight -> augment, resize, pad,
    renumber -> batch(B / processes) -> [process::processes] -> [start_step:]

No state needs to be saved: batch k is the same whether the run began at 0 or at k, on one process
or several (their blocks of rows one after the other), with threads, workers or neither.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import grain
import numpy as np

from bitdiff_jax.data import transforms
from bitdiff_jax.data.image_inputs import ImageInputs
from bitdiff_jax.errors import InputError
from bitdiff_jax.feature_grids import WHOLE, View

# A length for what has no end, small enough for grain's arithmetic on lengths.
_ENDLESS = 2**48
_IMAGE_ALONE = ImageInputs()

Example = dict[str, np.ndarray]
Augment = Callable[
    [np.ndarray, np.ndarray, np.random.Generator, int], tuple[np.ndarray, np.ndarray]
]


class Source(Protocol):
    """Random access to segmented pictures; see `bitdiff_jax.data.folder.FolderSource`.

    It may have an attribute `has_background`: whether id 0 of its label maps is the background,
    and not a region like the others.
    """

    def __len__(self) -> int:
        """The number of pictures."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        """'name' str, 'image' uint8 [h, w, 3], 'labels' tuple of int32 [h, w].

        Perhaps 'draw', `f(rng) -> int32 [h, w]`: a new label map each time the picture is trained
        on, instead of one of 'labels'. Perhaps 'features', what an encoder computed of the picture
        beforehand, see `bitdiff_jax.data.features.Features`.
        """


def has_background(source: Any) -> bool:
    """Whether id 0 of a source's label maps is the background; False for one that does not say."""
    return bool(getattr(source, "has_background", False))


class Wrapper:
    """What a source that changes another's items has of that one.

    Attributes:
        source: the other source.
    """

    source: Source

    def __len__(self) -> int:
        return len(self.source)

    @property
    def has_background(self) -> bool:
        """That of the source."""
        return has_background(self.source)

    @property
    def names(self) -> Sequence[str]:
        """The source's names, if it knows them without reading pictures."""
        return self.source.names  # type: ignore[attr-defined]


class _Flagged(grain.transforms.Map):
    """Marks the items of a source whose id 0 is the background."""

    def map(self, element: dict[str, Any]) -> dict[str, Any]:
        return {**element, "has_background": True}


class _TrainExample(grain.transforms.RandomMap):
    """Item of a source -> network example: one annotator's map, augmented, at network size."""

    def __init__(
        self,
        size: int,
        augment: Augment | None,
        label_padding: transforms.LabelPadding,
        label_method: transforms.LabelMethod,
        reserve_zero: bool,
        inputs: ImageInputs,
    ):
        self._size = size
        self._inputs = inputs
        self._augment = augment
        self._reserve_zero = reserve_zero
        self._label_padding = label_padding
        self._label_method = label_method

    def random_map(self, element: dict[str, Any], rng: np.random.Generator) -> Example:
        """Uses `rng` alone, which grain derives from the seed and the example's place."""
        image, maps = element["image"], element["labels"]
        draw = element.get("draw")
        labels = draw(rng) if draw else maps[int(rng.integers(len(maps)))]
        scale = self._inputs.image_scale
        view: View | None = WHOLE
        if with_view := getattr(self._augment, "with_view", None):
            image, labels, view = with_view(image, labels, rng, self._size, scale)
        elif self._augment is not None:
            (image, labels), view = self._augment(image, labels, rng, self._size), None
        example = transforms.example(
            image,
            labels,
            self._size,
            name=element["name"],
            label_padding=self._label_padding,
            label_method=self._label_method,
            reserve_zero=self._reserve_zero,
            has_background=element.get("has_background", False),
            image_scale=scale,
        )
        height, width = example["size"]
        return {**example, **self._inputs.of_view(element, view, (height, width), self._size)}


def _check_sizes(size: int, batch_size: int, process_index: int, process_count: int) -> None:
    if size < 1 or batch_size < 1:
        raise InputError(f"size={size} and batch_size={batch_size} must be at least 1")
    if not 0 <= process_index < process_count:
        raise InputError(f"process_index={process_index} must be in 0..{process_count - 1}")
    if batch_size % process_count:
        raise InputError(
            f"batch_size={batch_size} is not a multiple of the {process_count} processes; "
            f"use {batch_size // process_count * process_count or process_count}"
        )


def _check_weights(sources: Mapping[str, Source], weights: Mapping[str, float]) -> list[str]:
    """The names of the sets that take part, sorted: the order of a mapping carries no meaning."""
    if set(weights) != set(sources):
        raise InputError(
            f"weights name {sorted(weights)}, sources name {sorted(sources)}: "
            "give one weight for each source"
        )
    for name, weight in weights.items():
        if not (np.isfinite(weight) and weight >= 0):
            raise InputError(f"the weight of {name!r} is {weight}: use a finite number >= 0")
    names = sorted(name for name, weight in weights.items() if weight > 0)
    if not names:
        raise InputError("no source has a weight above 0: nothing to train on")
    for name in names:
        if not len(sources[name]):
            raise InputError(f"source {name!r} is empty: remove it or add pictures")
    return names


def _read_options(num_threads: int, prefetch: int) -> grain.ReadOptions:
    buffer = prefetch if num_threads else 0
    return grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=buffer)


def train_dataset(
    sources: Mapping[str, Source],
    weights: Mapping[str, float],
    *,
    size: int,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    label_padding: transforms.LabelPadding = transforms.IGNORE,
    label_method: transforms.LabelMethod = "majority",
    reserve_zero: bool = False,
    inputs: ImageInputs = _IMAGE_ALONE,
    process_index: int = 0,
    process_count: int = 1,
    start_step: int = 0,
    num_workers: int = 0,
    num_threads: int = 2,
    prefetch: int = 8,
) -> grain.IterDataset:
    """An endless stream of training batches.

    Args:
        sources: sets of pictures by name.
        weights: share of each set among the examples; sets with weight 0 are left out.
        size: S, side of the network's square.
        batch_size: rows of the global batch; a multiple of `process_count`.
        seed: in 0..2^32-1; determines everything.
        augment: `f(image, labels, rng, size)`, such as `augment.Augmentation()`; None for none. It
            must pickle if there are workers.
        label_padding: -1, or 0 as released; see `transforms.example`.
        label_method: how labels are resized where `augment` has not done it.
        reserve_zero: id 0 of the examples is the background's alone: regions of sources without
            `has_background` get 1..n, as objects of the others do.
        inputs: what the network is shown of an image.
        process_index: this process; it gets the block of B/n rows of each batch that
            starts at `process_index * B/n`.
        process_count: number of processes.
        start_step: the first batch is the one of this step.
        num_workers: processes that prepare batches; 0 for threads alone, enough at small sizes.
        num_threads: threads that prepare batches; 0 to prepare each when it is asked for.
        prefetch: batches prepared ahead by the threads.

    Returns:
        An iterable of dicts: 'image' uint8 [B/n, M, M, 3], where M = image_scale * S, 'labels'
        int32 [B/n, S, S], 'size' int32 [B/n, 2], 'image_id' uint32 [B/n], and what `inputs` add.

    Raises:
        InputError: weights that do not fit the sources, an empty source, sizes that do not divide.
    """
    _check_sizes(size, batch_size, process_index, process_count)
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed} must be in 0..2^32-1")
    if start_step < 0:
        raise InputError(f"start_step={start_step} must be at least 0")
    names = _check_weights(sources, weights)
    # Each set has an order of its own, which adding another set does not change.
    shuffled = [
        grain.MapDataset.source(sources[name])
        .seed(zlib.crc32(f"{seed} {name}".encode()))
        .shuffle()
        .repeat(None)
        for name in names
    ]
    if reserve_zero:
        shuffled = [
            dataset.map(_Flagged()) if has_background(sources[name]) else dataset
            for name, dataset in zip(names, shuffled, strict=True)
        ]
    total = sum(weights[name] for name in names)
    shares = [weights[name] / total for name in names]
    mixed = grain.MapDataset.mix(shuffled, shares) if len(names) > 1 else shuffled[0]
    transform = _TrainExample(size, augment, label_padding, label_method, reserve_zero, inputs)
    examples = mixed[:_ENDLESS].seed(seed).random_map(transform)
    # Blocks of consecutive rows, as a batch that is sharded over processes lies in memory: the
    # noise of row i then falls on the same picture on any number of processes.
    batches = examples.batch(batch_size // process_count)[process_index::process_count]
    dataset = batches[start_step:].to_iter_dataset(_read_options(num_threads, prefetch))
    if num_workers:
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=num_workers))
    return dataset


class _EvalExample:
    """Row number -> example; rows beyond the source repeat its last picture, as 'row_mask' says."""

    def __init__(
        self,
        source: Source,
        size: int,
        label_padding: transforms.LabelPadding,
        label_method: transforms.LabelMethod,
        num_annotators: int,
    ):
        self._source = source
        self._size = size
        self._options: dict[str, Any] = {
            "label_padding": label_padding,
            "label_method": label_method,
        }
        self._num_annotators = num_annotators

    def __call__(self, row: int) -> Example:
        index = min(row, len(self._source) - 1)
        item = self._source[index]
        maps = item["labels"][: max(1, self._num_annotators)]
        examples = [
            transforms.example(item["image"], ids, self._size, name=item["name"], **self._options)
            for ids in maps
        ]
        result = examples[0]
        result["row_mask"] = np.asarray(row < len(self._source))
        result["index"] = np.asarray(index, np.int32)
        if self._num_annotators:
            absent = np.full_like(result["labels"], transforms.IGNORE)
            stack = [each["labels"] for each in examples]
            stack += [absent] * (self._num_annotators - len(stack))
            result["annotator_labels"] = np.stack(stack)
            result["annotator_mask"] = np.arange(self._num_annotators) < len(maps)
        return result


def eval_batches(
    source: Source,
    *,
    size: int,
    batch_size: int,
    label_padding: transforms.LabelPadding = transforms.IGNORE,
    label_method: transforms.LabelMethod = "majority",
    num_annotators: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    num_threads: int = 2,
) -> Iterator[Example]:
    """All pictures of a source once, in order, without augmentation.

    Every batch has the same shape: the last one is filled up with copies of the last picture, whose
    'row_mask' is False. Every process gets the same number of batches.

    Args:
        source: pictures; the first annotator's map is in 'labels'.
        size: S, side of the network's square.
        batch_size: rows of the global batch; a multiple of `process_count`.
        label_padding: see `transforms.example`.
        label_method: see `transforms.resize_labels`.
        num_annotators: if A > 0, also 'annotator_labels' int32 [B, A, S, S], the maps of the first
            A annotators, and 'annotator_mask' bool [B, A]; maps that do not exist are -1
            throughout.
        process_index: this process; it gets the block of B/n rows of each batch that
            starts at `process_index * B/n`.
        process_count: number of processes.
        num_threads: threads that prepare batches; 0 for none.

    Yields:
        Dicts as from `train_dataset`, with 'row_mask' bool [B/n] and 'index' int32 [B/n], the
        picture's place in the source.

    Raises:
        InputError: an empty source, sizes that do not divide.
    """
    _check_sizes(size, batch_size, process_index, process_count)
    if not len(source):
        raise InputError("the source is empty: nothing to evaluate")
    rows = -(-len(source) // batch_size) * batch_size
    transform = _EvalExample(source, size, label_padding, label_method, num_annotators)
    examples = grain.MapDataset.range(rows).map(transform)
    batches = examples.batch(batch_size // process_count)[process_index::process_count]
    return iter(batches.to_iter_dataset(_read_options(num_threads, prefetch=2)))


def definition(source: Source) -> str:
    """What determines a source's items: its `definition`, or its repr, or the name of its type."""
    own_repr = type(source).__repr__ is not object.__repr__
    return getattr(source, "definition", repr(source) if own_repr else type(source).__qualname__)


def fingerprint(
    sources: Mapping[str, Source],
    weights: Mapping[str, float],
    *,
    size: int,
    batch_size: int,
    seed: int,
    augment: Augment | None = None,
    label_padding: int = transforms.IGNORE,
    label_method: str = "majority",
    reserve_zero: bool = False,
    inputs: ImageInputs = _IMAGE_ALONE,
) -> str:
    """Twelve hex digits that name what `train_dataset` yields, for checkpoints.

    Covers the arguments, the sources' names and lengths, and their `definition` or, without one,
    their repr, if they have one of their own; not the content of files, where they lie, or how many
    processes and workers read them.
    """
    names = _check_weights(sources, weights)
    settings = {
        "sources": [
            [name, float(weights[name]), len(source), definition(source)]
            for name, source in ((name, sources[name]) for name in names)
        ],
        "size": size,
        "batch_size": batch_size,
        "seed": seed,
        # A function has an address in its repr, a dataclass its fields.
        "augment": getattr(augment, "__qualname__", None) or repr(augment),
        "label_padding": label_padding,
        "label_method": label_method,
        # Fingerprints of trainings without it stay what they were.
        **({"reserve_zero": True} if reserve_zero else {}),
        **({"inputs": repr(inputs)} if inputs != _IMAGE_ALONE else {}),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
