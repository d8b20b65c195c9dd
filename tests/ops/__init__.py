"""The cases of every op: data and names only. The checks over them are in test_ops.py."""

from ops import (
    conv,
    conv_transpose,
    elementwise,
    fold,
    linear,
    loss,
    matmul,
    norm,
    optim,
    padding,
    pool,
)

CASES = {
    "batch_norm": norm.BATCH_NORM,
    "batch_norm_relu": norm.BATCH_NORM_RELU,
    "conv1d": conv.CONV1D,
    "conv2d": conv.CONV2D,
    "conv3d": conv.CONV3D,
    "conv_transpose1d": conv_transpose.CONV_TRANSPOSE1D,
    "conv_transpose2d": conv_transpose.CONV_TRANSPOSE2D,
    "conv_transpose3d": conv_transpose.CONV_TRANSPOSE3D,
    "cross_entropy": loss.CROSS_ENTROPY,
    "fold": fold.FOLD,
    "group_norm": norm.GROUP_NORM,
    "instance_norm": norm.INSTANCE_NORM,
    "layer_norm": norm.LAYER_NORM,
    "linear": linear.LINEAR,
    "log_softmax": loss.LOG_SOFTMAX,
    "matmul": matmul.MATMUL,
    "max_pool2d": pool.MAX_POOL2D,
    "pad": padding.PAD,
    "relu": elementwise.RELU,
    "softmax": loss.SOFTMAX,
    "unfold": fold.UNFOLD,
}
STEPS = optim.STEPS
