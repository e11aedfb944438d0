"""What the tests of this folder share."""

import jax
import numpy as np


def drawn(module, *inputs, seed=0):
    """Random parameters, those that start at zero included; drawn by numpy, without a compile."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        r = rng.standard_normal(leaf.shape)
        if leaf.ndim > 1:
            r /= np.sqrt(np.prod(leaf.shape[:-1]))
        else:
            r = 0.1 * r + (path[-1].key == "scale")
        return r.astype(leaf.dtype)

    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    return jax.tree_util.tree_map_with_path(draw, shapes)


def compiled(function, *arguments):
    """`jax.jit(function)` for such arguments, compiled in half the time: the nets are small."""
    options = {"xla_backend_optimization_level": 0}
    return jax.jit(function).lower(*arguments).compile(compiler_options=options)


def lower_as_on(monkeypatch, platform):
    """Takes what is written for a platform, on this one, where code asks for what it runs on."""

    def choose(*arguments, default, **by_platform):
        return by_platform.get(platform, default)(*arguments)

    monkeypatch.setattr(jax.lax, "platform_dependent", choose)


def group_norm(x, scale, bias, groups, epsilon=1e-5):
    """PyTorch's definition in float64, one group at a time."""
    out = np.empty(x.shape, np.float64)
    size = x.shape[-1] // groups
    for image in range(x.shape[0]):
        for group in range(groups):
            part = np.s_[image, ..., group * size : (group + 1) * size]
            values = x[part].astype(np.float64)
            out[part] = (values - values.mean()) / np.sqrt(values.var() + epsilon)
    return out * scale + bias
