"""The evaluation that a training does at intervals."""

from collections.abc import Callable

import ml_collections
import numpy as np
from jax.sharding import Mesh

from bitdiff_jax import config as config_lib
from bitdiff_jax import model as model_lib
from bitdiff_jax.data import specs
from bitdiff_jax.data.records.feature_cache import Key
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.evaluation import Scoring, evaluate, image_measures, protocols
from bitdiff_jax.inference.request import Request
from bitdiff_jax.training.state import TrainState

_NUM_SHOWN = 8  # images on the sheet of each evaluation


class Evaluator:
    """Scores the sampling weights on held-out images, and draws some."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        model: model_lib.Model,
        mesh: Mesh,
        *,
        cached: Key | None = None,
        frozen: model_lib.Params | None = None,
    ):
        """Opens the images.

        Args:
            config: the config of the training.
            model: the model that is trained.
            mesh: the devices that draw.
            cached: key of the features that were computed beforehand; None if there are none.
            frozen: parameters beside those of the state, such as {'encoder': ...}.

        Raises:
            InputError: the images, or a setting of `eval` or `sampling`, cannot be used.
        """
        self._config = config
        self._model = model
        self._mesh = mesh
        self._sampler = sampler_lib.from_settings(config.sampling)
        # Edges take longer than the rest, and tell nothing of the network.
        self._request = Request(batch_size=config.eval.batch_size, edges="nearest")
        self._source = specs.open_source(
            config.eval.data, image_size=model.image_size, features=cached
        )
        self._frozen = frozen or {}
        # At one size, and without boundary measures, which would take most of the time.
        view = protocols.at_sizes([config.eval.score_size])
        self._scoring = Scoring(view, image_measures.TABLE_MEASURES)

    def __call__(
        self, state: TrainState, progress: Callable[[int, int], None] | None = None
    ) -> tuple[dict[str, float], np.ndarray]:
        """Returns mean metrics by name, such as 'eval/ari', and a contact sheet.

        Both are copies on the host, so the state may be donated afterwards.

        Args:
            state: the training state.
            progress: called after each image with the number of images done and of all images.
        """
        settings = self._config.eval
        ema = self._config.sampling.weights == "ema"
        params = state.ema_params if ema else state.params
        evaluation = evaluate(
            self._model,
            {**params, **self._frozen},
            self._source,
            self._sampler,
            self._request,
            scoring=self._scoring,
            num_images=settings.num_images,
            num_shown=_NUM_SHOWN,
            progress=progress,
            mesh=self._mesh,
        )
        means = evaluation.means()
        # The other metrics are for `bitdiff evaluate`.
        scores = {f"eval/{name}": means[name] for name in config_lib.EVALUATION_METRICS}
        return scores, evaluation.sheet()
