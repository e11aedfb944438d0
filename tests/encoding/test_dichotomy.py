import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from bitdiff_jax.encoding import dichotomy
from bitdiff_jax.encoding.rgb import RGBEncoding
from bitdiff_jax.metrics import adjusted_rand_index


def same_partition(a, b):
    """Whether two maps have the same regions, whatever they are called."""
    pairs = np.unique(np.stack([np.ravel(a), np.ravel(b)]), axis=1).shape[1]
    return pairs == len(np.unique(a)) == len(np.unique(b))


def test_partitions_match_the_reference(golden):
    vectors = golden("codec")
    cases = sorted({key.split("/")[1] for key in vectors if key.startswith("dichotomy/")})
    assert len(cases) >= 2
    for case in cases:
        image = np.moveaxis(vectors[f"dichotomy/{case}/image"], 0, -1)
        size = vectors[f"dichotomy/{case}/crop_hw"]
        got = dichotomy.decode_batch(image[None], size[None])[0]
        want = vectors[f"dichotomy/{case}/labels"][0]
        np.testing.assert_array_equal(got < 0, want < 0)
        assert same_partition(got, want)
        again = dichotomy.decode_batch(image[None], size[None], seed=11)[0]
        assert same_partition(again, want)  # clean colours leave nothing to chance


def flat_image(noise=0.02, seed=0, side=48):
    """A picture of colours that are codes, and the codes."""
    rng = np.random.default_rng(seed)
    codes = np.kron(rng.choice(125, (4, 4), replace=False), np.ones((side // 4,) * 2, int))
    image = np.asarray(RGBEncoding(125).encode(codes))
    return image + noise * rng.standard_normal(image.shape), codes


def test_codes_drawn_as_colours_are_found_again_under_jit():
    image, codes = flat_image()
    sizes = np.array([[48, 48], [30, 41], [48, 48]])

    @jax.jit
    def decode(images):
        shape = jax.ShapeDtypeStruct(images.shape[:3], jnp.int32)
        return jax.pure_callback(dichotomy.decode_batch, shape, images, sizes)

    got = np.asarray(decode(jnp.stack([image] * 3)))
    assert same_partition(got[0], codes)
    np.testing.assert_array_equal(got[0], got[2])
    assert (got[1, 30:] == -1).all() and (got[1, :, 41:] == -1).all()
    assert same_partition(got[1, :30, :41], codes[:30, :41])


def test_the_result_is_a_function_of_image_and_seed():
    image = np.random.default_rng(0).uniform(-1, 1, (24, 24, 3))  # no clear clusters
    first, again, other = (dichotomy.decode(image, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.int32 and first.max() > 5
    assert adjusted_rand_index(first, other, num_labels=1024) < 1
    np.testing.assert_array_equal(np.unique(first), np.arange(first.max() + 1))


def test_when_a_cluster_stays_whole():
    two = np.full((6, 6, 3), -1.0)
    two[:3] = 1
    assert len(np.unique(dichotomy.decode(two))) == 2
    assert dichotomy.decode(two[2:4, :5]).max() == 0  # fewer than 20 pixels
    assert dichotomy.decode(two, max_splits=0).max() == 0
    assert dichotomy.decode(two, tolerance=300).max() == 0
    near = np.where(two > 0, 10 / 127.5, -9.9 / 127.5)[..., :1]  # on average 9.95 from their mean
    assert dichotomy.decode(near).max() == 0 and dichotomy.decode(near * 1.02).max() == 1
    many, _ = flat_image(0)
    assert dichotomy.decode(many, max_splits=2).max() + 1 == 4
    assert dichotomy.decode(many, max_rounds=3).max() + 1 == 4
    assert dichotomy.decode(np.full((0, 7, 3), 0.0)).shape == (0, 7)
    for value in (0.5, np.nan, np.inf):
        assert dichotomy.decode(np.full((8, 8, 3), value)).max() == 0


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_two_means_is_as_good_as_scikit_learns(share):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(600, 3)) * 30
    points[: int(share * 600)] += [90, -40, 60]
    second = dichotomy.two_means(points, np.random.default_rng(1))
    spread = sum(np.square(p - p.mean(0)).sum() for p in (points[second], points[~second]))
    assert spread <= KMeans(2, n_init=3, random_state=0).fit(points).inertia_ * 1.001


def test_two_means_of_equal_points():
    assert not dichotomy.two_means(np.ones((30, 3)), np.random.default_rng(0)).any()
    one_apart = np.vstack([np.zeros((99, 3)), np.ones((1, 3))])
    second = dichotomy.two_means(one_apart, np.random.default_rng(0))
    assert min(second.sum(), (~second).sum()) == 1
