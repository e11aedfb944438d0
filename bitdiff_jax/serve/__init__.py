"""The page: an image onto it, regions out of it, in a browser.

`service.Service` is what the page can do, and `result_view.ResultView` one result that is being
looked at; both are plain Python. Only `layout`, `image_field` and `actions` import gradio; `server`
puts the page on a port, see `bitdiff serve`.
"""

from bitdiff_jax.serve.limits import Limits
from bitdiff_jax.serve.server import run
from bitdiff_jax.serve.service import Service

__all__ = ["Limits", "Service", "run"]
