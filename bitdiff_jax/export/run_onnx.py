"""Draws label maps with an exported denoiser: python run.py IMAGE ... --out DIR

This file stands by itself. It needs onnxruntime, numpy and Pillow, and the files beside it. From
Python: `Denoiser(folder)(image)`. The loop over the steps is `sample`.
"""

import argparse
import json
import os
import pathlib
import sys
from typing import Any

import numpy as np
from PIL import Image

from bitdiff_jax.export.run_sampler import by_area, fitted, padded

FORMAT, VERSION = "bitdiff_jax.denoiser", 2
NET, ENCODER, STEM = "net.onnx", "encoder.onnx", "features.onnx"
ABOUT = "denoiser.json"


def at_time(t: float, about: dict[str, Any]) -> tuple[float, float, float]:
    """(alpha, sigma, log-SNR) of the cosine schedule with an input scale, in float64."""
    low, high = (1 / (1 + np.exp(-about[name])) for name in ("logsnr_min", "logsnr_max"))
    cosine, sine = np.sin(np.pi * (1 - t) / 2) ** 2, np.sin(np.pi * t / 2) ** 2
    scaled = about["input_scale"] ** 2 * cosine
    gamma = low + (high - low) * scaled / (sine + scaled)
    rest = (1 - high) + (high - low) * sine / (sine + scaled)
    return float(np.sqrt(gamma)), float(np.sqrt(rest)), float(np.log(gamma) - np.log(rest))


def sample(
    net: Any, cond: np.ndarray, valid: np.ndarray, noise: np.ndarray, about: dict[str, Any]
) -> np.ndarray:
    """DDIM with guidance, x0 clipped and padding overwritten at every step.

    Args:
        net: (inputs float32 [B, S, S, C], times float32 [B]) -> x0 float32 [B, S, S, k].
        cond: what the network is shown beside x_t, float32 [B, S, S, C - k]; zeros are nothing.
        valid: bool [B, S, S], false on padding.
        noise: standard normal, float32 [B, S, S, k].
        about: what denoiser.json says.

    Returns:
        x0, float32 [B, S, S, k]: a bit is 1 where it is above 0.
    """
    steps, weight = about["num_steps"], about["guidance_weight"]
    x, null, inside = about["temperature"] * noise, np.zeros_like(cond), valid[..., None]
    x0 = x
    for step in range(steps, 0, -1):
        alpha, sigma, logsnr = at_time(step / steps, about)
        rows, shown = (
            (x, cond) if weight is None else (np.stack([x, x], 1), np.stack([cond, null], 1))
        )
        rows = np.concatenate([rows, shown], -1).astype(np.float32)
        rows = rows.reshape(-1, *rows.shape[-3:])
        time = step / steps if about["time_input"] == "t" else logsnr / 4
        x0 = net(rows, np.full(len(rows), time, np.float32))
        if weight is not None:
            x0 = (1 + weight) * x0[::2] - weight * x0[1::2]
        x0 = np.where(inside, np.clip(x0, *about["clip"]), about["pad_value"])
        if step > 1:
            eps = (x - alpha * x0) / sigma
            alpha, sigma, _ = at_time((step - 1) / steps, about)
            x = alpha * x0 + sigma * eps
    return x0


