import base64
import io

import numpy as np
from PIL import Image

from bitdiff_jax.serve import data_uris


def read(uri, form):
    head, data = uri.split(",", 1)
    assert head == f"data:image/{form};base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image).astype(np.int64)


def test_ids_come_back():
    label_map = np.array([[0, 1, 255], [256, 70_000, 2**24 - 1]], np.int32)
    bands = read(data_uris.ids(label_map), "png")
    np.testing.assert_array_equal(bands @ [1, 256, 65536], label_map)


def test_grey_is_kept_and_photographs_nearly():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(read(data_uris.png(grey), "png"), grey)
    flat = np.full((16, 16, 3), (200, 90, 30), np.uint8)
    assert np.abs(read(data_uris.jpeg(flat), "jpeg") - flat).max() <= 3
