"""Writes the encoders' references with PyTorch, which the tests themselves do not need.

    python -m tests.nets.encoders.make_references

`efficientnet_lite0.npy`: features of random weights, by a plain forward pass over the published
names. `dinov2.npy`, `dinov3.npy`: features of small networks with random weights, by
`transformers`. `mobile_sam_1024.npy` comes from benchmarks/against_peers/mobile_sam.py.
"""

import pathlib
import tempfile

import numpy as np

from bitdiff_jax import weights_files
from tests.nets.encoders import dino_state
from tests.nets.encoders.efficientnet_state import BLOCKS, random_state
from tests.nets.encoders.images import waves

HERE = pathlib.Path(__file__).parent


def efficientnet_lite0(state: dict[str, np.ndarray], image: np.ndarray, rows: int, stride: int):
    """Features [N / stride, N / stride, 496] of an image [N, N, 3] with `rows` rows of content."""
    import torch
    from torch.nn import functional

    tensors = {name: torch.from_numpy(each) for name, each in state.items()}

    def conv(x, name, norm, stride=1, groups=1):
        kernel = tensors[f"{name}.weight"]
        total = max((-(-x.shape[2] // stride) - 1) * stride + kernel.shape[2] - x.shape[2], 0)
        before, after = total // 2, total - total // 2
        x = functional.pad(x, (before, after, before, after))
        x = functional.conv2d(x, kernel, stride=stride, groups=groups)
        mean, variance, scale, shift = (
            tensors[f"{norm}.{each}"] for each in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, scale, shift, eps=1e-3)

    x = (torch.from_numpy(image.astype(np.float32)) - 127) / 128
    x[rows:] = 0
    x = functional.relu6(conv(x.permute(2, 0, 1)[None], "_conv_stem", "_bn0", 2))
    taps = []
    for i, (_, step, expansion, inner, out) in enumerate(BLOCKS):
        before, block = x, f"_blocks.{i}"
        if expansion > 1:
            x = functional.relu6(conv(x, f"{block}._expand_conv", f"{block}._bn0"))
        depthwise = f"{block}._depthwise_conv"
        x = functional.relu6(conv(x, depthwise, f"{block}._bn1", step, expansion * inner))
        x = conv(x, f"{block}._project_conv", f"{block}._bn2")
        if step == 1 and inner == out:
            x = x + before
        if i in (2, 4, 10, 15):
            taps.append(x)
    side = image.shape[0] // stride
    for i, tap in enumerate(taps):
        if tap.shape[2] > side:
            taps[i] = functional.avg_pool2d(tap, tap.shape[2] // side)
        elif tap.shape[2] < side:
            taps[i] = functional.interpolate(tap, (side, side), mode="bilinear")
    return torch.cat(taps, 1)[0].permute(1, 2, 0).numpy()


def dino(version: int, state: dict[str, np.ndarray], image: np.ndarray, rows: int) -> np.ndarray:
    """Features [N / patch, N / patch, C] of `transformers`' network of that version."""
    import torch
    import transformers

    shared = {
        "hidden_size": dino_state.WIDTH,
        "num_hidden_layers": dino_state.DEPTH,
        "num_attention_heads": dino_state.HEADS,
    }
    if version == 2:
        config = transformers.Dinov2Config(image_size=518, patch_size=14, **shared)
        architecture, before = transformers.Dinov2Model, 1
    else:
        config = transformers.DINOv3ViTConfig(
            image_size=512,
            patch_size=16,
            num_register_tokens=4,
            intermediate_size=4 * dino_state.WIDTH,
            **shared,
        )
        architecture, before = transformers.DINOv3ViTModel, 5
    with tempfile.TemporaryDirectory() as folder:
        # As published: newer releases rename what they read.
        config.save_pretrained(folder)
        weights_files.write(f"{folder}/model.safetensors", state, {"format": "pt"})
        model, info = architecture.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    x = (image - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    x[rows:] = 0
    pixels = torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        tokens = model.eval()(pixels).last_hidden_state[0, before:].numpy()
    side = round(len(tokens) ** 0.5)
    return tokens.reshape(side, side, -1)


def main() -> None:
    """Writes all references."""
    np.save(HERE / "efficientnet_lite0.npy", efficientnet_lite0(random_state(), waves(64), 50, 16))
    for version, side in ((2, 70), (3, 80)):
        features = dino(version, dino_state.random_state(version), waves(side), 50)
        np.save(HERE / f"dinov{version}.npy", features)


if __name__ == "__main__":
    main()
