"""The times at which a sampler asks the network.

A solver's error is made where x0 changes within a step, and that is a matter of logsnr: with m
pixels that share a bit it is where m alpha^2 / sigma^2 is about 1. A grid that is uniform in t
spends most of its steps where the schedule, with its input scale, happens to be slow.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.diffusion.schedules import Schedule

TimeGrid = Literal["uniform", "logsnr"]

# Where the grid 'logsnr' starts, and what it leads to. At the start, the regions of a map of
# 256 x 256 pixels have shown less than .03 nats of their code; at the end a bit on its own is
# certain, up to 1e-12.
LOGSNR_RANGE = (-14.0, 4.0)


def times(grid: TimeGrid, num_steps: int, schedule: Schedule) -> np.ndarray:
    """The grid of a sampler, float64 [num_steps + 1], from t = 0 up.

    Step i goes from times[i] to times[i - 1], so the network is asked at all but the first.

    Args:
        grid: 'uniform', i / num_steps; or 'logsnr', of which the logsnr is uniform within
            `LOGSNR_RANGE` (as far as the schedule goes): the network is asked at its lower end and
            at num_steps - 1 more, and one step on would be its upper end. The first time is 0
            there as well.
        num_steps: number N of evaluations of the network.
        schedule: the noise schedule.
    """
    if grid == "uniform":
        return np.arange(num_steps + 1) / num_steps
    low = max(LOGSNR_RANGE[0], schedule.logsnr_min)
    high = min(LOGSNR_RANGE[1], schedule.logsnr_max)
    return np.append(0.0, at_logsnr(schedule, np.linspace(high, low, num_steps + 1)[1:]))


def at_logsnr(schedule: Schedule, logsnr: np.ndarray) -> np.ndarray:
    """The times at which a schedule has these values of logsnr, float64; by bisection.

    Args:
        schedule: the noise schedule.
        logsnr: values within the schedule's limits, any shape.
    """
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        logsnr_of = jax.jit(schedule.logsnr)
        early, late = np.zeros_like(logsnr, np.float64), np.ones_like(logsnr, np.float64)
        for _ in range(50):
            middle = (early + late) / 2
            noisy = np.asarray(logsnr_of(jnp.asarray(middle))) <= logsnr
            early, late = np.where(noisy, early, middle), np.where(noisy, middle, late)
    return (early + late) / 2
