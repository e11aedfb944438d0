"""Your own images on a laptop: a network of 4.5 million parameters at 64 x 64.

    bitdiff train --config small --workdir runs/mine \
        --config.data.train=folder:mine,split=train \
        --config.eval.data=folder:mine,split=val

12,000 steps of 16 images take an hour and a half on two idle CPU cores. `bsds` is this config with
the photos of the Berkeley Segmentation Data Set, where it gives ARI .393 and IoU .212 on unseen
ones; other images give other values. A few hundred images may need fewer steps:
--config.train.num_steps=4000 --config.optimizer.decay_steps=2000 takes half an hour.

Without --config.eval.data nothing is scored on the way. Where id 0 covers much of the label files,
`,zero=` after the folder has to say what it means: `background` (nuclei, cells, leaves), `ignore`
(not annotated) or `region` (one like the others); docs/data.md says which suits what.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.default()
    config.model.image_size = 64
    # A patch stem keeps the wide maps away: 16 x 16 and 8 x 8 are all that the network sees.
    config.model.net.patch_size = 4
    config.model.net.base_channels = 64
    config.model.net.channel_multipliers = (1, 2)
    config.model.net.blocks_per_level = 2
    config.model.net.attention_levels = (-2, -1)
    config.model.net.time_conditioning = "scale_shift"  # narrow groups lose an added time
    # A region of 64 x 64 has a quarter of the pixels, over which noise averages out: half the
    # scale makes it as hard as 0.1 is at 128 x 128.
    config.model.schedule.input_scale = 0.05
    config.model.objective.weight = "uniform"
    config.model.objective.decoupled = False

    config.optimizer.learning_rate = 1e-3
    config.optimizer.b2 = 0.99
    config.optimizer.warmup_steps = 200
    config.optimizer.decay_steps = 4_000
    config.optimizer.ema_decay = 0.999

    config.data.train = ""  # to be said
    config.data.num_threads = 1
    config.train.num_steps = 12_000
    config.train.batch_size = 16
    config.train.eval_every = 1_000
    config.train.checkpoint_every = 500
    config.mesh.cpu_devices = 2
    config.eval.data = ""
    config.eval.num_images = 50
    config.eval.batch_size = 25
    return config_lib.shrink(config, variant)
