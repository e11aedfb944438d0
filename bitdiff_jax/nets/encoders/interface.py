"""What an image encoder has to provide."""

from typing import Any, Protocol

import jax


class Encoder(Protocol):
    """A pretrained network from an image to a grid of features, which a model is conditioned on.

    It must be hashable, and equal to another only if it computes the same function: it is a static
    argument of compiled functions. A frozen dataclass is. It holds no parameters.

    A class that a config names as `package.module:Class` is constructed as

        Class(image_size=N, **options)

    without `image_size` where none is given; options are those of the config, lists as tuples.

    An encoder may have a method `from_original(originals, names)`, which gives its own parameters,
    by `names`, from the tensors of its published weights, in PyTorch's layout; see
    `bitdiff_jax.nets.encoders.original_names.Originals` and `params_files.load_params`.
    """

    @property
    def name(self) -> str:
        """Its name, a part of the key of stored features."""
        ...

    @property
    def image_size(self) -> int:
        """N, side in px of the square image that it sees; a multiple of `stride`."""
        ...

    @property
    def stride(self) -> int:
        """Side in px of the square of the image that one cell of the features stands for."""
        ...

    @property
    def channels(self) -> int:
        """Number of features of a cell."""
        ...

    def init(self, key: jax.Array) -> Any:
        """Random parameters.

        Args:
            key: PRNG key.

        Returns:
            Nested dicts of float32 arrays by name. Their structure and shapes do not depend on the
            key.
        """
        ...

    def apply(self, params: Any, image: jax.Array, size: jax.Array) -> jax.Array:
        """The features of images, a pure function that works under jit and is differentiable.

        An image's features must not depend on the other images of its batch.

        Args:
            params: the tree that `init` returned, or one of the same structure in any
                floating-point dtype; those of less than float32 are cast to float32.
            image: RGB, uint8 [B, N, N, 3] with N = `image_size`, resized so that its longer side
                is N, at the top left.
            size: (height, width) in px of the image within the square, int32 [B, 2]. What lies
                beyond it is ignored: the encoder normalises the image and then sets it to zero.

        Returns:
            Features, float32 [B, N / stride, N / stride, channels]. Cells beyond `size` have
            features too, which mean nothing.
        """
        ...
