"""The site: sphinx-build -c docs . site (see CONTRIBUTING.md).

The source is the whole repository, so that pages stay where they are and link to each other as
they do on a code host.
"""

import importlib
import os
import pathlib
import re
import shutil

import bitdiff_jax

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Rooms whose public names get a page; those that an application has no use for are left out.
ROOMS = (
    "bitdiff_jax", "bitdiff_jax.inference", "bitdiff_jax.posterior", "bitdiff_jax.diffusion",
    "bitdiff_jax.encoding", "bitdiff_jax.metrics", "bitdiff_jax.model", "bitdiff_jax.nets",
    "bitdiff_jax.data", "bitdiff_jax.scenes", "bitdiff_jax.training", "bitdiff_jax.evaluation",
    "bitdiff_jax.export", "bitdiff_jax.checkpoint", "bitdiff_jax.weights_files",
)  # fmt: skip

project = "bitdiff_jax"
author = "the authors of bitdiff_jax"
release = bitdiff_jax.__version__
root_doc = "docs/index"
include_patterns = [
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**", "launch/*.md",
    "bitdiff_jax/weights/*.md", "bitdiff_jax/example_images/*.md", "tests/golden/README.md",
]  # fmt: skip
exclude_patterns = [".*", "build", "dist", "site"]  # environments and outputs, not walked

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
# The tests run the notebooks. NB_EXECUTION_MODE=auto runs them here too, and shows what they print.
nb_execution_mode = os.environ.get("NB_EXECUTION_MODE", "off")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "dollarmath"]
source_suffix = {".md": "myst-nb"}
suppress_warnings = [
    "myst.header",  # a page that begins below its first level
    "toc.not_included",  # pages that are found by links alone
    "docutils",  # docstrings are no reStructuredText, and rarely look like it
    "ref.python",  # nor is a dimension of an array, [num_codes, 3], a reference
    "misc.highlighting_failure",  # JSON with dots for what is left out
    "myst.xref_missing",  # links to folders; tests/test_links.py looks after all links
]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_mock_imports = ["gradio", "napari"]

html_theme = "furo"
html_title = f"bitdiff_jax {release}"


def _write_reference(_app: object) -> None:
    """A page of each room's public names, made anew; docs/reference is not kept in git."""
    folder = ROOT / "docs" / "reference"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shown: list[object] = []
    for room in ROOMS:
        module = importlib.import_module(room)
        names = [n for n in getattr(module, "__all__", ()) if callable(getattr(module, n))]
        names = names or [n for n in vars(module) if _is_own(module, n)]
        lines = [f"# {room}", "", "```{eval-rst}", f".. automodule:: {room}", ""]
        for name in names:
            kind = "autoclass" if isinstance(getattr(module, name), type) else "autofunction"
            lines += [f".. {kind}:: {room}.{name}"]
            lines += ["   :members:", "   :no-undoc-members:"] if kind == "autoclass" else []
            # A name may be in two rooms, and is told in both.
            lines += (
                ["   :no-index:"] if any(getattr(module, name) is each for each in shown) else []
            )
            shown.append(getattr(module, name))
            lines += [""]
        (folder / f"{room}.md").write_text("\n".join([*lines, "```", ""]))
    pages = "\n".join(ROOMS)
    (folder / "index.md").write_text(
        f"# Reference\n\nFrom the docstrings; [the stated API](../api.md) says what is stable.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{pages}\n```\n"
    )


def _as_rst(_app: object, _what: str, _name: str, _obj: object, _opt: object, lines: list) -> None:
    """Docstrings have `code` in single quotes, which means another thing to Sphinx."""
    for i, line in enumerate(lines):
        if line.lstrip().startswith(">>>"):
            continue
        parts = re.split(r"(`+[^`]*`+)", line)
        parts[1::2] = [f"``{part.strip('`')}``" for part in parts[1::2]]
        # What is no code may still look like markup: |S|, x ** 2.
        parts[::2] = [re.sub(r"(?<!\\)[|*]", r"\\\g<0>", part) for part in parts[::2]]
        lines[i] = "".join(parts)


def _is_own(module: object, name: str) -> bool:
    found = getattr(module, name)
    own = getattr(found, "__module__", None) == getattr(module, "__name__", "")
    return own and callable(found) and not name.startswith("_")


def _open_at_the_index(app: object, error: Exception | None) -> None:
    """The site's first page for who opens its folder."""
    if error is None:
        page = '<meta http-equiv="refresh" content="0; url=docs/index.html">\n'
        pathlib.Path(app.outdir, "index.html").write_text(page)  # type: ignore[attr-defined]


def setup(app: object) -> None:
    """Connects these to Sphinx."""
    app.connect("autodoc-process-docstring", _as_rst, priority=100)  # type: ignore[attr-defined]
    app.connect("builder-inited", _write_reference)  # type: ignore[attr-defined]
    app.connect("build-finished", _open_at_the_index)  # type: ignore[attr-defined]
