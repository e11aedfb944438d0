"""Cuts the small files of this folder out of the full golden vectors, see README.md.

    python tests/golden/make_subset.py FOLDER_OF_THE_FULL_VECTORS [FOLDER_TO_WRITE_TO]

Every array keeps its key, and what is cut is cut alike in inputs and outputs, so that a test reads
the full and the small file in the same way. The two exceptions are results which are thinned while
the inputs stay whole (`thin`: the test takes the stride from the shapes) and the inputs of the
large net, in whose place the seed is kept that draws them.
"""

import pathlib
import re
import sys

import numpy as np


def take(full, *patterns):
    """The arrays whose whole key matches one of these regular expressions, in the file's order."""
    for pattern in patterns:
        assert any(re.fullmatch(pattern, key) for key in full), f"no key matches {pattern}"
    return {key: full[key] for key in full if any(re.fullmatch(p, key) for p in patterns)}


def at(arrays, index, *patterns):
    """`arrays` with `array[index]` for those whose key matches."""
    return arrays | {key: array[index] for key, array in take(arrays, *patterns).items()}


def thin(arrays, stride, *patterns):
    """Every `stride`-th row and column of results [..., H, W]."""
    return at(arrays, np.s_[..., ::stride, ::stride], *patterns)


def metrics(full):
    rows = [*range(6), 7, *range(10, 20, 3), 25, 31, 37, *range(40, 44)]
    return at(full, rows, "(?!columns).*")


def preprocess(full):
    return take(full, "small/.*", "square/.*", "resize/.*")


def unet_small(full):
    return thin(full, 4, "small/out.*") | {"train/gt_int": full["train/gt_int"].astype(np.int32)}


def unet_full(full):
    seed = 9
    rng = np.random.default_rng(seed)
    for key in ("x", "image"):
        np.testing.assert_array_equal(
            rng.standard_normal(full[key].shape).astype(np.float32), full[key]
        )
    small = take(full, "(?!x$|image$).*") | {"input_seed": np.array(seed)}
    return thin(small, 4, "out")


def schedule(full):
    return at(full, np.s_[::4], "t", "t_float32", ".*/t/.*", ".*/t_float32/.*")


def loss_weights(full):
    return at(take(full, "t.*", "b.*"), np.s_[::4], "t", ".*/t")


def losses(full):
    # What the network returned is the same for both b.
    kept = take(full, "(?!b1/.*/network_output).*")
    return thin(kept, 4, ".*/x_t", ".*/pred_x", ".*/pred_eps")


def codec(full):
    return take(full, "(?!dichotomy).*", "dichotomy/(1|2)/(image|crop_hw|labels)")


def lap(full):
    # Of each kind some with few and some with the most regions, with padding and without.
    maps = [1, 4, 7, 9, 11, 14, 17, 19, 21, 24, 25, 29, 31, 34, 35, 39]
    return at(full, maps, "labels", "n_objects", "out/.*", "centers_rel", "ids_.*", "codes_.*")


def excess(full):
    return at(full, np.s_[:6], ".*")  # the first, as the shuffled ones go on drawing


def sampler(full):
    # The network of these trajectories treats every channel alike: two show as much as six.
    channels = np.s_[..., :2, :, :]
    kept = take(
        full, "coef/.*/(1|2|3|8|20|50)", "coef_columns", "x_init", "image", "noise", "imshape",
        "traj/.*/n(1|2|8)/final", "traj_noclip_nopad/.*",
        "traj/(x/ddpm_small|v/ddpm_large|eps/ddim_large)/gw0/n8/pred_x",
        "traj/x/ddpm_large/gw1/n8/x_t",
    )  # fmt: skip
    kept = at(at(kept, np.s_[:7], "noise"), channels, "x_init", "noise", "traj.*")
    return thin(kept, 2, "traj.*")


def lr(full):
    return full


def split(full):
    return full


SUBSETS = (
    metrics, preprocess, unet_small, unet_full, schedule, loss_weights, losses, codec, lap, excess,
    sampler, lr, split,
)  # fmt: skip


def main(source, target=pathlib.Path(__file__).parent):
    for subset in SUBSETS:
        name = f"{subset.__name__}.npz"
        with np.load(pathlib.Path(source) / name, allow_pickle=False) as file:
            np.savez_compressed(pathlib.Path(target) / name, **subset(dict(file)))


if __name__ == "__main__":
    main(*sys.argv[1:])
