"""The field that an image is dropped onto."""

from typing import Any, NamedTuple

import gradio as gr


class Uploaded(NamedTuple):
    """A file that a visitor sent."""

    path: str
    name: str


def unopened(image: gr.Image) -> gr.Image:
    """Lets an image input open nothing: what was sent is looked at by `service.receive`.

    It takes files alone: the server fetches no address for a visitor. This is no subclass, because
    gradio writes a file beside each module that defines one.

    Args:
        image: an image input, which is changed.

    Returns:
        The same; functions that it is an input of get an `Uploaded`, or None.
    """
    move = image.async_move_resource_to_block_cache

    def preprocess(payload: Any) -> Uploaded | None:
        if payload is None or not payload.path:
            return None
        return Uploaded(payload.path, payload.orig_name or "image")

    async def move_file(place: Any) -> str | None:
        if str(place).lower().startswith(("http:", "https:")):
            raise gr.Error("Send the image itself, not its address.")
        return await move(place)

    image.preprocess = preprocess
    image.async_move_resource_to_block_cache = move_file
    return image
