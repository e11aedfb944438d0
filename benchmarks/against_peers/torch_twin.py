"""The attn-UNet in PyTorch, with our parameters: the network that ours is timed against.

Written as for PyTorch: NCHW tensors (laid out channels_last or not, as the caller says),
`F.group_norm`, `F.scaled_dot_product_attention` or the two products spelled out. Modules have the
names of ours, so `load` needs no table.
`python -m benchmarks.against_peers.twin_check` holds outputs, loss
and gradients of the two against each other.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTIONS = ("fused", "products")


class ResBlock(nn.Module):
    """norm, SiLU, conv, + time, norm, SiLU, conv, + skip."""

    def __init__(self, channels: int, features: int, embedding: int, modulated: bool):
        super().__init__()
        self.modulated = modulated
        self.time = nn.Linear(embedding, features * (2 if modulated else 1))
        self.norm_0 = _norm(channels)
        self.conv_0 = nn.Conv2d(channels, features, 3, padding=1)
        self.norm_1 = _norm(features)
        self.conv_1 = nn.Conv2d(features, features, 3, padding=1)
        self.skip = nn.Conv2d(channels, features, 1) if channels != features else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        shift = self.time(F.silu(embedding))[:, :, None, None]
        h = self.conv_0(F.silu(self.norm_0(x)))
        if self.modulated:
            scale, shift = shift.chunk(2, dim=1)
            h = self.norm_1(h) * (1 + scale) + shift
        else:
            h = self.norm_1(h + shift)
        return self.skip(x) + self.conv_1(F.silu(h))


class AttentionBlock(nn.Module):
    """norm, self-attention over all pixels, projection, + input."""

    def __init__(self, channels: int, num_heads: int, attention: str):
        super().__init__()
        self.num_heads, self.attention = num_heads, attention
        self.norm = _norm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        # Ours orders the channels [head][q, k, v][head_dim].
        qkv = self.qkv(tokens).reshape(batch, height * width, self.num_heads, 3, -1)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(3))
        if self.attention == "fused":
            h = F.scaled_dot_product_attention(q, k, v)
        else:
            h = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        h = self.proj(h.transpose(1, 2).reshape(batch, height * width, channels))
        return x + h.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class Resample(nn.Module):
    """A convolution of stride 2, or nearest neighbour times two and a convolution."""

    def __init__(self, channels: int, up: bool):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, stride=1 if up else 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest") if self.up else x)


class PixelHead(nn.Module):
    """conv, a residual block, norm, SiLU and conv on the patches' output beside the input."""

    def __init__(self, in_channels: int, out: int, features: int, embedding: int, modulated: bool):
        super().__init__()
        self.stem = nn.Conv2d(out + in_channels, features, 3, padding=1)
        self.res_0 = ResBlock(features, features, embedding, modulated)
        self.out_norm = _norm(features)
        self.out_conv = nn.Conv2d(features, out, 3, padding=1)

    def forward(self, coarse: Tensor, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.res_0(self.stem(torch.cat([coarse, x], dim=1)), embedding)
        return self.out_conv(F.silu(self.out_norm(h)))


class UNet(nn.Module):
    """`bitdiff_jax.nets.UNet` with the same attributes; NHWC in and out, NCHW inside.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        net: the keys of `config.model.net`.
        final_activation: 'tanh', 'sigmoid' or 'none'.
        channels_last: how activations and kernels lie in memory.
        attention: 'fused' or 'products'.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        net: Mapping[str, Any],
        *,
        final_activation: str = "tanh",
        channels_last: bool = True,
        attention: str = "fused",
    ):
        super().__init__()
        self.final_activation, self.channels_last = final_activation, channels_last
        self.base, self.patch = net["base_channels"], net["patch_size"]
        self.time_scale, self.max_period = net["time_scale"], net["time_max_period"]
        widths = [self.base * m for m in net["channel_multipliers"]]
        deepest, blocks = len(widths) - 1, net["blocks_per_level"]
        attended = {level % len(widths) for level in net["attention_levels"]}
        modulated = net["time_conditioning"] == "scale_shift"
        self.down: list[tuple[str, ...]] = []  # names of the modules of each step down
        self.up: list[tuple[str, ...]] = []

        def add(channels: int, level: int, attend: bool, prefix: str, index: int) -> list[str]:
            names = [f"{prefix}_res_{index}"]
            block = ResBlock(channels, widths[level], 4 * self.base, modulated)
            self.add_module(names[0], block)
            if attend:
                names.append(f"{prefix}_attention_{index}")
                heads = net["num_heads"]
                self.add_module(names[1], AttentionBlock(widths[level], heads, attention))
            return names

        self.time_0 = nn.Linear(self.base, 4 * self.base)
        self.time_1 = nn.Linear(4 * self.base, 4 * self.base)
        self.stem = nn.Conv2d(in_channels * self.patch**2, self.base, 3, padding=1)
        channels, skips = self.base, [self.base]
        for level in range(len(widths)):
            for index in range(blocks):
                names = add(channels, level, level in attended, f"down_{level}", index)
                self.down.append(tuple(names))
                channels = widths[level]
                skips.append(channels)
            if level < deepest:
                name = f"down_{level}_downsample"
                self.add_module(name, Resample(channels, up=False))
                self.down.append((name,))
                skips.append(channels)
        middle = add(channels, deepest, True, "middle", 0)
        self.middle = (*middle, *add(channels, deepest, False, "middle", 1))
        for level in reversed(range(len(widths))):
            for index in range(blocks + 1):
                inside = channels + skips.pop()
                names = add(inside, level, level in attended, f"up_{level}", index)
                channels = widths[level]
                if level > 0 and index == blocks:
                    names.append(f"up_{level}_upsample")
                    self.add_module(names[-1], Resample(channels, up=True))
                self.up.append(tuple(names))
        self.out_norm = _norm(channels)
        self.out_conv = nn.Conv2d(channels, out_channels * self.patch**2, 3, padding=1)
        if width := net.get("pixel_channels", 0):
            head = PixelHead(in_channels, out_channels, width, 4 * self.base, modulated)
            self.pixels: PixelHead | None = head
        else:
            self.pixels = None
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=self._format)

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def _run(self, names: Sequence[str], h: Tensor, embedding: Tensor) -> Tensor:
        for name in names:
            module = self.get_submodule(name)
            h = module(h, embedding) if isinstance(module, ResBlock) else module(h)
        return h

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Maps x [B, H, W, Cin] and time [B] to [B, H, W, out_channels]."""
        half = self.base // 2
        steps = torch.arange(half, dtype=torch.float32) / half
        angle = (time * self.time_scale)[:, None] * torch.exp(-math.log(self.max_period) * steps)
        embedding = self.time_0(torch.cat([angle.cos(), angle.sin()], dim=-1))
        embedding = self.time_1(F.silu(embedding))

        h = space_to_depth(x, self.patch).permute(0, 3, 1, 2)
        h = self.stem(h.contiguous(memory_format=self._format))
        skips = [h]
        for names in self.down:
            h = self._run(names, h, embedding)
            skips.append(h)
        h = self._run(self.middle, h, embedding)
        for names in self.up:
            h = self._run(names, torch.cat([h, skips.pop()], dim=1), embedding)
        h = self.out_conv(F.silu(self.out_norm(h))).permute(0, 2, 3, 1)
        h = _depth_to_space(h, self.patch)
        if self.pixels is not None:
            pixels = (h.permute(0, 3, 1, 2), x.permute(0, 3, 1, 2))
            h = h + self.pixels(*pixels, embedding).permute(0, 2, 3, 1)
        return _ACTIVATIONS[self.final_activation](h)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "none": nn.Identity(),
}


