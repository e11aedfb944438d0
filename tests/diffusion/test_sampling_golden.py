"""The samplers against the trajectories and coefficients of the reference implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm
from tests.diffusion.test_sampling import fake_net


def nhwc(x):
    return np.moveaxis(x, -3, -1).astype(np.float64)


def valid_mask(vectors):
    """imshape is of the original pictures: the longest side fills the 12 pixels."""
    shape = vectors["imshape"][:, :2]
    h, w = np.round(12 * shape / shape.max(1, keepdims=True)).T
    rows, columns = np.arange(12)[None, :, None], np.arange(12)[None, None, :]
    return (rows < h[:, None, None]) & (columns < w[:, None, None])


METHODS = {
    "ddpm_large": Ddpm("large"),
    "ddpm_small": Ddpm("small"),
    "ddim_large": Ddim(eps_after_clip=False),
}


def draw(vectors, prediction, method, guidance_weight, num_steps, clip=True, **options):
    image = nhwc(vectors["image"])
    return sampling.sample(
        fake_net(prediction),
        nhwc(vectors["x_init"]),
        {"image": image, "given": np.ones(len(image))},
        Sampler(num_steps, guidance_weight or None, METHODS[method], clip),
        schedule=schedules.cosine(0.1),
        prediction=prediction,
        noise=nhwc(vectors["noise"]),
        return_trajectory=True,
        **options,
    )


def close(got, want, atol):
    stride = got.shape[-2] // want.shape[-2]  # The copied subset keeps every other pixel.
    np.testing.assert_allclose(got[..., ::stride, ::stride, :], want, atol=atol)


def tolerances(prediction, method, guidance_weight, num_steps):
    """Of x_t and of x0 at every step: 1e-5 where the reference has those digits.

    It guides through eps in float32, which at t = 1 costs x0 1e-7 / alpha, and a little of that
    is left in later steps; DDIM, handing eps on from step to step, forgets less of it. Where the
    network predicts eps there is nothing to convert.
    """
    if guidance_weight == 0 or prediction == "eps":
        return np.full(num_steps, 1e-5), np.full(num_steps, 1e-5)
    forgotten = 1.0 if method == "ddim_large" else 0.6
    x_t = np.maximum(1e-3 * forgotten ** np.arange(num_steps), 2e-5)
    x0 = x_t.copy()
    x_t[0], x0[0] = 0, 2e-2
    return x_t, x0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ddpm_large", "ddpm_small", "ddim_large"])
@pytest.mark.parametrize("prediction", ["x", "eps", "v"])
def test_trajectories_match_the_reference(golden, prediction, method):
    vectors = golden("sampler")
    prefix = f"traj/{prediction}/{method}/"
    cases = [k.split("/")[3:5] for k in vectors if k.startswith(prefix) and k.endswith("/final")]
    assert len(cases) >= 4
    with jax.enable_x64(True):
        for gw, n in cases:
            weight, num_steps = float(gw[2:]), int(n[1:])
            x0, trajectory = draw(
                vectors, prediction, method, weight, num_steps, valid_mask=valid_mask(vectors),
                pad_value=-1.0,
            )  # fmt: skip
            allowed_x_t, allowed_x0 = tolerances(prediction, method, weight, num_steps)
            close(x0, nhwc(vectors[f"{prefix}{gw}/{n}/final"]), allowed_x0[-1])
            for key, got, allowed in (
                ("x_t", trajectory.x_t, allowed_x_t),
                ("pred_x", trajectory.x0, allowed_x0),
            ):
                if (stepwise := f"{prefix}{gw}/{n}/{key}") in vectors:
                    for i, want in enumerate(nhwc(vectors[stepwise])):
                        close(got[i], want, allowed[i])


def test_stepwise_vectors_exist(golden):
    stepwise = [key for key in golden("sampler") if key.endswith(("/x_t", "/pred_x"))]
    # Each prediction at least once, and both quantities: the test above skips what is not there.
    assert {key.split("/")[1] for key in stepwise} == {"x", "v", "eps"}
    assert {key.split("/")[-1] for key in stepwise} == {"x_t", "pred_x"}


def test_without_clipping_and_padding(golden):
    vectors = golden("sampler")
    with jax.enable_x64(True):
        x0, _ = draw(vectors, "x", "ddim_large", 1.0, 8, clip=False)
    close(x0, nhwc(vectors["traj_noclip_nopad/x/ddim/gw1/n8/final"]), 5e-4)


def ddpm_coefficients(t, s, schedule):
    one, zero = jnp.ones((), t.dtype), jnp.zeros((), t.dtype)

    def step(x_t, x0, noise, variance):
        return Ddpm(variance).step(x_t, x0, zero, t, s, schedule, noise)

    return {
        "ddpm_coef_xt": step(one, zero, zero, "large"),
        "ddpm_coef_x0": step(zero, one, zero, "large"),
        "ddpm_std_large": step(zero, zero, one, "large"),
        "ddpm_std_small": step(zero, zero, one, "small"),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "b"), [("b1", 1.0), ("b0p1", 0.1)])
def test_coefficients_match_the_reference(golden, name, b):
    vectors = golden("sampler")
    columns = [str(c) for c in vectors["coef_columns"]]
    tables = [key for key in vectors if key.startswith(f"coef/{name}/")]
    assert len(tables) >= 4
    schedule = schedules.cosine(b)
    for key in tables:
        want = dict(zip(columns, vectors[key].T, strict=True))
        with jax.enable_x64(True):
            t, s = jnp.asarray(want["t"]), jnp.asarray(want["s"])
            got = ddpm_coefficients(t, s, schedule)
            for time, at in (("t", t), ("s", s)):
                for quantity in ("logsnr", "alpha", "sigma"):
                    got[f"{quantity}_{time}"] = getattr(schedule, quantity)(at)
        for column, value in got.items():
            # The last step ends at s = 0, where the reference subtracts gamma from 1.
            rtol = np.where(want["s"] == 0, 1e-7, 1e-9)
            error = np.abs(np.asarray(value) - want[column])
            assert (error <= rtol * np.abs(want[column]) + 1e-14).all(), column


@pytest.mark.slow
def test_coefficients_in_float32(golden):
    vectors = golden("sampler")
    columns = [str(c) for c in vectors["coef_columns"]]
    want = dict(zip(columns, vectors["coef/b0p1/8"].T, strict=True))
    t, s = (jnp.asarray(want[time], jnp.float32) for time in "ts")
    for column, value in ddpm_coefficients(t, s, schedules.cosine(0.1)).items():
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, want[column], rtol=2e-6)
