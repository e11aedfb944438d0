"""The paper's released network: its parameters by their PyTorch names, as those of `UNet`.

It is a UNet of improved diffusion (arXiv 2102.09672), whose modules it calls `input_blocks`,
`middle_block` and `output_blocks`, each a list of lists.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.unet import UNet

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
    """(PyTorch's block, names of the modules inside) in the order in which they run."""
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
    return (
        [(f"input_blocks.{i}", names) for i, names in enumerate(down)]
        + [("middle_block", ["middle_res_0", "middle_attention_0", "middle_res_1"])]
        + [(f"output_blocks.{i}", names) for i, names in enumerate(up)]
    )


def path(net: UNet, name: str) -> tuple[str, ...]:
    """Where a parameter of this PyTorch name lies in `params`.

    Raises:
        KeyError: the network has no such parameter.
    """
    module, _, kind = name.rpartition(".")
    prefixes = {"time_embed.0": "time_0", "time_embed.2": "time_1"}
    prefixes |= {"out.1": "out_norm", "out.3": "out_conv"}
    for block, names in blocks(net):
        prefixes |= {f"{block}.{i}": each for i, each in enumerate(names)}
    fitting = [prefix for prefix in prefixes if f"{module}.".startswith(f"{prefix}.")]
    if not fitting:
        raise KeyError(name)
    prefix = max(fitting, key=len)
    ours, rest = prefixes[prefix], module[len(prefix) + 1 :]
    found = [ours]
    if "_res_" in ours:
        found.append(_RES[rest])
    elif "_attention_" in ours:
        found.append(_ATTENTION[rest])
    elif rest:  # a stride's 'op', an enlargement's 'conv'
        found.append({"op": "conv", "conv": "conv"}[rest])
    leaf = "scale" if kind == "weight" and "norm" in found[-1] else kind
    return (*found, {"weight": "kernel"}.get(leaf, leaf))


def laid_out(array: np.ndarray) -> np.ndarray:
    """(O, I, kh, kw) as (kh, kw, I, O); (O, I) and (O, I, 1) as (I, O); what has one axis as is."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if array.ndim == 3:
        return array[..., 0].T
    return array.T


def parameters(net: UNet, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The parameters of `net` from those of the released network.

    Args:
        net: the network of the same shape.
        tensors: arrays by PyTorch's names, in its layout.

    Returns:
        A tree as `net.init` returns in 'params', of the arrays' dtypes.

    Raises:
        InputError: a name that the network does not have.
    """
    tree: dict[str, Any] = {}
    for name, array in tensors.items():
        try:
            *parents, leaf = path(net, name)
        except KeyError:
            raise InputError(
                f"{name} is no parameter of the released network; give its state dict alone"
            ) from None
        node = tree
        for key in parents:
            node = node.setdefault(key, {})
        node[leaf] = laid_out(array)
    return tree


def settings(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The attributes of `UNet` that the shapes of the released network's parameters tell.

    Args:
        tensors: arrays by PyTorch's names, in its layout.

    Returns:
        'base_channels', 'channel_multipliers', 'blocks_per_level', 'attention_levels' and
        'out_channels', and 'in_channels', which `UNet` is not told. The number of heads leaves no
        trace.

    Raises:
        InputError: it is another network.
    """
    try:
        base = tensors["time_embed.0.weight"].shape[1]
        stem, out = tensors["input_blocks.0.0.weight"], tensors["out.3.weight"]
        widths: list[list[int]] = [[]]
        attended = set()
        for index in range(1, _count(tensors)):
            block = f"input_blocks.{index}"
            if f"{block}.0.op.weight" in tensors:
                widths.append([])
                continue
            widths[-1].append(tensors[f"{block}.0.out_layers.3.weight"].shape[0])
            if f"{block}.1.qkv.weight" in tensors:
                attended.add(len(widths) - 1)
    except (KeyError, IndexError) as error:
        raise InputError(
            f"holds no {error.args[0]}, which the released network has; give its checkpoint"
        ) from None
    if any(len(level) != len(widths[0]) or len(set(level)) != 1 for level in widths):
        raise InputError("its levels have blocks of several kinds; give the released network's")
    return {
        "base_channels": base,
        "channel_multipliers": tuple(level[0] // base for level in widths),
        "blocks_per_level": len(widths[0]),
        "attention_levels": tuple(level - len(widths) for level in sorted(attended)),
        "out_channels": out.shape[0],
        "in_channels": stem.shape[1],
    }


def _count(tensors: Mapping[str, np.ndarray]) -> int:
    """The number of input blocks."""
    numbers = (re.match(r"input_blocks\.(\d+)\.", name) for name in tensors)
    return 1 + max(int(each[1]) for each in numbers if each)
