"""Natural colours: a small mixture in CIE Lab, and how alike the colours of one scene are.

The numbers were fitted to the mean colours of the regions of BSDS500's training photographs
(7,198 regions in three maps each of 200 pictures at 128 pixels, weighted by the root of the area);
nothing else of that data is here. `benchmarks/quality/scenes.py --fit` prints them again.
"""

import numpy as np

# Weight; mean (L, a, b); lower triangle of the covariance's Cholesky factor.
_MIXTURE = np.array(
    [
        [0.360, 43.6, -3.8, 15.7, 10.0, 1.5, 8.9, -0.4, -1.1, 10.0],
        [0.224, 57.5, -3.5, -3.3, 17.2, -0.2, 5.1, 1.4, 0.8, 13.4],
        [0.208, 23.4, -2.7, 7.5, 11.1, -1.1, 5.6, 2.7, 1.5, 7.4],
        [0.114, 69.8, -5.8, 23.9, 12.5, -0.8, 13.8, -3.0, 0.3, 13.5],
        [0.094, 50.4, 11.1, 25.5, 15.9, -6.1, 14.1, 15.4, 5.5, 18.1],
    ]
)
_ODDS = np.cumsum(_MIXTURE[:, 0])
_MEANS = _MIXTURE[:, 1:4]
_FACTORS = np.zeros((len(_MIXTURE), 3, 3))
_FACTORS[:, [0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2]] = _MIXTURE[:, 4:]

# Regions of one photograph share .27, .51 and .57 of the variance of L, a and b; the mixture's
# components chosen together with the scene account for a part of it, a common shift for the rest.
_SAME_COMPONENT = 0.55
_KINSHIP = np.array([0.24, 0.65, 0.9])

_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def natural(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours [count, 3] in Lab of the regions of one scene."""
    component = np.searchsorted(_ODDS[:-1], rng.random(count + 1))
    like_the_scene = rng.random(count) < _SAME_COMPONENT
    component = np.where(like_the_scene, component[-1], component[:-1])
    deviation = rng.standard_normal((count + 1, 3))
    mixed = np.sqrt(_KINSHIP) * deviation[-1] + np.sqrt(1 - _KINSHIP) * deviation[:-1]
    colours = _MEANS[component] + np.einsum("kij,kj->ki", _FACTORS[component], mixed)
    colours[:, 0] = np.clip(colours[:, 0], 4, 96)
    return colours


def free(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours [count, 3] in Lab around two or three hues of any kind: stains, toys, signs."""
    hues = rng.uniform(0, 2 * np.pi, int(rng.integers(2, 4)))
    hue = hues[rng.integers(0, len(hues), count)] + rng.normal(0, 0.25, count)
    chroma = rng.uniform(0, 60) * rng.uniform(0.4, 1.2, count)
    lightness = np.clip(rng.uniform(25, 75) + rng.uniform(10, 30) * rng.normal(size=count), 6, 95)
    return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """CIE Lab (D65) [..., 3] to sRGB in [0, 1]; what lies outside the gamut is clipped."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = _WHITE * np.where(f > 6 / 29, f**3, (f - 4 / 29) * (108 / 841))
    linear = np.clip(xyz @ _XYZ_TO_RGB.T, 0, 1)
    return np.where(
        linear > 0.0031308, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055, 12.92 * linear
    )
