"""The reference network's parameters by their torch names, as a tree of this package's UNet."""

import zlib

import numpy as np

from bitdiff_jax.nets import UNet

_RES = {
    "in_layers.0": "norm_0",
    "in_layers.2": "conv_0",
    "emb_layers.1": "time",
    "out_layers.0": "norm_1",
    "out_layers.3": "conv_1",
    "skip_connection": "skip",
}
_ATTENTION = {"norm": "norm", "qkv": "qkv", "proj_out": "proj"}


def blocks(net: UNet) -> list[tuple[str, list[str]]]:
    """(torch block, names of the flax modules inside) in the order in which they run."""
    levels = len(net.channel_multipliers)
    attended = {i % levels for i in net.attention_levels}

    def inside(prefix: str, level: int, index: int) -> list[str]:
        names = [f"{prefix}_{level}_res_{index}"]
        return names + [f"{prefix}_{level}_attention_{index}"] * (level in attended)

    down = [["stem"]]
    for level in range(levels):
        down += [inside("down", level, i) for i in range(net.blocks_per_level)]
        down += [[f"down_{level}_downsample"]] * (level < levels - 1)
    up = []
    for level in reversed(range(levels)):
        up += [inside("up", level, i) for i in range(net.blocks_per_level + 1)]
        up[-1] += [f"up_{level}_upsample"] * (level > 0)
    middle = [["middle_res_0", "middle_attention_0", "middle_res_1"]]
    return (
        [(f"input_blocks.{i}", names) for i, names in enumerate(down)]
        + [("middle_block", names) for names in middle]
        + [(f"output_blocks.{i}", names) for i, names in enumerate(up)]
    )


def flax_path(net: UNet, torch_name: str) -> tuple[str, ...]:
    """The path in `params` of the parameter with this torch name."""
    module, kind = torch_name.rsplit(".", 1)
    prefixes = {"time_embed.0": "time_0", "time_embed.2": "time_1"}
    prefixes |= {"out.1": "out_norm", "out.3": "out_conv"}
    for block, names in blocks(net):
        prefixes |= {f"{block}.{i}": name for i, name in enumerate(names)}
    prefix = max((p for p in prefixes if f"{module}.".startswith(f"{p}.")), key=len)
    name, rest = prefixes[prefix], module[len(prefix) + 1 :]
    path = [name]
    if "_res_" in name:
        path.append(_RES[rest])
    elif "_attention_" in name:
        path.append(_ATTENTION[rest])
    elif rest:
        assert rest in ("op", "conv"), torch_name
        path.append("conv")
    if kind == "weight":
        kind = "scale" if "norm" in path[-1] else "kernel"
    return (*path, kind)


def weight(torch_name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The golden vectors' weight: a function of the name alone, in torch's layout."""
    r = np.random.default_rng(zlib.crc32(torch_name.encode())).standard_normal(shape)
    r = r.astype(np.float32)
    if torch_name.endswith("bias"):
        return np.float32(0.05) * r
    if len(shape) == 1:
        return np.float32(1.0) + np.float32(0.1) * r
    return r / np.float32(np.sqrt(np.prod(shape[1:])))


def to_flax(array: np.ndarray) -> np.ndarray:
    """(O, I, kh, kw) to (kh, kw, I, O); (O, I) and (O, I, 1) to (I, O)."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if array.ndim == 3:
        return array[..., 0].T
    return array.T


def parameters(net: UNet, names, shapes, dtype=np.float32) -> dict:
    """`{'params': ...}` with the golden vectors' weights."""
    tree: dict = {}
    for name, shape in zip(names, shapes, strict=True):
        *path, leaf = flax_path(net, str(name))
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        assert leaf not in node, name
        shape = tuple(int(n) for n in str(shape).strip("()").split(",") if n.strip())
        node[leaf] = to_flax(weight(str(name), shape)).astype(dtype)
    return {"params": tree}
