"""The cases of every op: data and names only. The checks over them are in test_ops.py."""

from ops import conv, elementwise, linear, loss, matmul, optim, pool

CASES = {
    "conv2d": conv.CONV2D,
    "cross_entropy": loss.CROSS_ENTROPY,
    "linear": linear.LINEAR,
    "log_softmax": loss.LOG_SOFTMAX,
    "matmul": matmul.MATMUL,
    "max_pool2d": pool.MAX_POOL2D,
    "relu": elementwise.RELU,
    "softmax": loss.SOFTMAX,
}
SGD = optim.SGD
