"""What tasks of classification share."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..autograd import no_grad
from ..data import DataLoader


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
        hits = sum(
            int((model(x).argmax(1).numpy() == y.numpy()).sum())
            for x, y in DataLoader(dataset, batch_size)
        )
    return hits / len(dataset)
