"""The sampler against data whose denoiser is known in closed form: no network, nothing learned.

Draws from three kinds of data with every method, number of steps, input scale, rule for the last
step and guidance 0 and 1, and prints as Markdown how often it got what against how often it should.
The formulas are those of the tests, so run it from the root of a checkout:

    python -m benchmarks.quality.exact_sampler --json exact_sampler.json

On one core: 4 minutes with the default number of samples.
"""

import argparse
import importlib.metadata
import itertools
import json
import pathlib
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bitdiff_jax
from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.encoding import bits
from bitdiff_jax.testing import exact

INPUT_SCALES = (0.1, 1.0)
WEIGHTS = (0.0, 1.0)
NUM_STEPS = (2, 4, 8, 16, 32, 50, 200)
FEWER_NUM_STEPS = (2, 8, 50, 200)
SHOWN = (
    ("DDPM large", "x0"),
    ("DDPM large", "step"),
    ("DDPM small", "x0"),
    ("DDIM eta 0", "x0"),
)
# Not shown but for their distance from one with last step 'x0' that is.
ALSO = {
    ("DDPM small", "step"): "DDPM small",
    ("DDIM eta 0", "step"): "DDIM eta 0",
    ("DDIM eta 1", "x0"): "DDPM small",
}

P, NULL_P = 0.7, 0.5
LAYOUT = ((1, 16), (16, 4), (256, 1))
GAUSSIAN, NULL_GAUSSIAN = (0.3, 0.2), (-0.5, 0.9)


