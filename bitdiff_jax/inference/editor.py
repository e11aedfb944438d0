"""A segmentation that is edited by hand: each edit is imposed, and the rest is drawn anew.

`Segmenter.open` makes an `Editor`. Edits speak of the regions of its current `label_map`. What they
say of pixels is kept and imposed on all later draws, until it is undone or edited again, and what
they say of points until it is undone; all other pixels are drawn to go with it, from the same
noise, so that what is not concerned stays.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from numpy.typing import ArrayLike

from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import edit_history, edit_masks
from bitdiff_jax.inference.canvas import Canvas
from bitdiff_jax.inference.imposed import Constraints
from bitdiff_jax.inference.request import Request, check_integer
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.posterior import points

# Of the distance from the scribble to the farthest pixel of its region: pixels beyond are held to
# be another region, and where the border runs between the two is drawn.
_FAR = 0.5
Point = tuple[int, int]  # (row, column)
_EDITS = ("merge", "split", "paint", "same", "different", "redraw")  # those that draw


class _State(NamedTuple):
    """What an edit has led to."""

    edit: Mapping[str, Any]  # as it is saved; empty for the first
    keep: np.ndarray  # int32 [h, w], -1 = free
    pairs: Constraints  # of points, and how closely all is followed; without `keep`
    seed: int
    segmentation: Segmentation


class Editor:
    """One image and the edits of its segmentation.

    Each edit returns the new label map. An edit that is refused changes nothing.

    Example:
        editor = segmenter.open("photo.jpg")
        editor.merge(2, 5)
        editor.split(1, scribble)  # bool [h, w], or points [n, 2] of a line
        editor.different((20, 30), (25, 80))
        editor.undo()
        editor.save("photo_edits.json")
        again = segmenter.replay("photo.jpg", "photo_edits.json")
    """

    def __init__(
        self,
        canvas: Canvas,
        sampler: Sampler,
        request: Request,
        settings: Mapping[str, Any],
        prompt_weight: float = 1.0,
    ):
        """An editor of free samples; `Segmenter.open` makes one.

        Args:
            canvas: of the image.
            sampler: how maps are drawn.
            request: what is drawn; each draw has its seed, but for those after `redraw`.
            settings: arguments of `Segmenter.open` that say the same, as they are saved.
            prompt_weight: see `Constraints`.
        """
        self._canvas = canvas
        self._sampler = sampler
        self._request = request
        self._settings = dict(settings)
        free = np.full(canvas.shape, -1, np.int32)
        first = canvas.draw(sampler, request)
        pairs = Constraints(prompt_weight=prompt_weight)
        self._done = [_State({}, free, pairs, request.seed, first)]
        self._undone: list[_State] = []

    @property
    def segmentation(self) -> Segmentation:
        """What was drawn last."""
        return self._done[-1].segmentation

    @property
    def label_map(self) -> np.ndarray:
        """int32 [h, w], the regions that edits speak of; see `Segmentation.label_map`."""
        return self.segmentation.label_map()

    @property
    def keep(self) -> np.ndarray:
        """int32 [h, w], what is imposed: pixels of one id lie in one region, -1 = free."""
        return self._done[-1].keep.copy()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The edits that are in force, in their order, as `save` writes them."""
        return [dict(state.edit) for state in self._done[1:]]

    def merge(self, a: int, b: int) -> np.ndarray:
        """Makes two regions one.

        Args:
            a: id of a region of `label_map`.
            b: id of another.

        Raises:
            InputError: there is no such region, or both are the same.
        """
        first, second = self._region(a, "a"), self._region(b, "b")
        if a == b:
            raise InputError(f"a and b are both region {a}; name two regions")
        keep = self.keep
        background = self.segmentation.has_background and 0 in (a, b)
        keep[first | second] = 0 if background else self._new_id()
        return self._do({"edit": "merge", "a": int(a), "b": int(b)}, keep)

    def split(self, region: int, scribble: ArrayLike) -> np.ndarray:
        """Parts a region in two: that of a scribble, and that of the pixels far from it.

        Pixels farther from the scribble than half of the distance of the farthest one are the other
        region; where the border runs in between is drawn.

        Args:
            region: id of a region of `label_map`.
            scribble: bool [h, w], or integers [n, 2], the points (row, column) of a line. What lies
                outside of the region is not looked at.

        Raises:
            InputError: there is no such region, or nothing of it is under the scribble, or nothing
                beside it.
        """
        inside = self._region(region, "region")
        marked = edit_masks.as_mask(scribble, inside.shape, "scribble")
        near = marked & inside
        if not near.any():
            raise InputError(
                f"scribble: has no pixel in region {region}; draw it over the part that is to be a "
                "region of its own"
            )
        far = edit_masks.far_from(near, inside, _FAR)
        if not far.any():
            raise InputError(
                f"scribble: covers all of region {region}, and leaves nothing to part from it; "
                "draw it over one part"
            )
        keep, new = self.keep, self._new_id()
        keep[inside] = -1
        keep[near] = new
        keep[far] = 0 if self.segmentation.has_background and region == 0 else new + 1
        runs = edit_masks.runs(marked)
        return self._do({"edit": "split", "region": int(region), "scribble": runs}, keep)

    def paint(self, mask: ArrayLike, region: int | None = None) -> np.ndarray:
        """Makes the pixels of a mask one region, or part of one.

        Args:
            mask: bool [h, w], or integers [n, 2], the points (row, column) of a line.
            region: id of the region of `label_map` that the pixels are added to, which is held as
                it is; None for a new one.

        Raises:
            InputError: the mask is empty or of another shape, or there is no such region.
        """
        painted = edit_masks.as_mask(mask, self._canvas.shape, "mask")
        keep, new = self.keep, self._new_id()
        if region is not None:
            inside = self._region(region, "region")
            if self.segmentation.has_background and region == 0:
                new = 0
            keep[inside] = new
        keep[painted] = new
        into = None if region is None else int(region)
        edit = {"edit": "paint", "mask": edit_masks.runs(painted), "region": into}
        return self._do(edit, keep)

    def same(self, p: ArrayLike, q: ArrayLike) -> np.ndarray:
        """Holds two points in one region, and says nothing of the pixels around them.

        Args:
            p: (row, column).
            q: another point.

        Raises:
            InputError: a point is none or lies outside of the image, both are the same, or other
                edits hold the two apart.
        """
        pair = self._pair("same", p, q)
        return self._tell("same", pair, Constraints(same=[pair]))

    def different(self, p: ArrayLike, q: ArrayLike) -> np.ndarray:
        """Holds two points in two regions.

        Args:
            p: (row, column).
            q: another point.

        Raises:
            InputError: as `same`, or other edits hold the two together, or the network draws both
                as one pixel.
        """
        pair = self._pair("different", p, q)
        return self._tell("different", pair, Constraints(different=[pair]))

    def redraw(self, seed: int | None = None) -> np.ndarray:
        """Draws all that is free from other noise, which later edits keep.

        Args:
            seed: in [0, 2^32); None for the next one.

        Raises:
            InputError: the seed is out of its range.
        """
        chosen = (self._done[-1].seed + 1) % 2**32 if seed is None else seed
        check_integer("seed", chosen, 0, 2**32 - 1)
        return self._do({"edit": "redraw", "seed": int(chosen)}, seed=int(chosen))

    def undo(self) -> np.ndarray:
        """Takes the last edit back.

        Raises:
            InputError: there is none.
        """
        if len(self._done) == 1:
            raise InputError("undo: there is no edit to take back; nothing was edited yet")
        self._undone.append(self._done.pop())
        return self.label_map

    def redo(self) -> np.ndarray:
        """Does again what was taken back last.

        Raises:
            InputError: nothing was taken back since the last edit.
        """
        if not self._undone:
            raise InputError("redo: no edit was taken back since the last one; undo first")
        self._done.append(self._undone.pop())
        return self.label_map

    def save(self, path: epath.PathLike) -> None:
        """Writes the edits in force as JSON, which `Segmenter.replay` does again.

        Raises:
            InputError: the file cannot be written.
        """
        edit_history.write(
            path,
            {
                "image_sha256": edit_history.digest(self._canvas.image),
                "name": self._canvas.name,
                "settings": self._settings,
                "edits": self.history,
            },
        )

    def apply(self, edit: Mapping[str, Any]) -> np.ndarray:
        """Does an edit as `history` has it.

        Raises:
            InputError: it is none, or see the method of its name.
        """
        if not isinstance(edit, Mapping):
            raise InputError(f"edit is {points.brief(edit)}; give a mapping as `history` has them")
        told = dict(edit)
        kind = told.pop("edit", None)
        if kind not in _EDITS:
            raise InputError(f"edit is {kind!r}; use {', '.join(_EDITS[:-1])} or {_EDITS[-1]}")
        for name in ("scribble", "mask"):
            if name in told:
                told[name] = edit_masks.of_runs(told[name], self._canvas.shape)
        try:
            found: np.ndarray = getattr(self, kind)(**told)
        except TypeError as error:
            raise InputError(f"edit {kind}: {error}; give it as `history` does") from None
        return found

    def _pair(self, name: str, p: ArrayLike, q: ArrayLike) -> tuple[Point, Point]:
        first, second = (edit_masks.as_point(each, self._canvas.shape, name) for each in (p, q))
        if first == second:
            raise InputError(f"{name}: p and q are both {first}; name two points")
        return first, second

    def _tell(self, name: str, pair: tuple[Point, Point], told: Constraints) -> np.ndarray:
        pairs = self._done[-1].pairs.together_with(told)
        return self._do({"edit": name, "p": list(pair[0]), "q": list(pair[1])}, pairs=pairs)

    def _do(
        self,
        edit: Mapping[str, Any],
        keep: np.ndarray | None = None,
        *,
        pairs: Constraints | None = None,
        seed: int | None = None,
    ) -> np.ndarray:
        """Draws with what an edit changes; all else is as before."""
        now = self._done[-1]
        keep = now.keep if keep is None else keep
        pairs = now.pairs if pairs is None else pairs
        seed = now.seed if seed is None else seed
        known = dataclasses.replace(pairs, keep=keep if (keep >= 0).any() else None)
        drawn = self._canvas.draw(self._sampler, self._request.with_seed(seed), known)
        self._done.append(_State(edit, keep, pairs, seed, drawn))
        self._undone.clear()
        return self.label_map

    def _region(self, region: int, name: str) -> np.ndarray:
        """The pixels of a region, bool [h, w]."""
        check_integer(name, region, 0)
        found = self.label_map == region
        if not found.any():
            raise InputError(f"{name} is {region}; the regions are {_listed(self.label_map)}")
        return found

    def _new_id(self) -> int:
        return 1 + max(0, int(self._done[-1].keep.max()))


def _listed(label_map: np.ndarray) -> str:
    return f"{label_map.min()} to {label_map.max()}"
