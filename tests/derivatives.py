"""Functions whose first and second derivatives test_autograd.py compares with differences."""

from __future__ import annotations

from functools import partial

import numpy as np

import pyconv
import pyconv.functional as F


def drawn(*shape, low=-1.0, high=1.0, seed=0):
    values = np.random.default_rng(seed).uniform(low, high, shape)
    return pyconv.tensor(values, requires_grad=True)


A, B, POSITIVE = (2, 3), (3,), {"low": 0.5, "high": 2.0}


def _pooled(kind, n):
    image = (3, 2, 2) if n == 3 else (5,)
    pool, options = getattr(F, f"{kind}_pool{n}d"), {"lp": (3, 2, 1)}.get(kind, (2,))
    return lambda x: pool(x * x + 0.5 if kind == "lp" else x, *options) ** 2, drawn(1, *image)


BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


def _loss(op, reduction):
    """Of squares, for the losses themselves may be straight, and so far apart that none is at 0."""
    weight = {"weight": np.array([1.0, 2.0, 0.5])} if op in BINARY else {}
    loss = partial(getattr(F, op), reduction=reduction, **weight)
    return (
        lambda x, t: loss(x * x, t * t + (0 if op in BINARY else 1.2)),
        drawn(2, 3, low=0.3, high=0.9),
        drawn(2, 3, seed=1, low=0.3, high=0.9),
    )


def _dropped(n):
    def function(x):
        pyconv.manual_seed(3)
        return getattr(F, f"dropout{n}d")(x * x, 0.5)

    return function, drawn(2, 2, *(2,) * n)


