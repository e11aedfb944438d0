import urllib.parse

import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import links
from bitdiff_jax.serve.limits import Limits
from bitdiff_jax.serve.links import Settings

LIMITS = Limits(max_samples=16)


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(16, 2**32 - 1, "faithful", 0.5), Settings(1, 3, None, 0.0)]
)
def test_a_link_says_what_it_was_made_of(settings):
    fields = dict(urllib.parse.parse_qsl(links.query("a-key_1", settings)[1:]))
    assert links.parse(fields, LIMITS) == ("a-key_1", settings)


def test_an_address_without_an_image_is_no_link():
    assert links.parse({"seed": "3"}, LIMITS) is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"seed": "x"}, "the link's seed is 'x'"),
        ({"seed": "-1"}, "seed is -1"),
        ({"num_samples": "17"}, "num_samples is 17; it must be from 1 to 16"),
        ({"num_samples": "0"}, "num_samples is 0"),
        ({"preset": "best"}, "preset is 'best'; use 'accurate' or 'faithful'"),
        ({"temperature": "nan"}, "temperature is nan"),
        ({"temperature": "3"}, "temperature is 3.0; it must be from 0 to 2"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(fields, says):
    with pytest.raises(InputError) as caught:
        links.parse({"image": "k", **fields}, LIMITS)
    assert says in str(caught.value)
