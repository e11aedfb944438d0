"""The pictures of how_it_works.md, prompts.md and tiles.md: python docs/pictures.py [NAME ...]."""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bitdiff_jax import Segmenter
from bitdiff_jax.data import transforms
from bitdiff_jax.data.contact_sheet import contact_sheet
from bitdiff_jax.data.images import read_image
from bitdiff_jax.diffusion import Sampler, sample, schedules
from bitdiff_jax.encoding import BitEncoding
from bitdiff_jax.inference import drawing, entries, outputs, programs
from bitdiff_jax.inference import tiles as tiles_lib
from bitdiff_jax.scenes import SceneSource
from bitdiff_jax.target import Palette, valid_mask

FOLDER = pathlib.Path(__file__).parent / "pictures"
ENCODING = BitEncoding(6)
CELL = 192
# Points (row, column) of coffee.jpg in the saucer, and one outside of it.
CLICKS = (((200, 100), True), ((190, 210), False), ((300, 350), True))


def bits_as_colours(bits: np.ndarray) -> np.ndarray:
    """Analog bits [h, w, 6] -> uint8 [h, w, 3]: those of least weight in each coordinate of a cell
    would flicker between neighbours, so red, green and blue are bits 5, 4 and 2.
    """
    return np.rint((np.clip(bits[..., [5, 4, 2]], -1, 1) + 1) * 127.5).astype(np.uint8)


def code_colours(codes: np.ndarray) -> np.ndarray:
    """Codes [h, w] -> uint8 [h, w, 3], all six bits: two for each of red, green and blue."""
    levels = np.stack([codes >> 4 & 3, codes >> 2 & 3, codes & 3], -1)
    return np.where(codes[..., None] < 0, 24, 40 + 60 * levels).astype(np.uint8)


def enlarged(picture: np.ndarray, side: int = CELL) -> np.ndarray:
    """The picture with its pixels repeated, the longest side brought to `side`."""
    shape = transforms.resized_shape(*picture.shape[:2], side)
    return np.asarray(Image.fromarray(picture).resize(shape[::-1], Image.Resampling.NEAREST))


