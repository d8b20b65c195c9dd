"""Every kernel of pyconv again in plain NumPy, written to be read.

The functions have the names and arguments of `pyconv.functional`. They take whatever
`numpy.asarray` takes and return NumPy arrays. All of them compute in float64 and return float64, so
that they can serve as the truth for kernels of any type; the one exception is `conv2d_im2col`, the
fast NumPy formulation, which keeps the type of its input.

Behind each function stands its gradient: ``f_backward(grad_output, ...)`` takes the gradient of the
loss with respect to the output of ``f``, then the arguments of ``f``, and returns the gradients
with respect to the arrays among them. Arguments are taken as they are: the checks, and the messages
for bad ones, are those of `pyconv.functional`.
"""

from pyconv.reference.conv import (
    conv1d,
    conv1d_backward,
    conv2d,
    conv2d_backward,
    conv2d_im2col,
    conv3d,
    conv3d_backward,
)
from pyconv.reference.conv_transpose import (
    conv_transpose1d,
    conv_transpose1d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose3d,
    conv_transpose3d_backward,
)
from pyconv.reference.dropout import dropout, dropout_backward, philox
from pyconv.reference.elementwise import relu, relu_backward
from pyconv.reference.embedding import embedding, embedding_backward
from pyconv.reference.fold import fold, fold_backward, unfold, unfold_backward
from pyconv.reference.likelihood import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    nll_loss,
    nll_loss_backward,
)
from pyconv.reference.linear import linear, linear_backward, matmul, matmul_backward
from pyconv.reference.loss import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from pyconv.reference.norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_relu,
    batch_norm_relu_backward,
    batch_norm_running,
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
)
from pyconv.reference.optim import sgd_step
from pyconv.reference.padding import pad, pad_backward
from pyconv.reference.pool import max_pool2d, max_pool2d_backward
from pyconv.reference.regression import (
    l1_loss,
    l1_loss_backward,
    mse_loss,
    mse_loss_backward,
    smooth_l1_loss,
    smooth_l1_loss_backward,
)
from pyconv.reference.response import local_response_norm, local_response_norm_backward

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_relu",
    "batch_norm_relu_backward",
    "batch_norm_running",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv2d_im2col",
    "conv3d",
    "conv3d_backward",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "embedding",
    "embedding_backward",
    "fold",
    "fold_backward",
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "l1_loss",
    "l1_loss_backward",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "matmul_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mse_loss",
    "mse_loss_backward",
    "nll_loss",
    "nll_loss_backward",
    "pad",
    "pad_backward",
    "philox",
    "relu",
    "relu_backward",
    "sgd_step",
    "smooth_l1_loss",
    "smooth_l1_loss_backward",
    "softmax",
    "softmax_backward",
    "unfold",
    "unfold_backward",
]
