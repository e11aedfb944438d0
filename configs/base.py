"""Our recipe for real images at 128 x 128: the paper's, its slips mended, in a faster shape.

    bitdiff train --config base --workdir runs/base \
        --config.data.train=folder:/data/mine,split=train \
        --config.eval.data=folder:/data/mine,split=val

The paper's budget of 300,000 steps of 8 images is 0.29 EFLOP for this network of 39.4 million
parameters (0.48 for the paper's 38.5 million); neither has been trained to the end by us, so no
result is promised. docs/performance.md says what a step costs. What differs from `paper`, and why,
is written in the docstrings of Objective and Palette.

It is made for accelerators: a step takes seconds on a CPU, so 300,000 of them take weeks. `small`
is the config for CPUs.

`:smoke` shrinks everything to a few steps of a tiny network, to check that a machine is set up.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.default()
    if not variant:  # 'smoke' has a shape of its own
        # As large as the paper's network, in a shape that suits matrix units: nothing is narrower
        # than the 128 lanes of a TPU, and a patch of 2 x 2 pixels replaces the widest level.
        config.model.net.patch_size = 2
        config.model.net.base_channels = 128
        config.model.net.channel_multipliers = (1, 1, 2, 2)
        config.model.net.num_heads = 2
    return config_lib.shrink(config, variant)
