"""Sources by name, for configs and the command line.

A spec is `KIND[:PATH][,key=value]...`:

    scenes,level=1,seed=1
    posterior,kind=mixed,seed=1,held_out=1
    folder:/data/bsds500,split=train,zero=region
    records:/data/coco128,split=train
    my_package.my_data:open_cells,split=train

KIND is `scenes`, `posterior`, or one of `bitdiff_jax.data.readers.READERS`, a set of pictures in
the form in which it is shipped or prepared; a reader's options are the keyword arguments of its
class. `package.module:function` in their place is an own source, see `own_source`. PATH may be
whatever `etils.epath` opens; with a comma or semicolon in it, it stands in double quotes, and `~`
at its beginning is the home folder (see `spec_text`). Several specs are joined by ';', each with an
optional `weight=`: pictures are drawn set by set in these proportions, however many pictures a set
holds.
"""

from typing import TYPE_CHECKING, Any

from bitdiff_jax import extensions
from bitdiff_jax.data import file_names, own_source, readers, spec_text
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.data.spec_text import Spec
from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.scenes import PosteriorSource, SceneSource

if TYPE_CHECKING:
    from bitdiff_jax.data.records.feature_cache import Key

# The numbers among the options of each kind.
_SCENES = ("level", "seed", "length", "size")
_POSTERIOR = ("seed", "length", "size", "held_out")


def open_sources(
    text: str, *, image_size: int, keep_scale: int = 2, features: "Key | None" = None
) -> tuple[dict[str, Source], dict[str, float]]:
    """Opens all the sources of a spec.

    Args:
        text: one or more specs joined by ';'.
        image_size: S of the network. Scenes are drawn at it.
        keep_scale: what a reader gives is kept in memory (`Resident`) at this multiple of S, where
            2 leaves a crop of half the picture as sharp as it was; 0 keeps them as they are.
        features: items come with the features that were computed under this key.

    Returns:
        Sources and weights by name; the name is the spec without its weight.

    Raises:
        InputError: an empty or malformed spec, an unknown kind or key, or what the source says.
    """
    sources: dict[str, Source] = {}
    weights: dict[str, float] = {}
    for spec in spec_text.parse(text):
        options = dict(sorted(spec.options.items()))
        weight = _number(spec.text, "weight", options.pop("weight", "1"), float)
        name = file_names.as_text(spec_text.write(spec.kind, spec.path, options))
        if name in sources:
            raise InputError(f"data: {spec.text!r} is there twice; give it one larger weight")
        source, is_drawn = _open(spec, options, image_size)
        resident = source if is_drawn else Resident(source, image_size * keep_scale or None)
        sources[name] = _with_features(resident, source, features, spec)
        weights[name] = weight
    if not sources:
        raise InputError("data: no source is given; say folder:DIR or scenes,level=1")
    return sources, weights


def open_source(text: str, *, image_size: int, features: "Key | None" = None) -> Source:
    """Opens one source, a reader's pictures at their own size; for evaluation.

    Args:
        text: one spec.
        image_size: side of procedural scenes.
        features: as `open_sources`.
    """
    found = spec_text.parse(text)
    if len(found) != 1:
        raise InputError(f"data: {text!r} names {len(found)} sources; name one")
    source = _open(found[0], dict(found[0].options), image_size)[0]
    return _with_features(source, source, features, found[0])


def _with_features(kept: Source, source: Source, features: "Key | None", spec: Spec) -> Source:
    if features is None:
        return kept
    from bitdiff_jax.data.records.feature_cache import FeatureSource
    from bitdiff_jax.data.records.record_source import RecordSource

    if not isinstance(source, RecordSource):
        raise InputError(
            f"data: {spec.text!r} has no features of {features.encoder}, which only prepared "
            "records can have; write both by `bitdiff prepare ... --encoder "
            f"{features.encoder}`, or say --config.data.features=step"
        )
    return FeatureSource(kept, source, features)


def _open(spec: Spec, options: dict[str, str], image_size: int) -> tuple[Source, bool]:
    """The source, and whether it draws its pictures rather than reading them."""
    text = spec.text
    source: Source

    def numbers(*keys: str) -> dict[str, Any]:
        given = {key: _number(text, key, options.pop(key), int) for key in keys if key in options}
        return {"size": image_size, **given}

    reference = f"{spec.kind}:{spec.path}"
    if spec.kind not in readers.READERS and extensions.is_reference(reference):
        try:
            return own_source.open_own(reference, options, text), True
        except InputError as error:
            raise InputError(f"{error}{_similar_kind(spec.kind)}") from error
    if spec.kind == "scenes":
        readers.check_options(spec.kind, options, _SCENES)
        source = SceneSource(**numbers(*_SCENES))
    elif spec.kind == "posterior":
        readers.check_options(spec.kind, options, ("kind", *_POSTERIOR))
        source = PosteriorSource(options.pop("kind", "mixed"), **numbers(*_POSTERIOR))
    else:
        return _open_reader(spec, options), False
    return source, True


def _open_reader(spec: Spec, options: dict[str, str]) -> Source:
    text = spec.text
    if spec.kind not in readers.READERS:
        known = ", ".join(readers.READERS)
        raise InputError(
            f"data: unknown kind {spec.kind!r} in {text!r}; use scenes, posterior, KIND:DIR with "
            f"one of {known}, or package.module:function"
            f"{_similar_kind(spec.kind)}"
        )
    if not spec.path:
        raise InputError(f"data: {text!r} names no folder; say {spec.kind}:DIR")
    return readers.make(spec.kind, spec.path, options.pop("split", None), **options)


def _similar_kind(kind: str) -> str:
    return did_you_mean(kind, ("scenes", "posterior", *readers.READERS))


def _number(text: str, key: str, value: str, kind: type) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"data: {key}={value} in {text!r} is not a number") from None