OPERATIONS = {
    "add": lambda: (lambda a, b: a + b, drawn(*A), drawn(*B, seed=1)),
    "sub": lambda: (lambda a, b: b - a, drawn(*A), drawn(2, 1, seed=1)),
    "mul": lambda: (lambda a, b: a * b, drawn(*A), drawn(*B, seed=1)),
    "mul-self": lambda: (lambda a: a * a, drawn(*A)),
    "div": lambda: (lambda a, b: a / b, drawn(*A), drawn(*B, seed=1, **POSITIVE)),
    "pow": lambda: (lambda a, b: a**b, drawn(*A, **POSITIVE), drawn(*B, seed=1)),
    "pow-to-0": lambda: (lambda a, b: a**b, drawn(2, **POSITIVE), drawn(2, low=0, high=0)),
    "pow-number": lambda: (lambda a: a**3 + 2**a, drawn(*A)),
    "neg": lambda: (lambda a: -a, drawn(*A)),
    "exp": lambda: (lambda a: a.exp(), drawn(*A)),
    "log": lambda: (lambda a: a.log(), drawn(*A, **POSITIVE)),
    "sqrt": lambda: (lambda a: a.sqrt(), drawn(*A, **POSITIVE)),
    "abs": lambda: (lambda a: a.abs() * a, drawn(*A)),
    "relu": lambda: (lambda a: F.relu(a) * a, drawn(*A)),
    "where": lambda: (
        lambda a, b: pyconv.where(np.eye(3) > 0, a * b, b),
        drawn(3),
        drawn(1, seed=1),
    ),
    "sum": lambda: (lambda a: a.sum(1) * a.sum(), drawn(*A)),
    "mean": lambda: (lambda a: a.mean(0, keepdim=True) * a, drawn(*A)),
    "max": lambda: (lambda a: a.max() * a.max(1).values, drawn(*A)),
    "max-ties": lambda: (lambda a: (a * a).max(), pyconv.tensor(np.ones(1), requires_grad=True)),
    "softmax": lambda: (lambda a: F.softmax(a, 0), drawn(*A)),
    "log_softmax": lambda: (lambda a: F.log_softmax(a, -1), drawn(*A)),
    "reshape": lambda: (lambda a: a.reshape(3, 2) ** 2, drawn(*A)),
    "permute": lambda: (lambda a: a.permute(2, 0, 1) ** 2, drawn(2, 3, 1)),
    "expand": lambda: (lambda a: a.expand(2, 4, 3) ** 2, drawn(4, 1)),
    "index": lambda: (lambda a: a[1:, ::2] * a[0, 0], drawn(*A)),
    "index-array": lambda: (lambda a: a[[0, 1, 0, 0]] ** 2, drawn(*A)),
    "index-mask": lambda: (lambda a: a[a > 0] ** 2, drawn(*A)),
    "cat": lambda: (lambda a, b: pyconv.cat([a, b, a]) ** 2, drawn(2, 2), drawn(1, 2, seed=1)),
    "stack": lambda: (lambda a, b: pyconv.stack([a, b], 1) ** 2, drawn(2), drawn(2, seed=1)),
    "matmul": lambda: (lambda a, b: a @ b, drawn(2, 3), drawn(3, 4, seed=1)),
    "matmul-vectors": lambda: (lambda a, b: a @ b, drawn(3), drawn(3, seed=1)),
    "matmul-stacks": lambda: (lambda a, b: a @ b, drawn(2, 1, 2, 3), drawn(2, 3, 2, seed=1)),
    "linear": lambda: (F.linear, drawn(2, 2, 3), drawn(4, 3, seed=1), drawn(4, seed=2)),
    "linear-vector": lambda: (F.linear, drawn(3), drawn(4, 3, seed=1)),
    "conv2d": lambda: (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), 1, (1, 2), 2),
        drawn(1, 4, 4, 5),
        drawn(2, 2, 3, 2, seed=1),
        drawn(2, seed=2),
    ),
    "conv2d-same-unbatched": lambda: (
        lambda x, w: F.conv2d(x, w, padding="same"),
        drawn(2, 3, 4),
        drawn(1, 2, 2, 3, seed=1),
    ),
    "conv1d": lambda: (
        lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2),
        drawn(2, 2, 6),
        drawn(3, 2, 2, seed=1),
        drawn(3, seed=2),
    ),
    "conv3d": lambda: (
        lambda x, w: F.conv3d(x, w, None, (1, 2, 1), 1, groups=2),
        drawn(1, 2, 2, 3, 2),
        drawn(2, 1, 2, 2, 3, seed=1),
    ),
    "conv_transpose1d": lambda: (
        lambda x, w: F.conv_transpose1d(x, w, None, 3, 1, 2),
        drawn(2, 4),
        drawn(2, 3, 2, seed=1),
    ),
    "conv_transpose2d": lambda: (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 1), 1, (1, 0), 2, (1, 2)),
        drawn(1, 4, 3, 2),
        drawn(4, 1, 2, 3, seed=1),
        drawn(2, seed=2),
    ),
    "conv_transpose2d-output-padding-over-stride": lambda: (
        lambda x, w: F.conv_transpose2d(x, w, None, 1, 1, 2, 1, 3),
        drawn(2, 2, 3),
        drawn(2, 1, 2, 2, seed=1),
    ),
    "conv_transpose3d": lambda: (
        lambda x, w, b: F.conv_transpose3d(x, w, b, 2, (1, 0, 0), (0, 1, 0)),
        drawn(1, 1, 2, 1, 2),
        drawn(1, 2, 2, 1, 2, seed=1),
        drawn(2, seed=2),
    ),
    "unfold": lambda: (lambda x: F.unfold(x, (2, 1), 2, (1, 0), (1, 2)) ** 2, drawn(2, 3, 3)),
    "fold": lambda: (lambda x: F.fold(x, (3, 2), 2, padding=(0, 1)) ** 2, drawn(1, 4, 6)),
    "pad": lambda: (lambda x: F.pad(x, (1, -1, 0, 2), value=2.0) ** 2, drawn(2, 3)),
    "pad-reflect": lambda: (lambda x: F.pad(x, (2, 1, -1, 1), "reflect") ** 2, drawn(1, 3, 3)),
    "pad-replicate": lambda: (lambda x: F.pad(x, (2, 0, 0, 3), "replicate") ** 2, drawn(1, 2, 2)),
    "pad-circular": lambda: (lambda x: F.pad(x, (2, 1, 1, 2), "circular") ** 2, drawn(1, 2, 2)),
    "max_pool2d": lambda: (lambda x: F.max_pool2d(x, 2, 1, 1) ** 2, drawn(1, 2, 3, 3)),
    "max_pool2d-unbatched": lambda: (lambda x: F.max_pool2d(x, 2) ** 2, drawn(2, 4, 2)),
    "max_pool1d": lambda: (lambda x: F.max_pool1d(x, 3, 1, 1) ** 2, drawn(2, 2, 5)),
    "max_pool3d": lambda: (lambda x: F.max_pool3d(x, 2, 1) ** 2, drawn(1, 2, 2, 3, 2)),
    "max_unpool2d": lambda: (
        lambda x: F.max_unpool2d(x, np.array([[[1, 0], [15, 6]]]), 2) ** 2,
        drawn(1, 2, 2),
    ),
    "avg_pool2d": lambda: (
        lambda x: F.avg_pool2d(x, 2, 1, 1, count_include_pad=False) ** 2,
        drawn(1, 2, 3, 3),
    ),
    "avg_pool3d": lambda: (lambda x: F.avg_pool3d(x, 2, 1) ** 2, drawn(1, 1, 2, 3, 2)),
    "adaptive_avg_pool2d": lambda: (
        lambda x: F.adaptive_avg_pool2d(x, (2, 1)) ** 2,
        drawn(2, 3, 3),
    ),
    "adaptive_max_pool2d": lambda: (
        lambda x: F.adaptive_max_pool2d(x, (2, 1)) ** 2,
        drawn(2, 3, 3),
    ),
    "lp_pool2d": lambda: (lambda x: F.lp_pool2d(x.abs(), 3, 2), drawn(1, 2, 4)),
    "interpolate": lambda: (lambda x: F.interpolate(x, scale_factor=1.5) ** 2, drawn(1, 2, 3)),
    "interpolate-bicubic": lambda: (
        lambda x: F.interpolate(x, (3, 4), mode="bicubic") ** 2,
        drawn(1, 1, 2, 3),
    ),
    "pixel_shuffle": lambda: (lambda x: F.pixel_shuffle(x, 2) ** 2, drawn(4, 2, 1)),
    "pixel_unshuffle": lambda: (lambda x: F.pixel_unshuffle(x, 2) ** 2, drawn(2, 2, 4)),
    "cross_entropy": lambda: (
        lambda x: F.cross_entropy(x, [0, 2, -100], [1.0, 2.0, 0.5], label_smoothing=0.2),
        drawn(3, 3),
    ),
    "cross_entropy-image": lambda: (
        lambda x: F.cross_entropy(x, np.array([[[0, 1]], [[2, 2]]]), reduction="none"),
        drawn(2, 3, 1, 2),
    ),
    "cross_entropy-unbatched": lambda: (lambda x: F.cross_entropy(x, 1), drawn(3)),
    "cross_entropy-probabilities": lambda: (
        lambda x, t: F.cross_entropy(x, t.abs(), [1.0, 2.0, 3.0], label_smoothing=0.1),
        drawn(2, 3),
        drawn(2, 3, seed=1),
    ),
    **{
        f"{kind}_pool{n}d-{'small' if n == 3 else 'long'}": partial(_pooled, kind, n)
        for n in (1, 3)
        for kind in ("avg", "lp", "adaptive_avg", "adaptive_max")
    },
    "max_unpool1d": lambda: (
        lambda x: F.max_unpool1d(x, np.array([[1, 2], [0, 3]]), 2) ** 2,
        drawn(2, 2),
    ),
    "max_unpool3d": lambda: (
        lambda x: F.max_unpool3d(x, np.array([[[[5, 10]]]]), 2) ** 2,
        drawn(1, 1, 1, 2),
    ),
    **{
        f"{op}-{reduction}": partial(_loss, op, reduction)
        for op in ("mse_loss", "l1_loss", "smooth_l1_loss", *BINARY)
        for reduction in ("mean", "none")
    },
    "nll_loss": lambda: (
        lambda x: F.nll_loss(x * x, [0, 2, -100], np.array([1.0, 2.0, 0.5])),
        drawn(3, 3),
    ),
    "nll_loss-image": lambda: (
        lambda x: F.nll_loss(x * x, np.array([[[0, 1]], [[2, 2]]]), reduction="none"),
        drawn(2, 3, 1, 2),
    ),
    "var": lambda: (lambda a: a.var(1) * a.var(0, correction=0.5).sum(), drawn(3, 2)),
    "min": lambda: (lambda a: a.min() * a.min(1).values, drawn(*A)),
    "of-a-number": lambda: (
        lambda a: a.max(0).values * a.softmax(0) * a.sum(0) * a.transpose(0, -1) * a.squeeze(0),
        drawn(),
    ),
    "transpose": lambda: (lambda a: a.transpose(0, -1) ** 2, drawn(2, 3, 1)),
    "flatten": lambda: (lambda a: a.flatten(1) ** 2, drawn(2, 3, 1)),
    "cast": lambda: (lambda a: a.to("float64") * F.cast(a * a, ">f8"), drawn(*A)),
    "split": lambda: (lambda a: a.split(2)[0] * a.chunk(2, 0)[1], drawn(4, 2)),
    "einsum": lambda: (
        lambda a, b: pyconv.einsum("ij,jkk->ik", a, b),
        drawn(*A),
        drawn(3, 2, 2, seed=1),
    ),
    **{f"dropout{n}d": partial(_dropped, n) for n in (1, 2, 3)},
}
