"""Every key of a config, with its default value.

A config file (`configs/NAME.py`) has `get_config(variant="")`, which starts from `default()` and
changes what it wants; `load` finds it by name. Configs are locked: an unknown key is an error.
"""

import ml_collections

from bitdiff_jax.config_files import load, locate, names
from bitdiff_jax.errors import InputError

__all__ = [
    "EVALUATION_METRICS",
    "HIGHER_IS_BETTER",
    "default",
    "load",
    "locate",
    "names",
    "shrink",
]

# The metrics that the evaluation of a training writes, as 'eval/NAME', and those of them of which
# high values are better, which `train.best_by` may name.
EVALUATION_METRICS = (
    "ari", "iou", "iou_symmetric", "covering", "vi", "pq", "regions", "regions_true",
)  # fmt: skip
HIGHER_IS_BETTER = ("ari", "iou", "iou_symmetric", "covering", "pq")


def default() -> ml_collections.ConfigDict:
    """A config with all keys, and the values of our own recipe at 128 x 128."""
    c = ml_collections.ConfigDict()
    c.seed = 0

    c.model = ml_collections.ConfigDict()
    c.model.image_size = 128  # S: the longest side is brought to S, the rest is padding
    c.model.encoding = "bits"  # bits | onehot | onehot_as_released | rgb | rgb_as_released
    c.model.num_bits = 6  # k: 2^k codes (rgb has 121, a cell of an 11 x 11 grid each)
    c.model.prediction = "x"  # x | eps | v | both | p | p_logits
    c.model.time_input = "logsnr"  # logsnr | t: the scalar that the network is told
    # The network: the attributes of bitdiff_jax.nets.unet.UNet; for another network see
    # bitdiff_jax.nets.network.
    c.model.net = ml_collections.ConfigDict()
    c.model.net.implementation = "auto"  # auto | plain | fused | package.module:Class
    c.model.net.base_channels = 64
    c.model.net.channel_multipliers = (1, 2, 2, 4, 4)
    c.model.net.blocks_per_level = 3
    c.model.net.attention_levels = (-2, -1)
    c.model.net.num_heads = 4
    c.model.net.patch_size = 1
    c.model.net.time_max_period = 10.0
    c.model.net.time_scale = 1.0
    c.model.net.pixel_channels = 0  # of a head on the pixels that patches are unfolded to; 0: none
    c.model.net.time_conditioning = "additive"
    c.model.net.dtype = "float32"
    c.model.net.remat = False
    c.model.net.fold = False  # fused only, for TPUs: compute the widest level on pairs of pixels
    c.model.net.attention_chunk = 0  # fused only: attention queries at a time; 0: all at once
    c.model.net.options = ml_collections.ConfigDict()  # arguments of a network of your own
    c.model.image_scale = 1  # the network sees the image at this many times S
    # A pretrained image encoder, see bitdiff_jax.nets.encoders and docs/encoders.md.
    c.model.encoder = ml_collections.ConfigDict()
    c.model.encoder.name = "none"  # none | mobile_sam | efficientnet_lite0 | ... | module:Class
    c.model.encoder.image_size = 0  # side of the square that it sees; 0: its own
    c.model.encoder.weights = ""  # file of its parameters; '': those that the package carries
    c.model.encoder.grid = 64  # cells along the square, a part of model.image_size
    c.model.encoder.channels = 32  # channels that a cell's features are reduced to
    c.model.encoder.scale = 1.0  # factor that brings features to the order of 1
    c.model.encoder.tuned = False  # whether it is trained too, at optimizer.encoder_learning_rate
    c.model.encoder.options = ml_collections.ConfigDict()  # arguments of an encoder of your own
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
    c.model.palette.seed = 0  # for layout random: the seed of its order
    c.model.palette.keep_smallest = True  # for layout none: the smallest id keeps code 0
    c.model.palette.max_regions = 256
    # Code 0 is the background's alone; a training on data with zero=background turns it on.
    c.model.palette.background = False
    # The prompts that the network takes, see bitdiff_jax.prompts: the share of training rows that
    # sees each; 0: it does not take it.
    c.model.prompts = ml_collections.ConfigDict()
    c.model.prompts.granularity = 0.0  # the number of regions
    c.model.prompts.region = 0.0  # points and a box of one region
    c.model.prompts.codes = 0.0  # codes of some pixels
    # The loss, see bitdiff_jax.training_loss.Objective.
    c.model.objective = ml_collections.ConfigDict()
    c.model.objective.weight = "sigmoid"  # sigmoid | uniform | snr | snr_plus1 | snr_trunc
    c.model.objective.bias = -4.0
    c.model.objective.decoupled = True
    c.model.objective.loss = "mse"  # mse | ce1 | ce2
    c.model.objective.times = "stratified"  # stratified | uniform | low_discrepancy
    c.model.objective.image_keep = 0.95
    c.model.objective.self_condition = 0.0  # share of examples that see a first guess of x0
    c.model.objective.feature_dropout = 0.0  # share of the channels of features left out
    c.model.objective.region_balance = 0.0  # 0 counts pixels alike, 1 regions
    c.model.objective.padding = "exclude"  # exclude | as_released
    c.model.objective.ignored = "nearest"  # nearest | as_released

    c.optimizer = ml_collections.ConfigDict()
    c.optimizer.name = "adamw"  # or "muon", for kernels
    c.optimizer.learning_rate = 1e-4
    c.optimizer.encoder_learning_rate = 1e-5  # of an encoder that is tuned
    c.optimizer.warmup_steps = 1_000
    c.optimizer.decay_steps = 50_000  # length of the cosine decay at the end
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
    c.data.augment = "default"  # default | geometry | none | as_released
    # Where an encoder's features come from: 'cache', what `bitdiff prepare --encoder` wrote beside
    # the records; 'step', the encoder inside the training step; 'auto': the cache on a CPU.
    c.data.features = "auto"
    c.data.keep_scale = 2  # images of folders stay in memory at this many times S; 0: at full size
    c.data.label_resize = "majority"  # majority | nearest
    c.data.label_padding = -1  # label of the padding: -1, ignored, or 0, as released
    c.data.num_workers = 0
    c.data.num_threads = 4
    # The kind of images, in words, for the users of a checkpoint; '' derives it from `data.train`.
    c.data.trained_on = ""

    c.train = ml_collections.ConfigDict()
    c.train.num_steps = 300_000
    c.train.batch_size = 8  # images per step, over all devices and processes
    c.train.accumulate = 1  # number of parts in which a device runs its share, one after the other
    # The next three are intervals in steps; 0 is never.
    c.train.log_every = 100  # between two rows of metrics
    c.train.eval_every = 5_000
    c.train.checkpoint_every = 5_000
    c.train.log_seconds = 30.0  # longest time between two lines on the terminal; 0: no such limit
    c.train.keep_checkpoints = 2  # number of latest checkpoints that are kept
    c.train.keep_every = 0  # checkpoints of steps divisible by this are kept for good; 0: none
    c.train.keep_best = 1  # number of best checkpoints that are kept, by the metric best_by
    c.train.best_by = "eval/ari"  # 'eval/' and one of HIGHER_IS_BETTER
    # What to do when a loss is no longer finite: stop, or skip, which goes back to the last
    # checkpoint and leaves out the batches where it began.
    c.train.on_nonfinite = "stop"  # stop | skip
    c.train.max_skipped = 1_000  # skipped batches, beyond which the training stops

    # How maps are drawn, see bitdiff_jax.diffusion.sampler; presets are in diffusion.presets.
    c.sampling = ml_collections.ConfigDict()
    c.sampling.weights = "ema"  # ema | raw
    c.sampling.method = "ddpm"  # ddpm | ddim | dpmpp_2m | package.module:name of a step method
    c.sampling.num_steps = 8
    c.sampling.guidance_weight = 1.0  # 0 is plain conditional; negative values are allowed
    c.sampling.eta = 0.0  # for ddim: 0 is deterministic, 1 has the noise of ddpm
    c.sampling.clip = True
    c.sampling.variance = "large"  # for ddpm: large | small
    c.sampling.eps_after_clip = True  # for ddim: eps follows the clipped x0
    c.sampling.final = "x0"  # x0 | step: what the last step returns
    c.sampling.decoder = "code"  # code | dichotomy (on the host, as released for rgb)
    # Factor of all noise: below 1 maps are more probable and vary less, 0 is deterministic.
    c.sampling.temperature = 1.0
    c.sampling.time_grid = "uniform"  # uniform (in t) | logsnr: times at which the network is asked

    # Evaluation while training; `data = ""` leaves it out.
    c.eval = ml_collections.ConfigDict()
    c.eval.data = "scenes,level=1,seed=1"
    c.eval.num_images = 64
    c.eval.batch_size = 16
    c.eval.score_size = 128  # maps are compared at this longest side; 0 is each map's own size

    # What a training measures of itself, see docs/training.md and bitdiff_jax.training.telemetry.
    c.telemetry = ml_collections.ConfigDict()
    c.telemetry.tensorboard = False  # write event files as well; needs the extra `tensorboard`
    c.telemetry.peak_flops = 0.0  # FLOP/s of one device, for the utilisation; 0: from its kind
    c.telemetry.profile_start = 0  # first step that the profiler records; 0: none
    c.telemetry.profile_steps = 5
    c.telemetry.transfer_guard = "allow"  # allow | log | disallow: implicit copies within a step
    c.telemetry.debug_nans = False  # stop at the operation that makes a NaN; slow

    c.mesh = ml_collections.ConfigDict()
    c.mesh.data = -1  # devices over which the batch alone is split; -1: what is left
    c.mesh.fsdp = 1  # devices over which the training state is split too, see docs/training.md
    # Which tensors of the state are split: 'REGULAR_EXPRESSION WHERE' in order of precedence, see
    # bitdiff_jax.parallel.partition_rules. On a command line the whole tuple is given in quotes:
    # "--config.mesh.rules=('.*/qkv/.* replicate', '.* fsdp')"
    c.mesh.rules = (".* fsdp",)
    c.mesh.fsdp_min_bytes = 65_536  # smaller tensors stay whole
    # Number of devices that a CPU is split into, where there is no accelerator; only the command
    # line reads it. On two cores, two devices train a small network a fifth faster than one, whose
    # operations rarely fill both cores.
    c.mesh.cpu_devices = 1

    # Several processes, see bitdiff_jax.parallel.hosts. What differs between them is better set in
    # the environment: JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID.
    c.hosts = ml_collections.ConfigDict()
    c.hosts.cluster = "auto"  # auto | none | explicit | slurm | tpu
    c.hosts.coordinator = ""  # host:port of process 0
    c.hosts.num_processes = 0
    c.hosts.process_id = -1
    c.hosts.start_timeout = 300  # seconds in which all processes have to arrive
    c.hosts.heartbeat_timeout = 100  # seconds without a sign of life until the others give up
    c.hosts.shutdown_timeout = 60  # seconds that a process waits at its end for the others
    c.lock()
    c.model.net.options.unlock()
    c.model.encoder.options.unlock()
    return c


def shrink(config: ml_collections.ConfigDict, variant: str) -> ml_collections.ConfigDict:
    """Applies the one variant that every config has: 'smoke', a few steps of a tiny network.

    Raises:
        InputError: the variant is neither '' nor 'smoke'.
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