def cases(num_steps: Sequence[int], rules: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Every input scale, method with its last step, and number of steps."""
    for b, (name, final), steps in itertools.product(INPUT_SCALES, rules, num_steps):
        yield {"input_scale": b, "method": name, "final": final, "num_steps": steps}


def path_of(case: dict[str, Any]) -> list[exact.Step]:
    options = exact.METHODS[case["method"]]
    return exact.steps(case["num_steps"], case["input_scale"], **options, final=case["final"])


def draw(case: dict[str, Any], denoise_fn, shape, cond, null_cond, **options) -> np.ndarray:
    """A sample [2, *shape]: once without guidance, once with weight 1.

    `cond` and `null_cond` are for one image. Methods share their noise, numbers of steps do not.
    """
    count, *rest = shape
    seed = round(1000 * case["input_scale"]) + case["num_steps"]
    key_init, key_steps = jax.random.split(jax.random.key(seed))
    per_image = lambda x: jnp.tile(jnp.float32(x), (2 * count,) + (1,) * np.ndim(x))  # noqa: E731
    x0 = sampling.sample(
        denoise_fn,
        jax.random.normal(key_init, (2 * count, *rest)),
        per_image(cond),
        Sampler(
            num_steps=case["num_steps"],
            guidance_weight=jnp.repeat(jnp.float32(WEIGHTS), count),
            method=exact.STEP_METHODS[case["method"]],
            final=case["final"],
            **options,
        ),
        null_cond=per_image(null_cond),
        schedule=schedules.cosine(case["input_scale"]),
        keys=jax.random.split(key_steps, 2 * count),
    )
    return np.asarray(x0).reshape(2, *shape)


def bits_rows(num_samples: int) -> list[dict[str, Any]]:
    """Frequency of +1 in groups of pixels that share a bit."""
    rows = []
    width = sum(m * count for m, count in LAYOUT)
    for case in [*cases(NUM_STEPS, SHOWN), *cases((2, 8, 50), ALSO)]:
        denoise_fn = exact.groups(schedules.cosine(case["input_scale"]), LAYOUT)
        shape = (1, num_samples, width, 1)
        x0 = draw(case, denoise_fn, shape, P, NULL_P)
        for weight, image in zip(WEIGHTS, x0, strict=True):
            for part, (m, count) in zip(exact.split(image, LAYOUT), LAYOUT, strict=True):
                row = case | {"guidance_weight": weight, "pixels": m, "sampled": np.mean(part > 0)}
                if (case["method"], case["final"]) in SHOWN:
                    expected = exact.frequency(path_of(case), m, P, NULL_P, weight)
                    variance = expected * (1 - expected) / (num_samples * count)
                    # Besides, the quadrature is good to 2e-4.
                    row |= {"expected": expected, "standard_error": (variance + 4e-8) ** 0.5}
                rows.append(row)
    return rows


def gaussian_rows(num_samples: int) -> list[dict[str, Any]]:
    """Mean and standard deviation of values from one Gaussian; x0 is not clipped."""
    rows = []
    for case in cases(FEWER_NUM_STEPS, [rule for rule in SHOWN if rule[1] == "x0"]):
        denoise_fn = exact.gaussian(schedules.cosine(case["input_scale"]))
        shape = (1, num_samples, 16, 1)
        x0 = draw(case, denoise_fn, shape, GAUSSIAN, NULL_GAUSSIAN, clip=False)
        for weight, image in zip(WEIGHTS, x0, strict=True):
            mean, var = exact.moments(path_of(case), GAUSSIAN, NULL_GAUSSIAN, weight)
            rows.append(
                case
                | {"guidance_weight": weight, "mean": image.mean(), "std": image.std()}
                | {"expected_mean": mean, "expected_std": var**0.5}
            )
    return rows


def listed_rows(num_samples: int) -> list[dict[str, Any]]:
    """How often each of five partitions is drawn, and none of them."""
    codes, prior = exact.partitions()
    pictures = np.asarray(bits.encode(codes, 3))
    denoise_fns = {b: exact.listed(schedules.cosine(b), pictures) for b in INPUT_SCALES}
    null = np.log(np.full_like(prior, 1 / len(prior)))
    # Total variation that as many draws from the prior itself would show on average.
    floor = np.sqrt(prior * (1 - prior) / num_samples).sum() / (2 * np.pi) ** 0.5
    rows = []
    for case in cases(FEWER_NUM_STEPS, SHOWN):
        denoise_fn = denoise_fns[case["input_scale"]]
        shape = (num_samples, *pictures.shape[1:])
        x0 = draw(case, denoise_fn, shape, np.log(prior), null)
        for weight, images in zip(WEIGHTS, x0, strict=True):
            shares = exact.shares(np.asarray(bits.decode(images)), codes)
            distance = 0.5 * np.abs(shares - np.append(prior, 0)).sum()
            rows.append(
                case
                | {"guidance_weight": weight, "shares": shares.tolist()}
                | {"total_variation": distance, "none": shares[-1], "floor": floor}
            )
    return rows


def short(value: float, digits: int = 3) -> str:
    """.826 rather than 0.826."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def table(
    rows: list[dict[str, Any]], keys: Sequence[str], cell: Callable[[dict[str, Any]], str]
) -> str:
    """A Markdown table: a row for each combination of `keys`, a column for each number of steps."""
    columns = sorted({row["num_steps"] for row in rows})
    lines = [
        " | ".join(
            ["", *(NAMES.get(key, key) for key in keys), *(f"N = {n}" for n in columns), ""]
        ),
        "|" + "---|" * (len(keys) + len(columns)),
    ]
    for group in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        of_group = {
            row["num_steps"]: cell(row) for row in rows if tuple(row[key] for key in keys) == group
        }
        lines.append(" | ".join(["", *map(str, group), *(of_group[n] for n in columns), ""]))
    return "\n".join(line.strip() for line in lines)


NAMES = {"input_scale": "b", "final": "last step", "pixels": "m"}


def shown(rows: list[dict[str, Any]], weight: float) -> list[dict[str, Any]]:
    return [
        row
        for row in rows
        if row["guidance_weight"] == weight and (row["method"], row["final"]) in SHOWN
    ]


