"""Whole scenes at 128 x 128 on accelerators: the network of `base`, with a pretrained encoder.

    bitdiff train --config entities --workdir runs/entities \
        --config.model.net.dtype=bfloat16 --config.data.num_workers=32 \
        '--config.data.train=entityseg:ES,split=train;coco_panoptic:COCO,split=train' \
        --config.eval.data=entityseg:ES,split=val

where ES and COCO are the data sets as their authors ship them (docs/data.md), or without the second
one. It has not been trained by us, so no result is promised.

Besides the image at 256 x 256 the network sees what MobileSAM's frozen encoder makes of it at 1024
pixels. The encoder runs inside the training step, so that nothing is computed beforehand: 77 GFLOP
of the step's 201 for an image, and 3 MB of pixels that are prepared for it on the host
(`--config.model.encoder.image_size=512` takes a quarter of both). A batch of 64 is 8 images for
each of 8 chips; `--config.train.accumulate=2` halves the memory of a step.

Label maps of 256 x 256 take, beside --config.model.image_size=256, a noise scale for regions of
four times the pixels, over which noise averages out (arXiv 2301.10972), and fewer images at a time:

    --config.model.schedule.input_scale=0.05 --config.data.keep_scale=4 --config.eval.score_size=256
    --config.train.accumulate=4

Cells are then 4 pixels wide, and attention is over 32 x 32 positions instead of 16 x 16.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.load("base")
    # The encoder, and how it is seen, are those of `photos`.
    photos = config_lib.load(f"photos:{variant}")
    config.model.image_scale = photos.model.image_scale
    config.model.encoder.update(photos.model.encoder)

    # What a crop shows is encoded as it comes; its colours are those that the encoder was made for.
    config.data.augment = "geometry"
    config.data.features = "step"
    config.data.keep_scale = 8  # the encoder sees 1024 pixels
    # As many images as `base` sees, in an eighth of the steps; the learning rate grows with the
    # square root of the batch.
    config.optimizer.learning_rate = 3e-4
    config.optimizer.decay_steps = 10_000
    config.train.num_steps = 37_500
    config.train.batch_size = 64
    config.train.eval_every = 2_500
    config.train.checkpoint_every = 1_000
    return config_lib.shrink(config, variant)
