"""The proxy of `bitdiff repro`: scenes of level 2 at 32 x 32, a network of a million parameters.

    bitdiff repro all --scale proxy --seeds 3 --out repro

It is `quickstart` on harder scenes, which are drawn once and then kept (`repro.rendered`), because
drawing one takes a core as long as half a training step takes for it. 2,000 steps of 32 images are
four passes over 16,384 scenes, about ten minutes of a core. The arms of each claim change it.
"""

import ml_collections

from bitdiff_jax import config as config_lib

SCENES = "bitdiff_jax.repro.rendered:RenderedScenes,level=2"


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.load("quickstart")
    config.data.train = f"{SCENES},size=32,seed=0,length=16384"
    config.optimizer.decay_steps = 1_200
    config.train.num_steps = 2_000
    config.train.checkpoint_every = 250
    config.train.keep_checkpoints = 1
    config.train.keep_best = 0
    config.eval.data = ""  # scored by `repro` itself, once, on scenes of seed 5
    config_lib.shrink(config, variant)
    if variant:
        config.data.train = f"{SCENES},size=32,seed=0,length=16"
        config.model.net.channel_multipliers = (1,)
        config.train.num_steps = 4
        config.train.checkpoint_every = 1
        config.train.log_every = 1
    return config
