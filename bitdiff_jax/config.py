"""The settings: every key there is, and how a config is found by name.

A config file (`configs/NAME.py`) has `get_config(variant="")`, which starts from `default()` and
changes what it wants. Configs are locked: an unknown key is an error.
"""

import importlib.util
import pathlib

import ml_collections

from bitdiff_jax.errors import InputError

_PACKAGE = pathlib.Path(__file__).resolve().parent
# In a wheel the configs lie inside the package, in a checkout beside it.
_CONFIG_DIRS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def default() -> ml_collections.ConfigDict:
    """All keys, with the values of our own recipe at 128 x 128."""
    c = ml_collections.ConfigDict()
    c.seed = 0

    c.model = ml_collections.ConfigDict()
    c.model.image_size = 128  # S: the longest side is brought to S, the rest is padding
    c.model.encoding = "bits"  # bits | onehot | onehot_as_released | rgb | rgb_as_released
    c.model.num_bits = 6  # k: 2^k codes (rgb has 121, a cell of an 11 x 11 grid each)
    c.model.prediction = "x"  # x | eps | v | both | p | p_logits
    c.model.time_input = "logsnr"  # logsnr | t: the scalar that the network is told
    # The network, see bitdiff_jax.nets.unet.UNet.
    c.model.net = ml_collections.ConfigDict()
    c.model.net.base_channels = 64
    c.model.net.channel_multipliers = (1, 2, 2, 4, 4)
    c.model.net.blocks_per_level = 3
    c.model.net.attention_levels = (-2, -1)
    c.model.net.num_heads = 4
    c.model.net.patch_size = 1
    c.model.net.time_max_period = 10.0
    c.model.net.time_scale = 1.0
    c.model.net.time_conditioning = "additive"
    c.model.net.dtype = "float32"
    c.model.net.remat = False
    c.model.net.fold = False  # on TPUs: the widest level on pairs of pixels
    c.model.net.attention_chunk = 0  # queries at a time; 0: all
    # The noise schedule, see bitdiff_jax.diffusion.schedules.
    c.model.schedule = ml_collections.ConfigDict()
    c.model.schedule.name = "cosine"  # cosine | linear | linear_simple | parabola
    c.model.schedule.input_scale = 0.1
    c.model.schedule.logsnr_min = -20.0
    c.model.schedule.logsnr_max = 20.0
    # How regions get their codes, see bitdiff_jax.encoding.palette.
    c.model.palette = ml_collections.ConfigDict()
    c.model.palette.layout = "similar"  # similar | different | random | range | none
    c.model.palette.order = "area"  # area | id
    c.model.palette.frame = "valid"  # valid | square
    c.model.palette.excess = "ignore"  # ignore | merge
    c.model.palette.choice = "greedy"  # greedy | optimal
    c.model.palette.seed = 0  # of layout random
    c.model.palette.keep_smallest = True  # layout none: the smallest id keeps code 0
    c.model.palette.max_regions = 256
    # The loss, see bitdiff_jax.model.Objective.
    c.model.objective = ml_collections.ConfigDict()
    c.model.objective.weight = "sigmoid"  # sigmoid | uniform | snr | snr_plus1 | snr_trunc
    c.model.objective.bias = -4.0
    c.model.objective.decoupled = True
    c.model.objective.loss = "mse"  # mse | ce1 | ce2
    c.model.objective.times = "stratified"  # stratified | uniform | low_discrepancy
    c.model.objective.image_keep = 0.95
    c.model.objective.self_condition = 0.0  # share of examples that see a first guess of x0
    c.model.objective.padding = "exclude"  # exclude | as_released
    c.model.objective.ignored = "nearest"  # nearest | as_released

    c.optimizer = ml_collections.ConfigDict()
    c.optimizer.learning_rate = 1e-4
    c.optimizer.warmup_steps = 1_000
    c.optimizer.decay_steps = 50_000  # cosine tail, at the end
    c.optimizer.b1 = 0.9
    c.optimizer.b2 = 0.999
    c.optimizer.eps = 1e-8
    c.optimizer.weight_decay = 0.0
    c.optimizer.clip_norm = 1.0
    c.optimizer.ema_decay = 0.9999
    c.optimizer.ema_warmup = True

    # What to train on, see bitdiff_jax.data.specs: `scenes,level=1` or
    # `folder:DIR,split=train,zero=region`; several joined by ';', each with its `weight=`.
    c.data = ml_collections.ConfigDict()
    c.data.train = "scenes,level=1"
    c.data.augment = "default"  # default | none | as_released
    c.data.keep_scale = 2  # folder pictures stay in memory at so many times S; 0: as they are
    c.data.label_resize = "majority"  # majority | nearest
    c.data.label_padding = -1  # -1 | 0, as released
    c.data.num_workers = 0
    c.data.num_threads = 4
    c.data.trained_on = ""  # the kind of pictures, in words, for the users of a checkpoint

    c.train = ml_collections.ConfigDict()
    c.train.num_steps = 300_000
    c.train.batch_size = 8  # global
    c.train.accumulate = 1  # parts that a device's share of a batch is run in, one by one
    # Of the three, 0 is never.
    c.train.log_every = 100  # steps between two rows of metrics
    c.train.eval_every = 5_000
    c.train.checkpoint_every = 5_000
    c.train.log_seconds = 30.0  # a line on the terminal at least so often; 0: by log_every alone
    c.train.keep_checkpoints = 2  # the latest so many
    c.train.keep_every = 0  # and, for good, those of steps divisible by this; 0: none
    c.train.keep_best = 1  # and so many with the highest:
    c.train.best_by = "eval/ari"
    c.train.on_nonfinite = "stop"  # stop | skip: go back and leave out the batches where it began
    c.train.max_skipped = 1_000  # batches; then it stops

    c.sampling = ml_collections.ConfigDict()
    c.sampling.weights = "ema"  # ema | raw
    c.sampling.method = "ddpm"  # ddpm | ddim
    c.sampling.num_steps = 8
    c.sampling.guidance_weight = 1.0  # 0 is plain conditional; negative runs are allowed
    c.sampling.eta = 0.0
    c.sampling.clip = True
    c.sampling.variance = "large"  # large | small
    c.sampling.eps_after_clip = True
    c.sampling.final = "x0"  # x0 | step
    c.sampling.decoder = "code"  # code | dichotomy, on the host: as released for rgb

    # Evaluation while training; `data = ""` leaves it out.
    c.eval = ml_collections.ConfigDict()
    c.eval.data = "scenes,level=1,seed=1"
    c.eval.num_images = 64
    c.eval.batch_size = 16
    c.eval.score_size = 128  # maps are compared at this longest side; 0 is each map's own size

    # What a training tells of itself, see docs/training.md and bitdiff_jax.training.telemetry.
    c.telemetry = ml_collections.ConfigDict()
    c.telemetry.tensorboard = False  # event files beside the JSON lines; extra `tensorboard`
    c.telemetry.peak_flops = 0.0  # FLOP/s of one device, for the utilisation; 0: known by its kind
    c.telemetry.profile_start = 0  # first step that the profiler records; 0: none
    c.telemetry.profile_steps = 5
    c.telemetry.transfer_guard = "allow"  # allow | log | disallow: implicit copies within a step
    c.telemetry.debug_nans = False  # stop at the operation that makes one; slow

    c.mesh = ml_collections.ConfigDict()
    c.mesh.data = -1  # devices over which the batch alone is split; -1: what is left
    c.mesh.fsdp = 1  # devices over which the training state is split too, see docs/training.md
    # Which tensors of the state are split, 'REGULAR_EXPRESSION WHERE' in order of precedence; see
    # bitdiff_jax.parallel.partition_rules.
    c.mesh.rules = (".* fsdp",)
    c.mesh.fsdp_min_bytes = 65_536  # smaller tensors stay whole
    # Devices to split a CPU into, when there is no accelerator; read by the command line alone. Two
    # on two cores train a small network a fifth faster than one, whose operations rarely fill both.
    c.mesh.cpu_devices = 1

    # Several processes, see bitdiff_jax.parallel.hosts. What differs between them is better said in
    # the environment: JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID.
    c.hosts = ml_collections.ConfigDict()
    c.hosts.cluster = "auto"  # auto | none | explicit | slurm | tpu
    c.hosts.coordinator = ""  # host:port of process 0
    c.hosts.num_processes = 0
    c.hosts.process_id = -1
    c.hosts.start_timeout = 300  # seconds for all to arrive
    c.hosts.heartbeat_timeout = 100  # seconds without a sign of life until the others give up
    c.hosts.shutdown_timeout = 60  # seconds that a process waits at its end for the others
    return c.lock()


