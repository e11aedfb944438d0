"""Which code an imposed region gets: the frame in which the model has drawn the image.

A model that was trained with the location-aware palette knows regions by where their centre lies,
and what is imposed need not be a whole region: of a point or a scribble the centre is elsewhere.
A free sample of the image says which code the model itself uses there. It is drawn from the same
noise, so that what is not concerned stays as it was.
"""

import numpy as np

from bitdiff_jax.inference.imposed import Groups, Imposed
from bitdiff_jax.inference.specks import Evidence


def of_free_samples(
    groups: Groups, codes: np.ndarray, drawn: Evidence | None, num_codes: int, has_background: bool
) -> Imposed:
    """Each group's code in each sample: the one that the free sample mostly has on its cells.

    Largest groups choose first, and groups that lie apart take different codes. A group that finds
    none of the codes on its cells left takes the one that is nearest to what was drawn there.

    Args:
        groups: what is imposed.
        codes: int32 [n, h', w'], free samples.
        drawn: what they were read from; None if that is not known.
        num_codes: codes that there are.
        has_background: whether code 0 is the background, and of no other region.
    """
    areas = np.bincount(groups.cells[groups.cells >= 0], minlength=len(groups.apart))
    order = [group for group in np.argsort(-areas, kind="stable") if areas[group]]
    chosen = np.full((len(codes), len(areas)), -1, np.int32)
    for sample, found in enumerate(codes):
        for group in order:
            if group == groups.background:
                chosen[sample, group] = 0
                continue
            cells = groups.cells == group
            taken = chosen[sample, groups.apart[group]]
            used = np.bincount(found[cells], minlength=num_codes).astype(np.float64)
            if drawn is not None:
                used += _nearness(drawn.x0[sample][cells], drawn.values)
            used[taken[taken >= 0]] = -np.inf
            if has_background:
                used[0] = -np.inf
            chosen[sample, group] = used.argmax()
    return Imposed(groups, chosen)


def _nearness(x0: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How near x0 [m, C] of some cells is to each code's value [num_codes, C], in [0, 1)."""
    mean = x0.astype(np.float64).mean(0)
    return 1 / (1 + np.square(values - mean).sum(1)) * (1 - 1e-9)
