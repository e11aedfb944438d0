"""The attn-UNet of `bitdiff_jax.nets.unet` in fewer passes over memory: `FusedUNet`.

It has the parameters of `UNet` by the same names, and gives the same outputs and gradients within
rounding; tests hold both. A reader who wants to know *what* the network computes reads
`bitdiff_jax/nets/unet.py`. What follows is *how* it is computed here, where a map of the widest
level is larger than a chip's fast memory and each pass over it costs as much as a convolution.

Four ideas, and the words for them:

`Biased` (`layers`): a map and, beside it, a vector [C] that is yet to be added to every pixel. The
    bias of a convolution is kept that way: the next group norm takes it in as C numbers, a residual
    sum adds two such vectors, and the gradient of a bias comes out of the norm's sums. `value()` is
    the map with its bias added, for operations that cannot take the vector: a convolution of
    stride 2 or of an upsampled map, whose padding must stay 0, and the output.

Parts (`convolution`, `norm`): a sequence of maps stands for their concatenation along the channels,
    which is never made. A convolution of the parts is the sum of one convolution of each; a norm of
    the parts has groups that may lie across two of them.

`norm.normalise`: group norm, the sums before it, and SiLU as one function with a gradient written
    by hand, which keeps only the input map for the backward pass. Mean and variance take one pass.

`PixelLayout` (`folding`): how the pixels of a map lie in its array. PLAIN is [B, H, W, C]. FOLDED
    is [B, H, W/2, 2C], pairs of neighbouring columns as one position: the same numbers in the same
    order of memory, and twice the channels, which fill the 128 lanes of a TPU where C is 64.
    STAGGERED is [B, H, W/2 + 1, 2C], pairs shifted by one column, so that the first and the last
    position are half outside of the map. A residual block of a folded map goes to STAGGERED with
    its first convolution and comes back with its second: each then multiplies with fewer zeros than
    one from FOLDED to FOLDED would. Parameters are never folded; kernels are, at each use
    (`folding.fold_kernel`). Only the widest level is folded, and only with `fold=True`.

From the outside in: `fused_unet` is the network, `blocks` its blocks, `layers` the parameters and
how they are used; `norm`, `convolution`, `attention` and `folding` are functions of arrays. Some of
them lower to other operations on a TPU, a GPU and a CPU (`jax.lax.platform_dependent`).
"""

from bitdiff_jax.nets.fused.fused_unet import FusedUNet

__all__ = ["FusedUNet"]
