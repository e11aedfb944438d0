"""Label maps for the tests of this room, and slow answers by definition."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

label_maps = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 5)),
    elements=st.integers(0, 3),
)


def weighted(label_maps, seed):
    """Small integer weights, some 0 but not all."""
    weights = np.random.default_rng(seed).integers(0, 4, len(label_maps))
    weights[seed % len(label_maps)] = 2
    return weights


def renamed(label_maps, seed):
    """The same partitions with other ids in every map; ignored pixels stay ignored."""
    rng = np.random.default_rng(seed)
    names = [rng.choice(10**9, 400, replace=False) for _ in label_maps]
    return np.stack(
        [np.where(each < 0, each, ids[each]) for each, ids in zip(label_maps, names, strict=True)]
    )


def same_partition(one, other):
    """Whether two maps join the same pixels, ignored ones being the same."""
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def all_partitions(count):
    """Every partition of `count` items, as restricted-growth strings."""

    def grow(head, used):
        if len(head) == count:
            yield head
            return
        for label in range(used + 1):
            yield from grow([*head, label], max(used, label + 1))

    return np.array(list(grow([0], 1)))


def noisy_maps(num_samples=8, size=24, regions=6, seed=0):
    """Voronoi cells whose centres are shaken in every sample."""
    rng = np.random.default_rng(seed)
    centres = rng.random((regions, 2)) * size
    rows, columns = np.mgrid[:size, :size]
    maps = []
    for _ in range(num_samples):
        kept = centres[rng.random(regions) < 0.8] if regions > 1 else centres
        kept = (kept if len(kept) else centres) + rng.normal(0, 1, (max(len(kept), 1), 2))
        distance = (rows[..., None] - kept[:, 0]) ** 2 + (columns[..., None] - kept[:, 1]) ** 2
        maps.append(distance.argmin(axis=-1))
    return np.stack(maps)
