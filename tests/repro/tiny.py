"""The smallest config that `bitdiff repro` can run: two steps of three convolutions."""

from bitdiff_jax import config as config_lib

SCENES = "bitdiff_jax.repro.rendered:RenderedScenes,level=0,size=16,seed=0,length=8"


def get_config(variant=""):
    config = config_lib.load("repro:smoke")
    config.model.image_size = 16
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    config.data.train = SCENES
    config.optimizer.warmup_steps = 1
    config.optimizer.decay_steps = 1
    config.train.num_steps = 2
    config.train.batch_size = 2
    config.mesh.cpu_devices = 1
    return config
