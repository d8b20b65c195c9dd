"""Datasets and the loader that makes batches of them."""

from .dataset import Dataset, TensorDataset
from .digits import digits
from .loader import DataLoader

__all__ = ["DataLoader", "Dataset", "TensorDataset", "digits"]
