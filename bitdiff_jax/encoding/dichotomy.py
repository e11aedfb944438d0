"""Progressive dichotomy: a picture of flat colours cut into regions (UniGS, arXiv 2312.01985).

All pixels are one cluster at first; a cluster whose colours are not alike is split into two. The
result knows colours alone: two places of the same colour are one region. Runs on the host.
"""

import numpy as np


def decode(
    image: np.ndarray,
    *,
    seed: int = 0,
    tolerance: float = 10.0,
    min_pixels: int = 20,
    max_splits: int = 10,
    max_rounds: int = 1024,
) -> np.ndarray:
    """Regions of like colour.

    The defaults are the released ones; the released code does not seed its 2-means.

    Args:
        image: float [h, w, C] in [-1, 1], without padding. NaN counts as 0.
        seed: of the starts of 2-means; the result is a function of the picture and the seed.
        tolerance: a cluster stays whole if its pixels are on average nearer than this to their
            mean colour, on the scale of 0 to 255.
        min_pixels: a smaller cluster stays whole.
        max_splits: how often a cluster may have been split off, counted along its ancestors.
        max_rounds: clusters looked at, in all.

    Returns:
        int32 [h, w], ids 0..n-1; what is split keeps its id for one half.
    """
    image = np.nan_to_num(np.asarray(image, np.float64), posinf=1, neginf=-1)
    colours = (image.reshape(-1, image.shape[-1]) + 1) * 127.5
    rng = np.random.default_rng(seed)
    clusters, depths = [np.arange(len(colours))], [0]
    current = 0  # all clusters before this one are finished
    for _ in range(max_rounds):
        if current == len(clusters):
            break
        members = clusters[current]
        second = np.zeros(len(members), bool)
        if len(members) >= min_pixels and depths[current] < max_splits:
            points = colours[members]
            if np.linalg.norm(points - points.mean(axis=0), axis=1).mean() >= tolerance:
                second = two_means(points, rng)
        if second.any():
            depths[current] += 1
            clusters[current] = members[~second]
            clusters.append(members[second])
            depths.append(depths[current])
        else:
            current += 1
    labels = np.zeros(len(colours), np.int32)
    for index, members in enumerate(clusters):
        labels[members] = index
    return labels.reshape(image.shape[:2])


def decode_batch(images: np.ndarray, sizes: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """`decode` of each picture's valid rectangle; fit for `jax.pure_callback`.

    Args:
        images: float [B, S, S, C].
        sizes: int [B, 2], (h, w) of the content at the top-left corner.
        seed: the same for each, so that a result does not depend on the place in the batch.

    Returns:
        int32 [B, S, S], -1 on padding.
    """
    images = np.asarray(images)
    labels = np.full(images.shape[:3], -1, np.int32)
    for image, (height, width), target in zip(images, np.asarray(sizes), labels, strict=True):
        target[:height, :width] = decode(image[:height, :width], seed=seed)
    return labels


def two_means(
    points: np.ndarray, rng: np.random.Generator, *, num_starts: int = 3, max_steps: int = 100
) -> np.ndarray:
    """Splits points in two by 2-means, the best of several k-means++ starts.

    Args:
        points: float64 [n, C], n >= 1.
        rng: what the starts are drawn from.
        num_starts: starts.
        max_steps: of Lloyd's algorithm, if it does not settle before.

    Returns:
        bool [n], true in the second cluster; all false if the points are equal.
    """
    best, least = np.zeros(len(points), bool), np.inf
    for _ in range(num_starts):
        first = points[rng.integers(len(points))]
        squared = np.square(points - first).sum(axis=1)
        if not squared.any():
            continue
        other = points[rng.choice(len(points), p=squared / squared.sum())]
        second = np.zeros(len(points), bool)
        for _ in range(max_steps):
            nearer = (points - (first + other) / 2) @ (other - first) > 0
            if (nearer == second).all():
                break
            second = nearer
            first, other = points[~second].mean(axis=0), points[second].mean(axis=0)
        spread = sum(np.square(p - p.mean(axis=0)).sum() for p in (points[second], points[~second]))
        if spread < least:
            best, least = second, spread
    return best
