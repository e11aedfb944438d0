"""The parts of a training before its first step; nothing is written or computed here."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import ml_collections
from jax.sharding import Mesh

from bitdiff_jax import config_checks, model_config
from bitdiff_jax import model as model_lib
from bitdiff_jax.checkpoint import describe
from bitdiff_jax.data import augment, own_source, pipeline, specs, trained_on
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.parallel import partition_rules
from bitdiff_jax.training import image_features
from bitdiff_jax.training.batches import Batch
from bitdiff_jax.training.evaluator import Evaluator
from bitdiff_jax.training.optimizer import make_optimizer
from bitdiff_jax.training.state import TrainState, init_state
from bitdiff_jax.training.step import TrainStep, step_from_config

_AUGMENTS: dict[str, pipeline.Augment | None] = {
    "default": augment.Augmentation(),
    "geometry": augment.GEOMETRY,
    "none": None,
    "as_released": augment.as_released,
}


@dataclasses.dataclass(frozen=True)
class Setup:
    """The parts of a training.

    Attributes:
        config: the config of the training, with `model.palette.background` if the data has one.
        mesh: the device mesh.
        model: the model that is trained.
        abstract_state: the training state as shapes with shardings.
        init: function that makes the state before the first step, on the devices.
        train_step: the compiled step, see `step.make_train_step`.
        key: PRNG key that `train_step` draws from.
        open_batches: function of n that returns this process's rows of the batches from number n
            on, counted from 1.
        sources: data sources by their specs, without those of weight 0.
        about: the JSON that is saved beside the state, see `checkpoint.store.describe`.
        evaluator: the evaluation during training; None for a training without one.
    """

    config: ml_collections.ConfigDict
    mesh: Mesh
    model: model_lib.Model
    abstract_state: TrainState
    init: Callable[[], TrainState]
    train_step: TrainStep
    key: jax.Array
    open_batches: Callable[[int], Iterator[Batch]]
    sources: dict[str, pipeline.Source]
    about: dict[str, Any]
    evaluator: Evaluator | None


def prepare(
    config: ml_collections.ConfigDict,
    *,
    model: model_lib.Model | None = None,
    sources: pipeline.Source | Mapping[str, pipeline.Source] | None = None,
) -> Setup:
    """Makes the parts of a training from its config.

    Args:
        config: the config of the training.
        model: the model to train, instead of the one that `config.model` describes. Its
            checkpoints are read with the same model: `inference.load(workdir, model=model)`.
        sources: what to train on, instead of `config.data.train`: one source, or several by name,
            which are drawn from in equal parts.

    Raises:
        InputError: a setting or image cannot be used.
    """
    config_checks.check(config)
    if sources is None and not config.data.train.strip():
        raise InputError(
            "config.data.train is empty; say what to train on, as in "
            "--config.data.train=folder:DIR,zero=region (docs/data.md tells what else)"
        )

    # --- Devices ---------------------------------------------------------------------------------
    mesh = mesh_lib.make_mesh(config.mesh.data, config.mesh.fsdp)
    mesh_lib.check_batch_size(config.train.batch_size, mesh, config.train.accumulate)

    features = model_config.image_features(config) if model is None else model.features
    cached = image_features.cache_key(config, features)

    # --- Data ------------------------------------------------------------------------------------
    own_sources = sources is not None
    if sources is None:
        opened, weights = specs.open_sources(
            config.data.train,
            image_size=config.model.image_size if model is None else model.image_size,
            keep_scale=config.data.keep_scale,
            features=cached,
        )
    else:
        opened = _named(sources)
        weights = dict.fromkeys(opened, 1.0)
    used = {name: source for name, source in opened.items() if weights[name]}
    if any(map(pipeline.has_background, used.values())):
        config = _with_background(config, model)

    # --- Model and optimizer, as shapes ----------------------------------------------------------
    own_model = model is not None
    model = model or model_config.from_config(config)
    tx = make_optimizer(config)
    # Made on all devices of the mesh, so that no step has to copy it there.
    split = functools.partial(jax.random.split, jax.random.key(config.seed))
    key_init, key_train = jax.jit(split, out_shardings=mesh_lib.replicated(mesh))()
    init = functools.partial(init_state, model, tx)
    shapes = jax.eval_shape(init, key_init)
    shardings = partition_rules.shardings(
        shapes, partition_rules.rules_from_config(config.mesh), mesh
    )

    # --- Input -----------------------------------------------------------------------------------
    input_args: dict[str, Any] = dict(
        size=model.image_size,
        batch_size=config.train.batch_size,
        seed=config.seed,
        augment=_AUGMENTS[config.data.augment],
        label_padding=config.data.label_padding,
        label_method=config.data.label_resize,
        reserve_zero=model.palette.background,
        inputs=image_features.inputs(config, model),
    )
    process_index, process_count = mesh_lib.process_block(mesh)

    def open_batches(number: int) -> Iterator[Batch]:
        return iter(
            pipeline.train_dataset(
                opened,
                weights,
                **input_args,
                process_index=process_index,
                process_count=process_count,
                start_step=number - 1,
                num_workers=config.data.num_workers,
                num_threads=config.data.num_threads,
            )
        )

    fingerprint = pipeline.fingerprint(opened, weights, **input_args)
    # It follows from the data unless it is set, because a config may be used for other images.
    words = config.data.trained_on.strip() or ("" if own_sources else trained_on.in_words(used))

    # --- Step and evaluation ---------------------------------------------------------------------
    # The encoder's parameters are read once, for both.
    frozen = jax.device_put(image_features.frozen_params(config, model), mesh_lib.replicated(mesh))
    evaluator = None
    if config.eval.data:
        evaluator = Evaluator(config, model, mesh, cached=cached, frozen=frozen)

    return Setup(
        config=config,
        mesh=mesh,
        model=model,
        abstract_state=jax.tree.map(_with_sharding, shapes, shardings),
        init=lambda: image_features.pretrained_state(
            config, model, jax.jit(init, out_shardings=shardings)(key_init)
        ),
        train_step=step_from_config(config, model, tx, mesh, shardings, frozen),
        key=key_train,
        open_batches=open_batches,
        sources=used,
        about=describe(config, fingerprint, words, own_model=own_model),
        evaluator=evaluator,
    )


def _named(
    sources: pipeline.Source | Mapping[str, pipeline.Source],
) -> dict[str, pipeline.Source]:
    """The sources by name, after a check that each of them is a data source."""
    named = dict(sources) if isinstance(sources, Mapping) else {"source": sources}
    for name, source in named.items():
        own_source.check_source(source, name)
    return named


def _with_background(
    config: ml_collections.ConfigDict, model: model_lib.Model | None
) -> ml_collections.ConfigDict:
    """The config whose model knows a background; `InputError` for an own model that does not."""
    if model is not None and not model.palette.background:
        raise InputError(
            "model: the data has a background (zero=background), the model's palette has none; "
            "give it Palette(background=True), or say zero=region"
        )
    config = config.copy_and_resolve_references()
    config.model.palette.background = True
    return config


def _with_sharding(leaf: jax.ShapeDtypeStruct, sharding: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