def load(name: str) -> ml_collections.ConfigDict:
    """The config `NAME[:variant]`, or that of a file `path/to/file.py[:variant]`.

    Raises:
        InputError: there is no such config, or it does not know the variant.
    """
    path, variant = locate(name)
    spec = importlib.util.spec_from_file_location(f"bitdiff_config_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


def locate(name: str) -> tuple[pathlib.Path, str]:
    """Path of a config's file, and the variant asked for ('' if none)."""
    stem, _, variant = name.partition(":")
    if stem.endswith(".py"):
        path = pathlib.Path(stem)
        if path.is_file():
            return path, variant
        raise InputError(f"--config: there is no file {stem}")
    for folder in _CONFIG_DIRS:
        if (folder / f"{stem}.py").is_file():
            return folder / f"{stem}.py", variant
    raise InputError(f"--config: there is no config {stem!r}; known are {', '.join(names())}")


def names() -> list[str]:
    """Names of the configs that ship with the package."""
    folder = next(d for d in _CONFIG_DIRS if d.is_dir())
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))


def shrink(config: ml_collections.ConfigDict, variant: str) -> ml_collections.ConfigDict:
    """Applies the one variant that every config has: 'smoke', a few steps of a tiny network.

    Raises:
        InputError: another variant.
    """
    if variant not in ("", "smoke"):
        raise InputError(f"--config: unknown variant {variant!r}; there is 'smoke'")
    if variant == "smoke":
        config.model.image_size = 32
        config.model.net.base_channels = 16
        config.model.net.channel_multipliers = (1, 2)
        config.model.net.blocks_per_level = 1
        config.model.net.attention_levels = (-1,)
        config.optimizer.warmup_steps = 2
        config.optimizer.decay_steps = 2
        config.train.num_steps = 6
        config.train.batch_size = 8
        config.train.log_every = 2
        config.train.eval_every = 6
        config.train.checkpoint_every = 3
        config.eval.num_images = 4
        config.eval.batch_size = 4
        config.sampling.num_steps = 2
    return config
