"""Scenes with a known posterior, at 32 x 32: is a model as undecided as it should be?

bitdiff train --config posterior --workdir runs/posterior
python benchmarks/quality/posterior.py --checkpoint runs/posterior

1,500 steps of 32 images: about half an hour of one core; docs/scenes.md has its results, which were
still improving. Another kind: --config.data.train=posterior,kind=border
--config.eval.data=posterior,kind=border,seed=1
"""

import ml_collections

from bitdiff_jax import config as config_lib

KINDS = ("pairs", "switch")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.default()
    config.model.image_size = 32
    # Cells of 2 x 2 pixels: in an 8 x 8 grid the parts of an object often want the same cell, and
    # where the others then go is hard to foresee.
    config.model.num_bits = 8
    # Patches of 4 x 4 are faster and too coarse: which parts a noisy map joins can only be told by
    # sums over the pixels of each part, and a part is six pixels wide.
    config.model.net.patch_size = 2
    config.model.net.pixel_channels = 32
    config.model.net.base_channels = 64
    config.model.net.channel_multipliers = (1, 1)
    config.model.net.blocks_per_level = 1
    config.model.net.attention_levels = (0, 1)
    config.model.net.time_conditioning = "scale_shift"
    config.model.schedule.input_scale = 0.05
    config.model.objective.weight = "uniform"
    config.model.objective.decoupled = False
    # Guidance would sharpen the posterior, so nothing needs to be learnt about the empty image.
    config.model.objective.image_keep = 1.0

    config.optimizer.name = "muon"
    config.optimizer.learning_rate = 4e-3
    config.optimizer.b1 = 0.95
    config.optimizer.b2 = 0.99
    config.optimizer.warmup_steps = 100
    config.optimizer.decay_steps = 500
    config.optimizer.ema_decay = 0.998

    config.data.train = ";".join(f"posterior,kind={kind}" for kind in KINDS)
    config.data.augment = "none"  # the probabilities hold for the image as it is
    config.data.num_threads = 1
    config.train.num_steps = 1_500
    config.train.batch_size = 32
    config.train.log_every = 50
    config.train.eval_every = 1_500
    config.train.checkpoint_every = 500
    # Many, so that it is the model that is measured rather than the size of the sampler's steps.
    config.sampling.num_steps = 50
    config.sampling.guidance_weight = 0.0
    config.mesh.cpu_devices = 2
    config.eval.data = "posterior,kind=pairs,seed=1"
    config.eval.num_images = 50
    config.eval.batch_size = 50
    config.eval.score_size = 32
    return config_lib.shrink(config, variant)
