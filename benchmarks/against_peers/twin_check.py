"""Do the PyTorch twin and our network compute the same? Outputs, loss and gradients.

    python -m benchmarks.against_peers.twin_check                     # the networks of all configs
    python -m benchmarks.against_peers.twin_check --config paper --side 64 --batch_size 2

Both get the same random parameters, images, features, times and noise. Errors are relative to the
largest value: of the output, of the loss, and of each parameter's gradient, or of a hundredth of
the largest gradient of all where that is more. Exit code 1 if one is above --tolerance.
"""

import argparse
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import torch

from benchmarks.against_peers import problem, torch_condition, torch_programs, torch_twin
from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config, training_loss
from bitdiff_jax.feature_grids import StoredCells
from bitdiff_jax.target import valid_mask

TOLERANCE = 1e-4
VARIANTS = (("fused", True), ("products", False))


class Errors(NamedTuple):
    """Largest relative errors."""

    output: float
    loss: float
    gradient: float


class Reference(NamedTuple):
    """A case, and what ours makes of it."""

    config: ml_collections.ConfigDict
    params: Any
    x0: np.ndarray
    mask: np.ndarray
    image: np.ndarray
    cells: dict[str, np.ndarray]
    keep: np.ndarray
    t: np.ndarray
    eps: np.ndarray
    output: np.ndarray
    loss: np.ndarray
    grads: Any


def reference(config: ml_collections.ConfigDict, batch_size: int) -> Reference:
    """Ours, on label maps of `config.model.image_size`."""
    model = model_config.from_config(config)
    data = problem.batch(batch_size, model.image_size, image_scale=model.image_scale)
    cells = problem.cells(config, batch_size)
    rows = jax.tree.map(jnp.asarray, {**data._asdict(), **cells})
    params = problem.params(jax.eval_shape(model.init, jax.random.key(0)))
    draws = model.draw(jax.random.key(1), data.labels.shape)._replace(
        t=jnp.linspace(0.01, 0.9, batch_size),  # loss weights of smaller times are huge
        keep=jnp.arange(batch_size) % 2 == 0,
        channels=None,  # the twin has no dropout
    )

    def loss(params: Any) -> Any:
        target = model.target(rows["labels"], rows["size"])
        valid = valid_mask(rows["size"], data.labels.shape[1:])
        features = StoredCells(*(rows[name] for name in cells)) if cells else None
        cond = model.encode_image(params, rows["image"], valid, features)
        keep = draws.keep[:, None, None, None]
        cond = jax.tree.map(lambda leaf: jnp.where(keep, leaf, 0), cond)
        output = model.apply(params, draws.eps, draws.t, cond)
        return jnp.mean(model.row_losses(params, rows, draws).loss), (target, output)

    (value, (target, output)), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    mask = training_loss.pixel_weights(
        target, model.objective.region_balance, model.encoding.num_codes
    )
    given = (target.x0, mask, data.image, cells, draws.keep, draws.t, draws.eps)
    arrays = jax.tree.map(np.array, (*given, output, value, grads))
    return Reference(config, params, *arrays)


def errors(ours: Reference, **variant: Any) -> Errors:
    """Of the twin in one of its variants."""
    net = torch_programs.make_net(ours.config, **variant)
    torch_twin.load(net, ours.params)
    x0, mask, image, keep, t, eps = (
        torch.from_numpy(a) for a in (ours.x0, ours.mask, ours.image, ours.keep, ours.t, ours.eps)
    )
    cells = torch_condition.stored_cells(ours.cells)
    cond = torch_condition.encode_image(net, image, ours.config.model.image_scale, cells)
    cond = torch.where(keep[:, None, None, None], cond, 0)
    loss = torch_programs.loss(net, ours.config, x0, mask, cond, t, eps)
    loss.backward()
    with torch.inference_mode():
        output = net(torch.cat([eps, cond], -1), torch_programs.network_time(t, ours.config))
    grads, wanted = torch_twin.gradients(net), torch_twin.flat(ours.grads)
    # A norm may take away a parameter whole, whose gradient is then nothing but rounding.
    floor = 1e-2 * max(np.abs(g).max() for g in wanted.values())
    return Errors(
        output=_relative(output.numpy(), ours.output),
        loss=_relative(np.asarray(loss.item()), ours.loss),
        gradient=max(_relative(grads[name], wanted[name], floor) for name in wanted),
    )


def _relative(value: np.ndarray, wanted: np.ndarray, floor: float = 0.0) -> float:
    return float(np.abs(value - wanted).max() / max(np.abs(wanted).max(), floor))


def main() -> None:
    """Reads the flags, prints a line for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--config", nargs="+", default=config_lib.names(), help="configs (all)")
    add("--side", type=int, default=32, help="of the pictures (32)")
    add("--batch_size", type=int, default=2, help="pictures (2)")
    add("--tolerance", type=float, default=TOLERANCE, help=f"largest error ({TOLERANCE:g})")
    args = parser.parse_args()
    worst = 0.0
    print(f"{'':12}{'attention':10}{'layout':15}{'output':>10}{'loss':>10}{'gradient':>10}")
    for name in args.config:
        config = problem.config(name)
        config.model.image_size = args.side
        config.model.encoder.grid = min(config.model.encoder.grid, args.side)
        ours = reference(config, args.batch_size)
        for attention, channels_last in VARIANTS:
            found = errors(ours, attention=attention, channels_last=channels_last)
            layout = "channels_last" if channels_last else "contiguous"
            print(f"{name:12}{attention:10}{layout:15}" + "".join(f"{e:10.1e}" for e in found))
            worst = max(worst, *found)
    sys.exit(worst > args.tolerance)


if __name__ == "__main__":
    main()
