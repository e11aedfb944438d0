"""The page's texts and pictures as HTML, its style and its scripts."""

import html
import importlib.resources
from collections.abc import Sequence

import numpy as np

from bitdiff_jax.data import images, transforms
from bitdiff_jax.serve import data_uris
from bitdiff_jax.serve.service import Service

_ASSETS = importlib.resources.files(__package__).joinpath("assets")
_EXAMPLE_SIDE = 128  # pixels


def asset(name: str) -> str:
    """The text of a file of this package: a script, a style, a template."""
    return _ASSETS.joinpath(name).read_text("utf-8")


def css() -> str:
    """The style of the whole page."""
    return asset("page.css") + asset("viewer.css")


def status(text: str, *, is_error: bool = False, notes: Sequence[str] = ()) -> str:
    """What the page says above the image.

    Args:
        text: a sentence.
        is_error: something cannot be done, and the sentence says why.
        notes: sentences that stand below it.
    """
    lines = f"<p>{html.escape(text)}</p>" + "".join(
        f'<p class="bd-note">{html.escape(each)}</p>' for each in notes
    )
    kind, role = (" bd-error", "alert") if is_error else ("", "status")
    return f'<div class="bd-status{kind}" role="{role}">{lines}</div>'


def head(serving: Service) -> str:
    """The title, what the page is, and the switch between dark and light."""
    segmenter = serving.segmenter
    about = (
        "Draws whole segmentations, several of them, and says where they differ. An image is kept "
        f"for {serving.limits.keep_text}."
    )
    if segmenter.trained_on:
        about += f" Trained on {segmenter.trained_on}."
    if segmenter.licence:
        about += f" Terms of use: {segmenter.licence}."
    return (
        f'<div class="bd-head"><h1>bitdiff</h1><p>{html.escape(about)}</p>'
        '<button type="button" aria-label="dark or light">dark / light</button></div>'
    )


def examples(serving: Service) -> str:
    """The images that come with the package, as buttons."""
    buttons = []
    for name, path in serving.examples.items():
        picture = data_uris.jpeg(_shrunk(images.read_image(path)))
        safe = html.escape(name, quote=True)
        buttons.append(
            f'<button type="button" data-name="{safe}"><img src="{picture}" alt="{safe}"></button>'
        )
    return (
        '<div class="bd-examples" role="group" aria-label="Examples" '
        f'data-max-bytes="{serving.limits.max_bytes}">{"".join(buttons)}</div>'
    )


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return transforms.resize_image(image, transforms.resized_shape(height, width, _EXAMPLE_SIDE))
