"""The training step and the sampler of the PyTorch twin."""

import gc
import itertools
import time
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.against_peers import machine, problem, torch_condition, torch_twin
from benchmarks.against_peers.torch_condition import Features, encode_image
from benchmarks.against_peers.torch_schedule import Cosine
from benchmarks.against_peers.worker import Ready


def make_net(config: ml_collections.ConfigDict, **variant: Any) -> torch.nn.Module:
    """The network of a config that predicts bits, with its feature stem if it has an encoder.

    Raises:
        ValueError: the twin has no such encoding, prediction or schedule, or tunes no encoder.
    """
    model = config.model
    for key, value, known in (
        ("encoding", model.encoding, "bits"),
        ("prediction", model.prediction, "x"),
        ("schedule.name", model.schedule.name, "cosine"),
        ("encoder.tuned", model.encoder.tuned, False),
    ):
        if value != known:
            raise ValueError(f"config.model.{key} is {value!r}; the twin knows {known!r} alone")
    in_channels = model.num_bits + 3 * model.image_scale**2
    if model.encoder.name == "none":
        return torch_twin.UNet(in_channels, model.num_bits, model.net, **variant)
    encoder, (_, channels) = model.encoder, problem.encoder_grid(config)
    net = torch_twin.UNet(in_channels + encoder.channels, model.num_bits, model.net, **variant)
    stem = torch_condition.FeatureStem(channels, encoder.channels, model.image_size, encoder.scale)
    return torch_condition.WithFeatures(net, stem)


def network_time(t: Tensor, config: ml_collections.ConfigDict) -> Tensor:
    """What the network is told of the times t."""
    if config.model.time_input == "t":
        return t
    return (Cosine.at(t, config.model.schedule.input_scale).logsnr / 4).float()


def loss(
    net: torch.nn.Module,
    config: ml_collections.ConfigDict,
    x0: Tensor,
    mask: Tensor,
    cond: Tensor,
    t: Tensor,
    eps: Tensor,
) -> Tensor:
    """The weighted, masked squared error in x0 of `Model.loss`, from its draws."""
    at, objective = Cosine.at(t, config.model.schedule.input_scale), config.model.objective
    x_t = at.alpha[:, None, None, None] * x0 + at.sigma[:, None, None, None] * eps
    output = net(torch.cat([x_t, cond], dim=-1), network_time(t, config))
    per_pixel = (output - x0).square().sum(-1) * mask
    error = per_pixel.sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)
    weight = at.weight(objective.weight, objective.bias, objective.decoupled)
    return (weight * error).mean()


class TrainStep:
    """Forward, backward, clip, AdamW, EMA; calling it makes one step."""

    def __init__(self, config: ml_collections.ConfigDict, net: torch.nn.Module):
        c = config.optimizer
        self.config, self.net, self.clip_norm = config, net, c.clip_norm
        self.optimizer = torch.optim.AdamW(
            net.parameters(),
            lr=c.learning_rate,
            betas=(c.b1, c.b2),
            eps=c.eps,
            weight_decay=c.weight_decay,
            fused=True,
        )
        self.ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(c.ema_decay))

    def update(self) -> None:
        """From the gradients to the next parameters."""
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.clip_norm)
        self.optimizer.step()
        self.ema.update_parameters(self.net)
        self.optimizer.zero_grad(set_to_none=True)

    def __call__(self, image: Tensor, x0: Tensor, mask: Tensor, features: Features = None) -> float:
        """One step on images, features of them and their x0."""
        batch_size = len(image)
        t = (torch.randperm(batch_size) + torch.rand(batch_size)) / batch_size
        keep = torch.rand(batch_size, 1, 1, 1) < self.config.model.objective.image_keep
        cond = encode_image(self.net, image, self.config.model.image_scale, features)
        cond = torch.where(keep, cond, 0)
        value = loss(self.net, self.config, x0, mask, cond, t, torch.randn_like(x0))
        value.backward()
        self.update()
        return value.item()