def scene_codes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, label map and codes of one procedural scene."""
    scene = SceneSource(level=1, size=64)[5]
    labels = jnp.asarray(scene["labels"][0], jnp.int32)
    assigned = Palette().assign(labels, jnp.ones(labels.shape, bool), ENCODING.num_codes, None)
    return scene["image"], np.asarray(scene["labels"][0]), np.asarray(assigned.codes)


def palette() -> np.ndarray:
    """The palette with its numbers; a scene; its label map; its codes."""
    gray = np.arange(8) ^ np.arange(8) >> 1
    table = gray[:, None] * 8 + gray[None]
    grid = Image.fromarray(enlarged(code_colours(table), 2 * CELL))
    draw, font = ImageDraw.Draw(grid), ImageFont.load_default(16)
    for (row, column), code in np.ndenumerate(table):
        place = (column * CELL // 4 + CELL // 8, row * CELL // 4 + CELL // 8)
        draw.text(place, str(code), fill="white", font=font, anchor="mm", stroke_width=1,
                  stroke_fill="black")  # fmt: skip
    image, labels, codes = scene_codes()
    shown = image, outputs.colours(labels + 1), code_colours(codes)
    row = [np.asarray(grid), *(enlarged(each, 2 * CELL) for each in shown)]
    return contact_sheet([row], cell=2 * CELL)


def schedule() -> np.ndarray:
    """x_t of one label map at some times, with two input scales."""
    x0 = ENCODING.encode(jnp.asarray(scene_codes()[2]))
    noise = jax.random.normal(jax.random.key(0), x0.shape)
    rows = []
    for input_scale in (1.0, 0.1):
        chosen = schedules.cosine(input_scale=input_scale)
        times = jnp.asarray([0, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1])
        noisy = [chosen.alpha(t) * x0 + chosen.sigma(t) * noise for t in times]
        rows.append([enlarged(bits_as_colours(np.asarray(each))) for each in noisy])
    return contact_sheet(rows, cell=CELL)


def sampling() -> np.ndarray:
    """x_t and the guessed x0 at each step of a drawing of coffee.jpg."""
    segmenter = Segmenter.from_pretrained("photos")
    image = read_image(entries.EXAMPLE_IMAGES / "coffee.jpg")
    model = segmenter.model
    params = segmenter._params  # the public way draws maps, and this shows what is on the way
    given, shown, size = drawing.prepare(
        drawing.Item("coffee", image), model, lambda *each: programs.encode(model, params, *each)
    )
    valid = valid_mask(jnp.asarray([size]), (model.image_size,) * 2)
    features = jnp.asarray(given["features"])[None]
    cond = model.encode_image(params, jnp.asarray(given["image"])[None], valid, features)
    key = jax.random.key(0)
    x0, trajectory = sample(
        lambda x_t, t, cond: model.apply(params, x_t, t, cond),
        jax.random.normal(key, (1, *valid.shape[1:], ENCODING.num_channels)),
        cond,
        Sampler(num_steps=8, guidance_weight=1.0, clip=True),
        schedule=model.schedule,
        keys=jax.random.split(key, 1),
        valid_mask=valid,
        return_trajectory=True,
    )
    height, width = size
    codes = np.asarray(ENCODING.decode(x0))[0, :height, :width]
    strips = [
        [enlarged(bits_as_colours(np.asarray(each[0])[:height, :width]), 128) for each in steps]
        for steps in (trajectory.x_t, trajectory.x0)
    ]
    rows = [
        [enlarged(shown, 128), *strips[0], enlarged(outputs.colours(codes + 1), 128)],
        [np.full_like(enlarged(shown, 128), 255), *strips[1], enlarged(code_colours(codes), 128)],
    ]
    return contact_sheet(rows, cell=128)


def tiles() -> np.ndarray:
    """A photograph, its map drawn at once, and drawn tile by tile, with the tiles' borders."""
    image = read_image(entries.EXAMPLE_IMAGES / "astronaut.jpg")
    segmenter = Segmenter.from_pretrained("photos")
    at_once = outputs.overlay(image, segmenter(image, 4, name="astronaut").label_map())
    shown = outputs.overlay(image, segmenter.tiled(image, 256, 4, name="astronaut"))
    for row in tiles_lib.tiles_of(image.shape[:2], 256):
        for tile in row:
            shown[tile.kept_rows.start, tile.kept_columns][::4] = 0
            shown[tile.kept_rows, tile.kept_columns.start][::4] = 0
    return contact_sheet([[image, at_once, shown]], cell=384)


def clicks() -> np.ndarray:
    """A photograph with its plain consensus, and the region of one click, of two, and of three."""
    image = read_image(entries.EXAMPLE_IMAGES / "coffee.jpg")
    segmenter = Segmenter.from_pretrained("photos")
    samples = segmenter(image, num_samples=16, temperature=1, guidance_weight=0, name="coffee")
    row = [outputs.overlay(image, samples.label_map())]
    for number in range(1, len(CLICKS) + 1):
        said = CLICKS[:number]
        inside = [place for place, is_inside in said if is_inside]
        outside = [place for place, is_inside in said if not is_inside]
        region = samples.region(inside, outside)
        shown = Image.fromarray(np.where(region[..., None], image, image // 4))
        draw = ImageDraw.Draw(shown)
        for (y, x), is_inside in said:
            draw.line((x - 9, y, x + 9, y), fill="white" if is_inside else "red", width=5)
            if is_inside:
                draw.line((x, y - 9, x, y + 9), fill="white", width=5)
        row.append(np.asarray(shown))
    return contact_sheet([row], cell=384)


PICTURES = {each.__name__: each for each in (palette, schedule, sampling, tiles, clicks)}


def main() -> None:
    """Writes the pictures that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER, metavar="DIR")
    args = parser.parse_args()
    if unknown := set(args.names) - PICTURES.keys():
        parser.error(f"there is no picture {min(unknown)}; there are {', '.join(PICTURES)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or PICTURES:
        outputs.save_png(args.out / f"{name}.png", PICTURES[name]())
        print(f"written: {args.out / name}.png")


if __name__ == "__main__":
    main()
