"""Functions of tensors, under PyTorch's names; usually imported as ``F``.

Each takes Tensors, or anything that `numpy.asarray` takes, and returns a Tensor.
"""

from .activation import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    relu,
    relu6,
    silu,
    softplus,
)
from .arithmetic import add, div, mul, neg, pow, sub, where
from .avg_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from .bounds import clamp
from .casting import cast
from .comparison import eq, ge, gt, le, lt, ne
from .contraction import einsum
from .conv import conv1d, conv2d, conv3d
from .conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from .dropout import dropout, dropout1d, dropout2d, dropout3d
from .elementwise import abs, exp, log, sigmoid, sqrt, tanh
from .fold import fold, unfold
from .indexing import index
from .joining import cat, chunk, split, stack
from .layer_norm import layer_norm
from .likelihood import binary_cross_entropy, binary_cross_entropy_with_logits, nll_loss
from .linear import linear, matmul
from .loss import cross_entropy
from .max_pool import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .max_unpool import max_unpool1d, max_unpool2d, max_unpool3d
from .norm import batch_norm, batch_norm_relu, group_norm, instance_norm
from .padding import pad
from .reduce import argmax, log_softmax, max, mean, min, softmax, sum, var
from .regression import l1_loss, mse_loss, smooth_l1_loss
from .resize import interpolate, pixel_shuffle, pixel_unshuffle
from .response import local_response_norm
from .shape import (
    expand,
    flatten,
    permute,
    reshape,
    squeeze,
    transpose,
    unsqueeze,
)
from .sparse import embedding

__all__ = [
    "abs",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "add",
    "argmax",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "batch_norm_relu",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cast",
    "cat",
    "chunk",
    "clamp",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "div",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "einsum",
    "elu",
    "embedding",
    "eq",
    "exp",
    "expand",
    "flatten",
    "fold",
    "ge",
    "gelu",
    "group_norm",
    "gt",
    "hardsigmoid",
    "hardswish",
    "index",
    "instance_norm",
    "interpolate",
    "l1_loss",
    "layer_norm",
    "le",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log",
    "log_softmax",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "lt",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mean",
    "min",
    "mse_loss",
    "mul",
    "ne",
    "neg",
    "nll_loss",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pow",
    "relu",
    "relu6",
    "reshape",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "tanh",
    "transpose",
    "unfold",
    "unsqueeze",
    "var",
    "where",
]
