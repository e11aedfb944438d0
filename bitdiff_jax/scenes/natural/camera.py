"""The camera: exposure, white balance, vignette, defocus, noise, and JPEG."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from bitdiff_jax.scenes.natural.difficulty_levels import Difficulty

_CENTRAL = np.float32(0.5)
# What exposure and development bring a picture to: mean and standard deviation of its sRGB values.
_MEAN, _CONTRAST = 0.43, 0.19


class Camera(NamedTuple):
    """One camera; lengths in units of the picture's side."""

    gain: np.ndarray  # float32 [3]
    gamma: float
    haze: float  # share of grey mixed in
    vignette: float  # darkening in the corners
    blur: float  # standard deviation
    noise: tuple[float, float]  # standard deviation at black, and what is added at white
    quality: int  # of JPEG; 0 = not compressed


def draw(rng: np.random.Generator, difficulty: Difficulty) -> Camera:
    """Draws a camera."""
    compressed, lowest = difficulty.jpeg
    exposure = rng.normal(0, 0.12)
    return Camera(
        np.exp(exposure + rng.normal(0, difficulty.cast, 3)).astype(np.float32),
        float(np.exp(rng.normal(0, 0.12))),
        float(rng.uniform(0, 0.25) * (rng.random() < 0.3)),
        float(rng.uniform(0, difficulty.vignette)),
        float(rng.uniform(0, difficulty.blur) / 64),
        (
            float(difficulty.noise * rng.random() ** 2),
            float(0.5 * difficulty.noise * rng.random() ** 2),
        ),
        int(rng.integers(lowest, 96)) * (rng.random() < compressed),
    )


def take(rng: np.random.Generator, camera: Camera, image: np.ndarray) -> np.ndarray:
    """Photographs `image` float32 [S, S, 3], sRGB and not clipped: uint8 [S, S, 3]."""
    size = len(image)
    image = _defocus(_develop(image), camera.blur * size)
    line = (np.arange(size, dtype=np.float32) + _CENTRAL) / size - _CENTRAL
    fall = 1 - np.float32(2 * camera.vignette) * (line[:, None] ** 2 + line**2)
    image = np.clip(image * (fall[:, :, None] * camera.gain), 0, 1) ** np.float32(camera.gamma)
    image += np.float32(camera.haze) * (np.float32(0.6) - image)
    dark, bright = camera.noise
    amount = np.float32(dark) + np.float32(bright) * image
    image += amount * rng.standard_normal(image.shape, dtype=np.float32)
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if camera.quality:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=camera.quality)
        pixels = np.asarray(Image.open(file)).copy()
    return pixels


def _develop(image: np.ndarray) -> np.ndarray:
    """Goes most of the way to a picture that is neither dark nor flat, as every camera does."""
    mean = float(image.mean())
    gain = np.clip(_MEAN / max(mean, 1e-3), 0.2, 5) ** 0.7
    contrast = np.clip(_CONTRAST / max(float(image.std()) * gain, 1e-3), 0.5, 2.5) ** 0.6
    middle = np.float32(mean * gain)
    return middle + (image - np.float32(mean)) * np.float32(gain * contrast)


def _defocus(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of `sigma` pixels; the outermost pixels are repeated beyond the edges."""
    reach = int(np.ceil(2.5 * sigma))
    if sigma < 0.2:
        return image
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    size = len(image)
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    rows = sum(w * padded[k : k + size] for k, w in enumerate(weights))
    return sum(w * rows[:, k : k + size] for k, w in enumerate(weights))
