import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import encoding as encoding_lib
from bitdiff_jax.encoding import interface


def channels(name, k):
    return {"bits": k, "onehot": 2**k, "rgb": 3}[name.partition("_")[0]]


@pytest.mark.slow
@pytest.mark.parametrize("name", interface.NAMES)
def test_what_every_encoding_promises(name):
    encoding = encoding_lib.make(name, 4)
    assert encoding.num_codes == (121 if name.startswith("rgb") else 16)
    assert encoding.num_channels == channels(name, 4)
    codes = np.random.default_rng(0).integers(-1, encoding.num_codes, (2, 5, 7))

    @jax.jit
    def there_and_back(codes):
        x0 = encoding.encode(codes)
        return x0, encoding.decode(x0), encoding.certainty(x0)

    x0, back, certainty = there_and_back(codes)
    assert x0.shape == (2, 5, 7, encoding.num_channels) and x0.dtype == jnp.float32
    assert back.dtype == jnp.int32 and certainty.dtype == jnp.float32
    coded = codes >= 0
    np.testing.assert_array_equal(np.asarray(back)[coded], codes[coded])
    np.testing.assert_allclose(np.asarray(certainty)[coded], 1, atol=1e-5)
    assert ((np.asarray(certainty) > 0) & (np.asarray(certainty) <= 1 + 1e-6)).all()
    np.testing.assert_array_equal(np.asarray(x0)[~coded], encoding.pad_value)
    if name != "rgb_as_released":
        low, high = encoding.clip_range
        assert low - 1e-6 <= x0.min() and x0.max() <= high + 1e-6
    for one, row in zip(codes, jax.vmap(encoding.encode)(codes), strict=True):
        np.testing.assert_array_equal(encoding.encode(one), row)
    half = encoding.certainty(x0.astype(jnp.bfloat16))  # as a network might hand it over
    assert half.dtype == jnp.float32


@pytest.mark.parametrize("name", interface.NAMES)
def test_encodings_are_values(name):
    first, again = interface.make(name, 4), interface.make(name, 4)
    assert first == again and hash(first) == hash(again)
    others = [interface.make(other, 4) for other in interface.NAMES if other != name]
    assert first not in others
    assert first.activation in ("tanh", "standardised_softmax", "none")


@pytest.mark.parametrize(
    ("name", "num_bits", "message"),
    [
        ("gray", 6, "encoding must be one of bits, .*'gray'"),
        ("bits", 0, r"\[1, 30\] for 'bits', got 0"),
        ("bits", 31, r"\[1, 30\]"),
        ("onehot", 11, r"\[1, 10\] for 'onehot'"),
        ("onehot_as_released", 0, r"\[1, 10\]"),
    ],
)
def test_misuse_is_named(name, num_bits, message):
    with pytest.raises(ValueError, match=message):
        interface.make(name, num_bits)
