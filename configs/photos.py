"""Photographs, seen through a pretrained encoder: regions of people's kind, at 64 x 64.

    bitdiff prepare bsds500 --source BSDS500 --out data/bsds --size 512 --encoder mobile_sam
    bitdiff train --config photos --workdir runs/photos \
        --config.data.train=records:data/bsds,split=train \
        --config.eval.data=records:data/bsds,split=val

The network of `small`, which besides the image at 128 x 128 sees what MobileSAM's frozen encoder
makes of it at 1024 pixels. On a CPU these features come from a cache that `prepare --encoder` wrote
(1.4 MB for a photo of 481 x 321 pixels and its mirror image); on an accelerator the encoder is part
of the training step.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.load("small")
    config.model.image_scale = 2
    config.model.encoder.name = "mobile_sam"
    config.model.encoder.grid = 64
    config.model.encoder.channels = 32
    config.model.encoder.scale = 11.0  # its features have a standard deviation of .09

    # Patches of 4 x 4 pixels lose small regions, which a head on single pixels brings back; so does
    # a loss in which large regions do not decide alone.
    config.model.net.pixel_channels = 32
    config.model.objective.region_balance = 0.4
    config.model.objective.feature_dropout = 0.2  # a thousand photographs are few

    # Measured on BSDS500 val: less noise draws likelier maps, see docs/sampler.md.
    config.sampling.method = "ddim"
    config.sampling.temperature = 0.1

    # What a crop shows can be read off the features of the whole image; a new colour cannot.
    config.data.augment = "geometry"
    config.data.keep_scale = 5  # a crop of half the sides still has twice 128 pixels
    config.data.num_threads = 2
    config.optimizer.weight_decay = 0.1
    config.train.num_steps = 6_000
    config.optimizer.decay_steps = 2_000
    config_lib.shrink(config, variant)
    if variant:  # small enough to run the encoder in the step, without a cache
        config.model.encoder.image_size = 256
        config.model.encoder.grid = 16
        config.data.features = "step"
    return config
