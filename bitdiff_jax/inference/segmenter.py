"""The segmenter: pictures in, what a trained model draws of them out."""

import collections
import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from numpy.typing import ArrayLike

from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.diffusion import presets
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import (
    drawing,
    edit_history,
    given_maps,
    image_input,
    image_windows,
    loading,
    placement,
    specks,
    tiles,
    upsampling,
)
from bitdiff_jax.inference.canvas import Canvas, segmentation_of
from bitdiff_jax.inference.editor import Editor
from bitdiff_jax.inference.imposed import Constraints
from bitdiff_jax.inference.likelihood import LogProb
from bitdiff_jax.inference.request import Request, check_integer
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.inference.surprise import Surprise
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.posterior import Posterior
from bitdiff_jax.posterior import likeness as likeness_lib
from bitdiff_jax.posterior.constraints import Pairs
from bitdiff_jax.posterior.likeness import Likeness

_BATCH_SIZE = 8
_SAMPLER = Sampler()
_LOGGER = logging.getLogger(__name__)


class Segmenter:
    """Draws label maps of pictures.

    All randomness of a map comes from (seed, name of the picture, number of the sample), so a
    picture gets the same maps alone, among others, and on any number of devices, and those that
    the evaluation draws for it. (Beyond rounding: kernels for other batch sizes may add up in
    another order, and a bit that close to 0 may fall to either side.)

    A program is compiled for each (rows drawn at once, sampler but for its weight); pictures of any
    size share it, and so do other segmenters of an equal model. `compilation_cache.enable()` keeps
    programs on disk.

    Attributes:
        model: the model.
        sampler: how maps are drawn unless a call says otherwise.
        trained_on: the kind of pictures that the model was trained on, in words.
        step: training steps that the parameters have seen.
        licence: terms of use that come from the training data, in one line; '' if none are known.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        *,
        sampler: Sampler = _SAMPLER,
        trained_on: str = "",
        step: int | None = None,
        licence: str = "",
        devices: Sequence[jax.Device] | None = None,
        on_compile: Callable[[], None] | None = None,
    ):
        """A segmenter of a model at hand.

        Args:
            model: the model.
            params: its parameters.
            sampler: how maps are drawn unless a call says otherwise.
            trained_on: the kind of pictures that the model was trained on, in words.
            step: training steps that the parameters have seen.
            licence: terms of use that come from the training data, in one line.
            devices: over which the rows of a batch are split; all local ones by default.
            on_compile: called, from another thread, when a program has been compiling for a few
                seconds; not for one that comes from the cache.
        """
        self.model = model
        self.sampler = sampler
        self.trained_on = trained_on
        self.step = step
        self.licence = licence
        self._on_compile = on_compile
        devices = jax.local_devices() if devices is None else devices
        self._mesh = mesh_lib.make_mesh(devices=list(devices))
        self._params = placement.placed(model, params, self._mesh)

    @classmethod
    def from_pretrained(
        cls,
        weights: epath.PathLike,
        *,
        param_set: str | None = None,
        model: Model | None = None,
        devices: Sequence[jax.Device] | None = None,
        on_compile: Callable[[], None] | None = None,
    ) -> "Segmenter":
        """The segmenter of a trained model, drawing as its config says.

        If terms of use come from the training data, the logger `bitdiff_jax.inference.segmenter`
        warns of them in one line, once in a process.

        Args:
            weights: the name of a model that comes with the package, such as 'photos', the
                --workdir of a training, a folder or file of `bitdiff pack`, or a Hugging Face
                repository 'OWNER/NAME[@REVISION]'.
            param_set: see `inference.load`.
            model: the model that was trained, if it was given in Python rather than by a config.
            devices: see `__init__`.
            on_compile: see `__init__`.

        Raises:
            InputError: see `inference.load`; or a setting of its config's `sampling` that does not
                exist.
        """
        loaded = loading.load(weights, param_set, model=model)
        _tell_once(loaded.notice(weights))
        return cls.from_loaded(loaded, devices=devices, on_compile=on_compile)

    @classmethod
    def from_checkpoint(
        cls,
        workdir: epath.PathLike,
        *,
        param_set: str | None = None,
        model: Model | None = None,
        devices: Sequence[jax.Device] | None = None,
        on_compile: Callable[[], None] | None = None,
    ) -> "Segmenter":
        """The segmenter of a training's last checkpoint, drawing as its config says.

        Terms of use are logged as by `from_pretrained`: a training that was started from other
        weights has theirs.

        Args:
            workdir: the --workdir of the training.
            param_set: see `inference.load`.
            model: the model that was trained, if it was given in Python rather than by a config.
            devices: see `__init__`.
            on_compile: see `__init__`.

        Raises:
            InputError: see `inference.load`; or a setting of its config's `sampling` that does not
                exist.
        """
        loaded = loading.load_checkpoint(workdir, param_set, model=model)
        _tell_once(loaded.notice(workdir))
        return cls.from_loaded(loaded, devices=devices, on_compile=on_compile)

    @classmethod
    def from_loaded(
        cls,
        loaded: loading.Loaded,
        *,
        devices: Sequence[jax.Device] | None = None,
        on_compile: Callable[[], None] | None = None,
    ) -> "Segmenter":
        """The segmenter of a model that `inference.load` loaded, drawing as its config says.

        Args:
            loaded: the model and what is known of it.
            devices: see `__init__`.
            on_compile: see `__init__`.

        Raises:
            InputError: a setting of its config's `sampling` that does not exist.
        """
        return cls(
            loaded.model,
            loaded.params,
            sampler=sampler_lib.from_settings(loaded.config.sampling),
            trained_on=loaded.trained_on,
            step=loaded.step,
            licence=loaded.licence,
            devices=devices,
            on_compile=on_compile,
        )

    def __call__(
        self,
        image: Any,
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance_weight: float | None = None,
        seed: int = 0,
        *,
        temperature: float | None = None,
        sampler: Sampler | None = None,
        preset: str | None = None,
        name: str | None = None,
        batch_size: int = _BATCH_SIZE,
        min_area: specks.Area = specks.DEFAULT,
        edges: str = upsampling.EDGES[0],
        keep: ArrayLike | None = None,
        same: Pairs = (),
        different: Pairs = (),
        granularity: float | None = None,
        inside: Pairs = (),
        outside: Pairs = (),
        box: tuple[int, int, int, int] | None = None,
        prompt_weight: float = 1.0,
        on_batch: Callable[[int], None] | None = None,
    ) -> Segmentation:
        """Draws `num_samples` label maps of one picture.

        Args:
            image: a path, or a uint8 array [h, w, 3], [h, w] or [h, w, 4]; of any size from 1 x 1.
                Its longest side is brought to the model's `image_size`.
            num_samples: label maps to draw; several show what the model is unsure of.
            num_steps: evaluations of the network for each; None for the sampler's, which of a
                checkpoint is what its config says.
            guidance_weight: how strongly the picture is followed: 0 is the plain conditional
                model, 1 the paper's setting. More is sharper and less varied. None for the
                sampler's.
            seed: in [0, 2^32).
            temperature: factor of the noise that maps are drawn from, finite and >= 0: 1 draws from
                the model's distribution, less gives more probable and less varied maps, and 0 the
                same map for any seed. None for the sampler's.
            sampler: how maps are drawn; None for the segmenter's own `sampler`.
            preset: 'accurate' for the best single map, 'faithful' for samples whose frequencies
                can be trusted (`diffusion.presets`), instead of a sampler. What the arguments
                above say, they say of the preset.
            name: from which, with the seed, the randomness is drawn; by default a path's stem,
                and '' for an array.
            batch_size: most maps that are drawn at once; lower it if memory runs out.
            min_area: smaller pieces of a map are given to what surrounds them: pixels of the
                picture, or a share such as '0.1%'; see `inference.specks.threshold`. 0 for none.
            edges: of the regions at the picture's own size: 'image' lets them follow the picture,
                see `inference.upsampling.refine`; 'nearest' repeats the pixels as drawn.
            keep: integers [h, w] of the picture's shape: pixels of one id lie in one region, those
                of two ids in two; negative = unknown. The ids are mere names, but for a model that
                knows its background: there 0 is the background. All label maps hold it at every
                pixel, and the rest is drawn to go with it (docs/prompts.md). What is imposed takes
                a second draw, and a second program.
            same: pairs (p, q) of points (row, column) that lie in one region, imposed likewise.
            different: pairs that lie in two regions.
            granularity: number of regions that maps should have, for a model that was trained with
                this prompt. It is followed, not imposed.
            inside: points (row, column) of one region, which a model that was trained with this
                prompt draws around them. Of other models it is read off the samples, which are
                drawn as without points, see `Segmentation.region`: draw 16 at temperature 1 and
                guidance 0.
            outside: points that lie outside of that region.
            box: (top, left, bottom, right) of that region in pixels, the last row is bottom - 1;
                for a model that was trained with this prompt.
            prompt_weight: how closely what is drawn follows all of these, see `Constraints`.
            on_batch: called before each batch of maps, once the picture is encoded, with the number
                of maps that are drawn by then.

        Raises:
            InputError: a picture that cannot be read or used, an argument out of its range, not
                enough memory, or a model whose parameters are not finite; or constraints that
                contradict each other or do not fit the picture.
        """
        chosen = self._sampler(sampler, preset, num_steps, guidance_weight, temperature)
        request = Request(num_samples, seed, batch_size, min_area, edges)
        name = image_input.name_of(image) if name is None else name
        constraints = Constraints(
            keep, same, different, prompt_weight, granularity, inside, outside, box
        )  # fmt: skip
        if constraints:
            rgb, file = image_input.as_rgb(image), image_input.file_of(image)
            return self._constrained(name, rgb, file, chosen, request, constraints, Constraints())
        request = request.with_at_most(num_samples)
        return next(self._draw([(name, image)], chosen, request, on_batch))

    def segment_batch(
        self,
        images: Sequence[Any],
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance_weight: float | None = None,
        seed: int = 0,
        *,
        temperature: float | None = None,
        sampler: Sampler | None = None,
        preset: str | None = None,
        names: Sequence[str] | None = None,
        batch_size: int = _BATCH_SIZE,
        min_area: specks.Area = specks.DEFAULT,
        edges: str = upsampling.EDGES[0],
    ) -> list[Segmentation]:
        """Draws label maps of several pictures of any sizes through one compiled program.

        Args:
            images: each as `__call__` takes it.
            num_samples: of each picture.
            num_steps: as `__call__`.
            guidance_weight: as `__call__`.
            seed: as `__call__`.
            temperature: as `__call__`.
            sampler: as `__call__`.
            preset: as `__call__`.
            names: of the pictures, as `__call__`.
            batch_size: maps drawn at once, rounded up to a multiple of the devices; the last batch
                is filled up.
            min_area: as `__call__`.
            edges: as `__call__`.

        Returns:
            One result per picture, in their order.

        Raises:
            InputError: as `__call__`; or `names` are not as many as `images`.
        """
        names = [image_input.name_of(image) for image in images] if names is None else names
        if len(names) != len(images):
            raise InputError(
                f"there are {len(names)} names for {len(images)} images; give one each"
            )
        chosen = self._sampler(sampler, preset, num_steps, guidance_weight, temperature)
        request = Request(num_samples, seed, batch_size, min_area, edges)
        items = zip(names, images, strict=True)
        return list(self._draw(items, chosen, request.with_at_most(len(images) * num_samples)))

    def stream(
        self,
        items: Iterable[tuple[str, Any]],
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance_weight: float | None = None,
        seed: int = 0,
        *,
        temperature: float | None = None,
        sampler: Sampler | None = None,
        preset: str | None = None,
        batch_size: int = _BATCH_SIZE,
        min_area: specks.Area = specks.DEFAULT,
        edges: str = upsampling.EDGES[0],
    ) -> Iterator[Segmentation]:
        """As `segment_batch`, for more pictures than fit into memory.

        Args:
            items: (name, image) of each picture; taken one by one as room arises, so that reading
                them may be left to a generator, and so may be leaving out those that are broken.
            num_samples: as `segment_batch`.
            num_steps: as `segment_batch`.
            guidance_weight: as `segment_batch`.
            seed: as `segment_batch`.
            temperature: as `segment_batch`.
            sampler: as `segment_batch`.
            preset: as `segment_batch`.
            batch_size: as `segment_batch`.
            min_area: as `segment_batch`.
            edges: as `segment_batch`.

        Returns:
            The results in the order of the items, each as soon as it is complete.
        """
        chosen = self._sampler(sampler, preset, num_steps, guidance_weight, temperature)
        return self._draw(items, chosen, Request(num_samples, seed, batch_size, min_area, edges))

    def tiled(
        self,
        image: Any,
        tile_size: int = 512,
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance_weight: float | None = None,
        seed: int = 0,
        *,
        temperature: float | None = None,
        sampler: Sampler | None = None,
        preset: str | None = None,
        name: str | None = None,
        batch_size: int = _BATCH_SIZE,
        min_area: specks.Area = specks.DEFAULT,
        edges: str = upsampling.EDGES[0],
        out: Any = None,
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Any:
        """Draws one label map of a picture that is much larger than what the model draws.

        The whole is drawn first, and then tiles of more and more detail, see `inference.tiles`.

        Args:
            image: as `__call__`; or anything with a shape [h, w, 3] and dtype uint8 that gives
                arrays of its parts for `image[rows, columns]`, such as an array of zarr. Of it and
                of a memory map, only parts are read.
            tile_size: side of a tile in pixels, at least 32. A quarter of it overlaps.
            num_samples: maps that are drawn of each tile, of which their consensus is taken.
            num_steps: as `__call__`.
            guidance_weight: as `__call__`.
            seed: as `__call__`.
            temperature: as `__call__`.
            sampler: as `__call__`.
            preset: as `__call__`.
            name: as `__call__`.
            batch_size: as `__call__`.
            min_area: as `__call__`; of a tile.
            edges: as `__call__`.
            out: what the map is written to, for `out[rows, columns] = ids`, such as a memory map of
                int32 [h, w]; None for a new array.
            on_tile: called after each tile with the number of tiles drawn and of all tiles.

        Returns:
            `out`, or int32 [h, w], ids 1 to n, the largest region first; 0 is the background, if
            the model knows one.

        Raises:
            InputError: as `__call__`; or `tile_size` is out of its range.
        """
        chosen = self._sampler(sampler, preset, num_steps, guidance_weight, temperature)
        request = Request(num_samples, seed, batch_size, min_area, edges)
        by_parts = isinstance(image, np.memmap) or not isinstance(image, (np.ndarray, jax.Array))
        if not by_parts or not hasattr(image, "shape"):
            name = image_input.name_of(image) if name is None else name
            image = image_input.as_rgb(image)
        shape = image_windows.shape_of(image)
        check_integer("tile_size", tile_size, tiles.MIN_TILE_SIZE)
        request = request.with_at_most(num_samples * tiles.num_tiles(shape, tile_size))

        def draw(parts: Iterable[tuple[str, np.ndarray]]) -> Iterator[np.ndarray]:
            return (result.label_map() for result in self._draw(parts, chosen, request))

        return tiles.segment_tiled(
            draw, image, tile_size=tile_size, has_background=self.model.palette.background,
            name=name or "", out=out, on_tile=on_tile,
        )  # fmt: skip

    def canvas(self, image: Any, *, name: str | None = None) -> Canvas:
        """One image on which maps are drawn again and again, with the encoder run once.

        Args:
            image: as `__call__`.
            name: as `__call__`.

        Raises:
            InputError: an image that cannot be read or used.
        """
        name = image_input.name_of(image) if name is None else name
        rgb = image_input.as_rgb(image)
        return Canvas(
            self.model, self._params, name, rgb, mesh=self._mesh, on_compile=self._on_compile
        )

    def open(
        self,
        image: Any,
        num_samples: int = 1,
        num_steps: int | None = None,
        guidance_weight: float | None = None,
        seed: int = 0,
        *,
        temperature: float | None = None,
        preset: str | None = None,
        name: str | None = None,
        min_area: specks.Area = specks.DEFAULT,
        edges: str = upsampling.EDGES[0],
        prompt_weight: float = 1.0,
    ) -> Editor:
        """Draws one picture, to be edited; the encoder runs once for all edits.

        Args:
            image: as `__call__`.
            num_samples: as `__call__`; with several, edits are made on their consensus.
            num_steps: as `__call__`.
            guidance_weight: as `__call__`.
            seed: as `__call__`.
            temperature: as `__call__`.
            preset: as `__call__`.
            name: as `__call__`.
            min_area: as `__call__`.
            edges: as `__call__`.
            prompt_weight: how closely what is drawn follows the edits, see `Constraints`.

        Raises:
            InputError: as `__call__`.
        """
        canvas = self.canvas(image, name=name)
        settings = {
            "num_samples": num_samples, "num_steps": num_steps, "guidance_weight": guidance_weight,
            "seed": seed, "temperature": temperature, "preset": preset, "min_area": min_area,
            "edges": edges, "prompt_weight": prompt_weight,
        }  # fmt: skip
        sampler = self._sampler(None, preset, num_steps, guidance_weight, temperature)
        request = Request(num_samples, seed, _BATCH_SIZE, min_area, edges)
        return Editor(canvas, sampler, request, settings, prompt_weight)

    def replay(self, image: Any, path: epath.PathLike) -> Editor:
        """Opens a picture and does the edits that `Editor.save` wrote.

        The same model on the same machine gives the same bits.

        Args:
            image: as `__call__`; its pixels are those that were edited.
            path: the file.

        Raises:
            InputError: the file cannot be read, holds something else or edits of another picture.
        """
        history = edit_history.read(path)
        rgb = image_input.as_rgb(image)
        if history.get("image_sha256") != edit_history.digest(rgb):
            raise InputError(
                f"{os.fspath(path)}: holds edits of another picture, {history.get('name')!r}; give "
                "the picture that was edited"
            )
        try:
            editor = self.open(rgb, name=history["name"], **history["settings"])
        except TypeError as error:
            raise InputError(
                f"{os.fspath(path)}: settings: {error}; give a file as Editor.save wrote it"
            ) from None
        for edit in history["edits"]:
            editor.apply(edit)
        return editor

    def like(
        self,
        images: Sequence[Any],
        label_maps: Sequence[ArrayLike],
        num_samples: int = 8,
        seed: int = 0,
        **settings: Any,
    ) -> Likeness:
        """What a few labelled pictures of one kind say of how samples of others become one map.

        The network is not trained: samples of each example are drawn, and the consensus
        'appearance' is fitted to what its labels join (`posterior.likeness`). Give the result to
        `Segmentation.like`, or save it.

        Args:
            images: one to 50, as `__call__` takes them.
            label_maps: of each image integers [h, w] of its shape, or [people, h, w]; ids >= 0 and
                -1 = ignore.
            num_samples: samples of each, 3 or more; draw as many of the pictures to come.
            seed: of the samples.
            **settings: of `__call__`; unless they say otherwise, temperature 1 and guidance 0.

        Raises:
            InputError: the model has no encoder, there are no examples or too many, they are not
                as many of both, a map is none or has another shape, or all maps hold a single
                region; and as `__call__`.
        """
        if self.model.features is None:
            raise InputError(
                "like: the model has no encoder, whose features are compared; use one that has, "
                "such as photos"
            )
        maps = likeness_lib.check_examples(images, label_maps)
        check_integer("num_samples", num_samples, 3)
        if not {"sampler", "preset"} & set(settings):
            settings = {"temperature": 1.0, "guidance_weight": 0.0} | settings
        found = []
        for image, of_image in zip(images, maps, strict=True):
            rgb = image_input.as_rgb(image)
            if of_image.shape[1:] != rgb.shape[:2]:
                raise InputError(
                    f"label_maps: a map is {of_image.shape[1:]}, and its image {rgb.shape[:2]}; "
                    "give maps of the images' shape"
                )
            drawn = self(image, num_samples, seed=seed, **settings)
            posterior = Posterior.from_maps(drawn.maps, appearance=drawn.appearance)
            as_drawn = [at_centres(each, drawn.resolution) for each in of_image]
            found.append(likeness_lib.example_of(posterior, as_drawn))
        return likeness_lib.learn(found)

    def log_prob(
        self,
        image: Any,
        label_map: ArrayLike,
        num_times: int = 64,
        seed: int = 0,
        *,
        logsnr_max: float | None = None,
        name: str | None = None,
    ) -> LogProb:
        """A lower bound on the log2 of the probability with which the model draws a given map.

        It is of the model without guidance, and of the map at the network's size, with the codes
        that the palette gives its regions; see `diffusion.bound`. Pixels that the map ignores, and
        those of regions beyond the number of codes, count as of the nearest region: the former
        leaves it a bound, as a map so filled is no more probable than what it fills; the latter
        makes it that of the map without these regions. Compare maps of one image, with one seed:
        they meet the same noise.

        Args:
            image: as `__call__`.
            label_map: integers [h, w] of the image's shape, ids of any order, negative = ignore.
            num_times: evaluations of the network, at least 2; the standard error of the estimate
                falls with its root.
            seed: as `__call__`.
            logsnr_max: where the integral ends and single bits are read. Each value gives a bound;
                for a network that errs at little noise a lower one is better. None for the highest
                of use.
            name: as `__call__`.

        Raises:
            InputError: an image that cannot be read or used, a map of another shape or type, an
                argument out of its range, or a model of other codes than bits.
        """
        return given_maps.log_prob(
            self.model, self._params, image, label_map, num_times, seed, logsnr_max=logsnr_max,
            name=name,
        )  # fmt: skip

    def surprise(
        self,
        image: Any,
        label_map: ArrayLike,
        num_times: int = 16,
        seed: int = 0,
        *,
        name: str | None = None,
        num_samples: int = 0,
    ) -> Surprise:
        """Which regions of a given map the image does not bear out: labels that look wrong.

        The local bits of `log_prob`, of coarse structure alone (logsnr from -8 to -1), with the
        image less the same without it: a map is no surprise for being improbable in itself, as a
        detailed one is, but where the image does not make it more probable. Scores of different
        images may be compared; those of different models, or numbers of samples, may not.

        Args:
            image: as `__call__`.
            label_map: as `log_prob`.
            num_times: evaluations of the network with the image, and as many without; at least 2.
            seed: as `__call__`.
            name: as `__call__`.
            num_samples: maps drawn without guidance at temperature 1, 0 or at least 2. Half of what
                a region has beyond them (`inference.surprise.beyond_samples`) is added to its
                score, which finds more where samples can be relied on, and less on photographs
                (docs/posterior.md).

        Raises:
            InputError: as `log_prob`; or a single sample is asked for.
        """
        return given_maps.surprise(
            self.model, self._params, image, label_map, num_times, seed, name=name,
            sampler=self.sampler, num_samples=num_samples,
        )  # fmt: skip

    def _sampler(
        self,
        sampler: Sampler | None,
        preset: str | None,
        num_steps: int | None,
        guidance_weight: float | None,
        temperature: float | None,
    ) -> Sampler:
        if sampler is not None and preset is not None:
            raise InputError(f"preset={preset!r} and a sampler are given; give one of them")
        sampler = self.sampler if sampler is None else sampler
        if preset is not None:
            sampler = presets.applied(preset, sampler)
        return sampler.override(
            num_steps=num_steps, guidance_weight=guidance_weight, temperature=temperature
        )

    def _draw(
        self,
        items: Iterable[tuple[str, Any]],
        sampler: Sampler,
        request: Request,
        on_batch: Callable[[int], None] | None = None,
    ) -> Iterator[Segmentation]:
        # At their own size, and the files that they come from.
        images: collections.deque[tuple[np.ndarray, str]] = collections.deque()

        def read() -> Iterator[drawing.Item]:
            for name, image in items:
                images.append((image_input.as_rgb(image), image_input.file_of(image)))
                yield drawing.Item(name, images[-1][0])

        for drawn in drawing.draw(
            self.model, self._params, read(), sampler, request,
            mesh=self._mesh, on_compile=self._on_compile, on_batch=on_batch,
        ):  # fmt: skip
            image, file = images.popleft()
            yield dataclasses.replace(
                segmentation_of(self.model, drawn, image, sampler, request),
                file=file,
                redraw=functools.partial(
                    self._constrained, drawn.name, image, file, sampler, request, Constraints()
                ),
            )

    def _constrained(
        self,
        name: str,
        image: np.ndarray,
        file: str,
        sampler: Sampler,
        request: Request,
        earlier: Constraints,
        constraints: Constraints,
    ) -> Segmentation:
        """Draws maps that hold the earlier constraints, and the pairs of others."""
        constraints = earlier.together_with(constraints)
        return dataclasses.replace(
            self.canvas(image, name=name).draw(sampler, request, constraints),
            file=file,
            redraw=functools.partial(
                self._constrained, name, image, file, sampler, request, constraints
            ),
        )


@functools.cache
def _tell_once(notice: str) -> None:
    """Logs terms of use that were not logged before in this process; '' are none."""
    if notice:
        _LOGGER.warning("%s", notice)
