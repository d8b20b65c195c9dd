"""Datasets, the loader that makes batches of them, and measures of success."""

from . import transforms
from .chars import Chars, chars
from .dataset import (
    ConcatDataset,
    Dataset,
    Subset,
    TensorDataset,
    TransformedDataset,
    random_split,
)
from .digits import digits
from .fashion_mnist import fashion_mnist
from .loader import DataLoader
from .metrics import accuracy, mean_iou, perplexity
from .mnist1d import mnist1d
from .shapes import shapes_segmentation

__all__ = [
    "Chars",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "TransformedDataset",
    "accuracy",
    "chars",
    "digits",
    "fashion_mnist",
    "mean_iou",
    "mnist1d",
    "perplexity",
    "random_split",
    "shapes_segmentation",
    "transforms",
]
