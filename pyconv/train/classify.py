"""What tasks of classification share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import functional as F
from .. import nn
from ..autograd import no_grad
from ..data import DataLoader, accuracy
from ..tensor import Tensor


def cross_entropy_of(
    model: nn.Module, change: Callable[[Tensor], Tensor] | None = None, **options: Any
) -> Callable[[Tensor, Tensor], tuple[Tensor, dict[str, float]]]:
    """Return the loss of a `Training`; `change` is what happens to images before.

    Examples
    --------
    >>> import pyconv
    >>> loss = cross_entropy_of(pyconv.nn.Identity())
    >>> loss(pyconv.zeros(1, 4), pyconv.tensor([0]))
    (tensor(1.3863), {'accuracy': 1.0})
    """

    def loss(x: Tensor, classes: Tensor) -> tuple[Tensor, dict[str, float]]:
        scores = model(change(x) if change else x)
        right = {"accuracy": accuracy(scores.detach(), classes)}
        return F.cross_entropy(scores, classes, **options), right

    return loss


def held_out_accuracy(model: nn.Module, dataset: Any, batch_size: int = 1000) -> float:
    """Return the share of a dataset's samples that the model classifies rightly.

    Examples
    --------
    >>> import pyconv
    >>> dataset = pyconv.data.TensorDataset([[0.1, 0.9], [0.2, 0.8]], [1, 0])
    >>> held_out_accuracy(pyconv.nn.Identity(), dataset)
    0.5
    """
    model.eval()
    with no_grad():
        hits = sum(accuracy(model(x), y) * len(x) for x, y in DataLoader(dataset, batch_size))
    return hits / len(dataset)


def deviation(runs: ArrayLike) -> float:
    """Return the standard deviation of which some runs are a sample, by n - 1; 0 of one run.

    Examples
    --------
    >>> deviation([1, 2, 3]), deviation([5])
    (1.0, 0.0)
    """
    values = np.asarray(runs)
    return float(values.std(ddof=len(values) > 1))