class Denoiser:
    """An exported denoiser, read from its folder.

    Attributes:
        about: what denoiser.json says.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Reads the graphs; ValueError if they are of another format."""
        folder = pathlib.Path(folder)
        self.about = json.loads((folder / ABOUT).read_text())
        found = self.about.get("format"), self.about.get("format_version")
        if found != (FORMAT, VERSION):
            raise ValueError(f"{folder / ABOUT}: is of format {found}, not {(FORMAT, VERSION)}")
        self._net = _session(folder / NET)
        self._stem = _session(folder / STEM) if self.about["features"] else None
        self._encoder = _session(folder / ENCODER) if self.about["encoder_size"] else None

    def __call__(
        self,
        image: np.ndarray,
        num_samples: int = 1,
        seed: int = 0,
        features: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draws label maps of one image.

        Args:
            image: uint8 [h, w, 3].
            num_samples: number n of maps.
            seed: of numpy's noise, which is not JAX's.
            features: what `encode` returns, of an earlier call or from elsewhere; those of a model
                with an image encoder are computed if they are not given.

        Returns:
            int64 [n, h', w'] at the size that the network draws; pixels with the same code are a
            region.
        """
        side, channels = self.about["size"], self.about["num_bits"]
        noise = np.random.default_rng(seed).standard_normal((num_samples, side, side, channels))
        cond, valid, (height, width) = self.condition(image, features)
        cond, valid = (np.repeat(each, num_samples, 0) for each in (cond, valid))
        x0 = sample(self._net, cond, valid, noise.astype(np.float32), self.about)
        codes = ((x0 > 0) * 2 ** np.arange(channels)).sum(-1)
        return codes[:, :height, :width]

    def encode(self, image: np.ndarray) -> np.ndarray:
        """The encoder's features of an image, float16 [G, G, C]; ValueError if it was left out."""
        if self._encoder is None:
            raise ValueError("the export has no image encoder: give features")
        shape = fitted(image.shape, self.about["encoder_size"])
        resized = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR)
        square = padded(np.asarray(resized), self.about["encoder_size"])
        sizes = shape, fitted(image.shape, self.about["size"])
        cells = self._encoder(square[None], *(np.array([each], np.int32) for each in sizes))[0]
        return np.asarray(cells, np.float16)  # as they are kept where the network was trained

    def condition(
        self, image: np.ndarray, features: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        """What `sample` takes of one image, [1, S, S, ...], and (h, w) that it fills."""
        side, scale = self.about["size"], self.about["image_scale"]
        height, width = fitted(image.shape, side)
        shown = padded(by_area(image, (height * scale, width * scale)), side * scale)
        shown = (shown / 255 - self.about["image_mean"]) / self.about["image_std"]
        shown = shown.reshape(side, scale, side, scale, 3).transpose(0, 2, 1, 3, 4)
        parts = [shown.reshape(side, side, -1)]
        if self._stem is not None:
            features = self.encode(image) if features is None else features
            parts.insert(0, self._stem(features[None].astype(np.float32))[0])
        valid = np.zeros((side, side), bool)
        valid[:height, :width] = True
        cond = np.concatenate(parts, -1) * valid[..., None]
        return cond[None].astype(np.float32), valid[None], (height, width)


def _session(path: pathlib.Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [each.name for each in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))[0]


def main() -> None:
    """Reads the command line, writes a 16-bit PNG of region ids for each image."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--out", required=True, metavar="DIR", help="made if need be")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--features", metavar="DIR", help="of NAME.npy, the features of each image")
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    denoiser = Denoiser(pathlib.Path(__file__).parent)
    about = denoiser.about
    if about["terms_of_use"]:
        print(f"terms of use: {about['terms_of_use']}")
    if about["features"] and not about["encoder_size"] and not args.features:
        sys.exit("the export has no image encoder: give the folder of features by --features")
    for name in args.images:
        path = pathlib.Path(name)
        try:
            image = np.asarray(Image.open(path).convert("RGB"))
            features = (
                np.load(pathlib.Path(args.features) / f"{path.stem}.npy") if args.features else None
            )
        except OSError as error:
            sys.exit(f"{name}: cannot be read ({error})")
        codes = denoiser(image, seed=args.seed, features=features)[0]
        _, ids = np.unique(codes, return_inverse=True)
        labels = Image.fromarray((ids.reshape(codes.shape) + 1).astype(np.uint16))
        file = out / f"{path.stem}_labels.png"
        labels.resize(image.shape[1::-1], Image.Resampling.NEAREST).save(file)
        print(f"{file}: {ids.max() + 1} regions")


if __name__ == "__main__":
    main()