@torch.inference_mode()
def sample(
    net: torch.nn.Module,
    config: ml_collections.ConfigDict,
    image: Tensor,
    x_init: Tensor,
    noise: Tensor,
    *,
    num_steps: int,
    guidance_weight: float,
    together: bool,
    features: Tensor | None = None,
) -> Tensor:
    """Guided DDPM with the large variance, as `diffusion.sampling.sample`; returns x0.

    Args:
        net: the network.
        config: the settings.
        image: uint8 [B, M, M, 3], M = image_scale * S.
        x_init: [B, S, S, C] standard normal.
        noise: [>= num_steps - 1, B, S, S, C] standard normal.
        num_steps: evaluations of the network.
        guidance_weight: (1 + w) conditional - w unconditional.
        together: both halves as one batch, or one after the other.
        features: of an encoder, computed beforehand, [B, G, G, C].
    """
    cond = encode_image(net, image, config.model.image_scale, features)
    null = torch.zeros_like(cond)
    grid = torch.arange(num_steps + 1) / num_steps
    at = Cosine.at(grid, config.model.schedule.input_scale)
    alpha, sigma, logsnr = at.alpha, at.sigma, at.logsnr
    told = network_time(grid, config)
    x_t = x_init
    for number, i in enumerate(range(num_steps, 0, -1)):
        time_of = told[i].expand(len(x_t))
        if together:
            halves = torch.cat([torch.cat([x_t, cond], -1), torch.cat([x_t, null], -1)])
            c, u = net(halves, time_of.repeat(2)).chunk(2)
        else:
            c = net(torch.cat([x_t, cond], -1), time_of)
            u = net(torch.cat([x_t, null], -1), time_of)
        x0 = ((1 + guidance_weight) * c - guidance_weight * u).clamp(-1, 1)
        if i == 1:
            return x0
        change = logsnr[i] - logsnr[i - 1]
        r, rest = change.exp().float(), (-torch.expm1(change)).float()
        mean = r * (alpha[i - 1] / alpha[i]) * x_t + rest * alpha[i - 1] * x0
        x_t = mean + rest.sqrt() * sigma[i] * noise[number]
    raise ValueError(f"num_steps is {num_steps}; give 1 or more")


def decode(x0: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and their certainty."""
    codes = ((x0 > 0) * (1 << torch.arange(x0.shape[-1]))).sum(-1)
    return codes, ((1 + x0.abs()) / 2).prod(-1)


def build_train_step(
    config: str, batch_size: int, layout: str = "auto", attention: str = "auto"
) -> Ready:
    """The step; x0 and its mask are made beforehand, so it has no palette to work out."""
    settings, data = _start(config, batch_size)
    bits = settings.model.num_bits
    codes = torch.from_numpy(data.labels % (1 << bits))[..., None]
    x0 = ((codes >> torch.arange(bits)) & 1).float() * 2 - 1
    inputs = (torch.from_numpy(data.image), x0, torch.ones(codes.shape[:-1]))
    cells = torch_condition.stored_cells(problem.cells(settings, batch_size))

    def make(count: int, **variant: Any) -> Callable[[], float]:
        step = TrainStep(settings, make_net(settings, **variant))
        shown = torch_condition.rows(cells, count)
        return lambda: step(*(tensor[:count] for tensor in inputs), shown)

    chosen = _fastest(make, min(2, batch_size), layout, attention)
    return Ready(make(batch_size, **chosen), _name(chosen))


def build_sampler(
    config: str,
    batch_size: int,
    num_steps: int = 8,
    guidance_weight: float = 1.0,
    layout: str = "auto",
    attention: str = "auto",
) -> Ready:
    """The sampler, from pictures to codes."""
    settings, data = _start(config, batch_size)
    image = torch.from_numpy(data.image)
    shape = (*data.labels.shape, settings.model.num_bits)
    features = problem.features(settings, batch_size)
    given = None if features is None else torch.from_numpy(features)

    def make(count: int, *, steps: int = 1, together: bool = True, **variant: Any) -> Callable:
        net = make_net(settings, **variant).eval()

        def run() -> Any:
            x0 = sample(
                net,
                settings,
                image[:count],
                torch.randn(count, *shape[1:]),
                torch.randn(steps, count, *shape[1:]),
                num_steps=steps,
                guidance_weight=guidance_weight,
                together=together,
                features=torch_condition.rows(given, count),
            )
            return decode(x0)

        return run

    chosen = _fastest(make, batch_size, layout, attention)
    ways = {way: make(batch_size, together=way, **chosen) for way in (True, False)}
    together = min(ways, key=lambda way: _best(ways[way]))
    run = make(batch_size, steps=num_steps, together=together, **chosen)
    return Ready(run, f"{_name(chosen)}, halves {'as one batch' if together else 'one by one'}")


def _start(name: str, batch_size: int) -> tuple[ml_collections.ConfigDict, problem.Batch]:
    torch.set_num_threads(machine.cores())
    torch.manual_seed(0)
    config = problem.config(name)
    side, image_scale = config.model.image_size, config.model.image_scale
    return config, problem.batch(batch_size, side, image_scale=image_scale)


def _fastest(
    make: Callable[..., Callable], count: int, layout: str, attention: str
) -> dict[str, Any]:
    """The fastest of the variants that are left open, tried one at a time."""
    layouts = [True, False] if layout == "auto" else [layout == "channels_last"]
    attentions = torch_twin.ATTENTIONS if attention == "auto" else (attention,)
    variants = [
        {"channels_last": last, "attention": way}
        for last, way in itertools.product(layouts, attentions)
    ]
    if len(variants) == 1:
        return variants[0]
    times = []
    for variant in variants:
        times.append(_best(make(count, **variant)))
        gc.collect()
    return variants[int(np.argmin(times))]


def _best(run: Callable[[], Any], count: int = 2) -> float:
    run()
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _name(variant: dict[str, Any]) -> str:
    layout = "channels_last" if variant["channels_last"] else "contiguous"
    return f"{layout}, attention {variant['attention']}"
