"""How an encoder is made by its name."""

import dataclasses

import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import encoders
from bitdiff_jax.nets.encoders.mobile_sam import MobileSam


@dataclasses.dataclass(frozen=True)
class Own:
    image_size: int = 32
    widths: tuple = (1,)
    name = "own"
    stride = 8
    channels = 3

    def init(self, key):
        return {}

    def apply(self, params, image, size):
        return image[:, ::8, ::8].astype("float32")


OWN = f"{__name__}:Own"


class Unfinished:
    pass


def test_every_name_makes_an_encoder_that_is_a_value():
    for name in encoders.NAMES:
        made = encoders.make(name)
        assert made == encoders.make(name) and hash(made) == hash(encoders.make(name))
        assert made.name == name and made.image_size % made.stride == 0
    assert encoders.make("mobile_sam", image_size=512) == MobileSam(512) != MobileSam()


def test_a_reference_makes_ones_own_with_its_options():
    assert encoders.make(OWN, image_size=16, options={"widths": [2, 3]}) == Own(16, (2, 3))
    assert encoders.make(OWN).image_size == 32


@pytest.mark.parametrize(
    ("name", "keywords", "says"),
    [
        ("mobilesam", {}, "encoder is 'mobilesam'; use one of mobile_sam, .*did you mean mobile_s"),
        ("tests.no_such:Net", {}, "there is no module 'tests.no_such'"),
        (OWN, {"options": {"depth": 3}}, "cannot be made with depth: .*unexpected keyword"),
        (OWN, {"image_size": 12}, "image_size is 12; give a multiple of its stride, 8"),
        (OWN, {"image_size": 8, "options": {"image_size": 8}}, "has 'image_size', which is a key"),
        (f"{__name__}:Unfinished", {}, "makes a Unfinished without `name`"),
    ],
)
def test_one_line_says_what_is_wrong(name, keywords, says):
    with pytest.raises(InputError, match=says) as error:
        encoders.make(name, **keywords)
    assert "\n" not in str(error.value)