def load(net: nn.Module, params: Mapping[str, Any]) -> None:
    """Copies our parameters, a tree of arrays, into the network.

    Raises:
        ValueError: the two have not the same parameters.
    """
    ours = dict(_leaves(params))
    theirs = dict(net.named_parameters())
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"params has other names than the network: {sorted(ours.keys() ^ theirs.keys())[:4]}; "
            "build both from one config"
        )
    with torch.no_grad():
        for name, value in ours.items():
            theirs[name].copy_(torch.from_numpy(np.array(value)))


def gradients(net: nn.Module) -> dict[str, np.ndarray]:
    """The gradients, by torch's names and in its layout; `flat` brings ours there."""
    return {name: _numpy(p.grad) for name, p in net.named_parameters() if p.grad is not None}


def flat(tree: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A tree like our parameters, by torch's names and in its layout."""
    return dict(_leaves(tree))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
            continue
        array = np.asarray(value)
        if name == "kernel":  # [h, w, in, out] -> [out, in, h, w], [in, out] -> [out, in]
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        yield prefix + {"kernel": "weight", "scale": "weight"}.get(name, name), array


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32 if channels % 32 == 0 else channels, channels, eps=1e-5)


def space_to_depth(x: Tensor, p: int) -> Tensor:
    """[B, H, W, C] to [B, H/p, W/p, p*p*C]."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // p, p, width // p, p, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, height // p, width // p, -1)


def _depth_to_space(x: Tensor, p: int) -> Tensor:
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, p, p, channels // (p * p))
    return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, height * p, width * p, -1)
