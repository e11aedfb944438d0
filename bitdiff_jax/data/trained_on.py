"""The kind of images that a model was trained on, in words, from the data itself."""

from collections.abc import Mapping

from bitdiff_jax.data import spec_text
from bitdiff_jax.data.pipeline import Source

_SCENES = {
    "0": "procedural scenes of flat shapes (level 0)",
    "1": "procedural scenes of textured shapes (level 1)",
    "2": "procedural scenes of a small world (level 2)",
    "3": "procedural scenes of a small world, hard ones (level 3)",
}
# Data sets whose kind is their name; of the other kinds it is the folder's name that tells.
_NAMES = {
    "entityseg": "EntitySeg",
    "bsds500": "BSDS500",
    "ade20k": "ADE20K",
    "cityscapes": "Cityscapes",
    "voc": "PASCAL VOC",
}


def in_words(sources: Mapping[str, Source]) -> str:
    """'folder nuclei, split train (40 images)' and the like, joined by ' and '.

    Args:
        sources: by their specs, as `bitdiff_jax.data.specs.open_sources` gives them.
    """
    return " and ".join(_one(key, source) for key, source in sources.items())


def _one(key: str, source: Source) -> str:
    (spec,) = spec_text.parse(key)
    kind, path, options = spec.kind, spec.path, spec.options
    if kind == "scenes":
        return _SCENES.get(options.get("level", "1"), "procedural scenes")
    if kind == "posterior":
        return f"procedural scenes with known posteriors (kind {options.get('kind', 'mixed')})"
    folder = path.rstrip("/").rpartition("/")[2]
    name = _NAMES.get(kind) or f"{kind} {folder}".rstrip()
    split = f", split {options['split']}" if "split" in options else ""
    return f"{name}{split} ({_count(source)})"


def _count(source: Source) -> str:
    return f"{len(source):,} image{'' if len(source) == 1 else 's'}"
