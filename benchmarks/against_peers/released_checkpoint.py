"""Does a checkpoint that PyTorch wrote draw the same once `bitdiff import-reference` has read it?

    python -m benchmarks.against_peers.released_checkpoint              # the paper's network
    python -m benchmarks.against_peers.released_checkpoint --base_channels 32 --side 32

The PyTorch twin with random parameters is saved by `torch.save`, by the names of the paper's
released code, and imported by the command. Exit code 1 if an output of the two differs by more than
--tolerance. That the names are the released ones is checked by the tests' golden arrays.
"""

import argparse
import pathlib
import sys
import tempfile

import jax.numpy as jnp
import numpy as np
import torch

from benchmarks.against_peers import problem, torch_condition, torch_programs, torch_twin
from bitdiff_jax.cli import import_reference
from bitdiff_jax.inference import load

TOLERANCE = 1e-4
_RESIDUAL = {
    "norm_0": "in_layers.0",
    "conv_0": "in_layers.2",
    "time": "emb_layers.1",
    "norm_1": "out_layers.0",
    "conv_1": "out_layers.3",
    "skip": "skip_connection",
}
_ATTENTION = {"norm": "norm", "qkv": "qkv", "proj": "proj_out"}


def released(net: torch_twin.UNet) -> dict[str, torch.Tensor]:
    """The twin's state dict by the released names, in their shapes."""
    blocks = {"time_0": "time_embed.0", "time_1": "time_embed.2"}
    blocks |= {"stem": "input_blocks.0.0", "out_norm": "out.1", "out_conv": "out.3"}
    for where, steps in (("input_blocks", [("stem",), *net.down]), ("output_blocks", net.up)):
        for i, names in enumerate(steps):
            blocks |= {name: f"{where}.{i}.{j}" for j, name in enumerate(names)}
    blocks |= {name: f"middle_block.{j}" for j, name in enumerate(net.middle)}
    found = {}
    for name, value in net.state_dict().items():
        module, *inner, kind = name.split(".")
        layer = inner[0] if inner else ""
        if "_attention_" in module:
            layer = _ATTENTION[layer]
            # Of a convolution along the pixels.
            value = value[..., None] if kind == "weight" and layer != "norm" else value
        elif "_res_" in module:
            layer = _RESIDUAL[layer]
        elif module.endswith("_downsample"):
            layer = "op"
        found[".".join(part for part in (blocks[module], layer, kind) if part)] = value
    return found


def difference(base_channels: int, side: int, folder: pathlib.Path) -> float:
    """The largest difference of two outputs, of the twin and of the imported model.

    Args:
        base_channels: of the network; everything else is the paper's.
        side: of the images, in pixels.
        folder: where the two checkpoints are written.
    """
    torch.manual_seed(0)
    config = problem.config("paper")
    config.model.net.base_channels = base_channels
    net = torch_programs.make_net(config)
    assert isinstance(net, torch_twin.UNet)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:  # norms begin with ones and zeros
                parameter += 0.1 * torch.randn_like(parameter)
    checkpoint, ours = folder / "model.pt", folder / "ours.safetensors"
    torch.save({"state_dict": released(net), "step": 1}, checkpoint)
    if code := import_reference.main([str(checkpoint), f"--out={ours}"]):
        sys.exit(code)
    loaded = load(ours)
    rng = np.random.default_rng(0)
    x_t = rng.standard_normal((2, side, side, config.model.num_bits)).astype(np.float32)
    image, t = problem.batch(2, side).image, np.array([0.2, 0.9], np.float32)
    valid = jnp.ones(image.shape[:3], bool)
    shown = loaded.model.encode_image(loaded.params, jnp.asarray(image), valid)
    got = loaded.model.apply(loaded.params, jnp.asarray(x_t), jnp.asarray(t), shown)
    with torch.inference_mode():
        cond = torch_condition.encode_image(net, torch.from_numpy(image))
        times = torch_programs.network_time(torch.from_numpy(t), config)
        want = net(torch.cat([torch.from_numpy(x_t), cond], -1), times).numpy()
    return float(np.abs(np.asarray(got) - want).max())


def main() -> None:
    """Reads the flags, prints the difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--base_channels", type=int, default=128, help="of the network (128, the paper's)")
    add("--side", type=int, default=64, help="of the images (64)")
    add("--tolerance", type=float, default=TOLERANCE, help=f"largest difference ({TOLERANCE:g})")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = difference(args.base_channels, args.side, pathlib.Path(folder))
    print(f"largest difference of an output: {found:.1e}")
    sys.exit(found > args.tolerance)


if __name__ == "__main__":
    main()