def print_bits(rows: list[dict[str, Any]]) -> None:
    checked = [row for row in rows if "expected" in row]
    off = [abs(row["sampled"] - row["expected"]) / row["standard_error"] for row in checked]
    keys = ("input_scale", "method", "final", "pixels")
    for weight in WEIGHTS:
        print(f"\n### Shared bits, P = {short(P, 2)}, guidance {weight:.0f}\n")
        print(
            table(
                shown(rows, weight),
                keys,
                lambda row: f"{short(row['sampled'])} ({short(row['expected'])})",
            )
        )
    print(
        f"\nOver {len(off)} cells the sampled frequency is {np.sqrt(np.mean(np.square(off))):.2f} "
        f"standard errors from the computed one in root mean square, {max(off):.1f} at most."
    )
    index = {
        tuple(row[key] for key in (*keys, "num_steps", "guidance_weight")): row for row in rows
    }
    for rule, twin in ALSO.items():
        gap = max(
            abs(row["sampled"] - index[b, twin, "x0", *rest]["sampled"])
            for (b, method, final, *rest), row in index.items()
            if (method, final) == rule
        )
        print(f"{rule[0]}, last step {rule[1]}: within {gap:.4f} of {twin}, last step x0.")
    print("\n### Shared bits: what the last step alone would do (b = .1, computed)\n")
    alone = [
        {"pixels": m, "num_steps": n, "value": exact.last_step_alone(n, 0.1, m, P)}
        for m, _ in LAYOUT
        for n in NUM_STEPS
    ]
    print(table(alone, ("pixels",), lambda row: short(row["value"])))


def print_gaussian(rows: list[dict[str, Any]]) -> None:
    for weight in WEIGHTS:
        mean, std = GAUSSIAN
        print(f"\n### One Gaussian, {short(mean, 1)} ± {short(std, 1)}, guidance {weight:.0f}\n")
        print(
            table(
                shown(rows, weight),
                ("input_scale", "method", "final"),
                lambda row: (
                    f"{short(row['mean'])} ± {short(row['std'])} "
                    f"({short(row['expected_mean'])} ± {short(row['expected_std'])})"
                ),
            )
        )


def print_listed(rows: list[dict[str, Any]]) -> None:
    for weight in WEIGHTS:
        print(f"\n### Five partitions, guidance {weight:.0f}: total variation from the prior\n")
        print(
            table(
                shown(rows, weight),
                ("input_scale", "method", "final"),
                lambda row: (
                    short(row["total_variation"])
                    + (f", none {short(row['none'], 2)}" if row["none"] > 0.005 else "")
                ),
            )
        )
    print(f"\nAs many draws from the prior itself would show {short(rows[0]['floor'])} on average.")


def main() -> None:
    """Reads the flags, prints the tables, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add(
        "--num_samples",
        type=int,
        default=2000,
        help="groups of 256 pixels; 4 times as many of 16, 16 times as many single pixels and "
        "Gaussian values, twice as many partitions",
    )
    add("--json", type=pathlib.Path, help="file to write the figures to")
    args = parser.parse_args()

    versions = {name: importlib.metadata.version(name) for name in ("jax", "numpy", "scipy")}
    versions |= {"bitdiff_jax": bitdiff_jax.__version__, "python": platform.python_version()}
    listing = ", ".join(f"{name} {version}" for name, version in versions.items())
    print(f"{args.num_samples} samples on {jax.default_backend()}; {listing}", flush=True)
    results = {}
    for kind, rows_of, show, factor in (
        ("bits", bits_rows, print_bits, 1),
        ("gaussian", gaussian_rows, print_gaussian, 1),
        ("partitions", listed_rows, print_listed, 2),
    ):
        results[kind] = rows_of(factor * args.num_samples)
        show(results[kind])
    if args.json is not None:
        text = json.dumps({"versions": versions, **results}, indent=1, default=float)
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
