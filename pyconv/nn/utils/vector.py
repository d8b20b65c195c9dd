"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...arguments import quiet
from ...creation import as_tensor
from ...functional import cat, reshape
from ...tensor import Tensor, changed
from ..init_fixed import check_writable
from .clip import tensors_in


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Join all elements of the parameters, in order; it is recorded.

    Raises
    ------
    ValueError
        If there are no parameters.

    Examples
    --------
    >>> import pyconv
    >>> net = pyconv.nn.Linear(3, 2)
    >>> pyconv.nn.utils.parameters_to_vector(net.parameters()).shape
    (8,)
    """
    tensors = tensors_in("parameters_to_vector", parameters)
    parts = [reshape(param, (-1,)) for param in tensors]
    if not parts:
        raise ValueError("parameters_to_vector: parameters is empty")
    return cat(parts)


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of a vector into the parameters, in order.

    Parameters
    ----------
    vec : array_like of one dimension
    parameters : iterable of Tensor

    Raises
    ------
    ValueError
        If it has other than as many elements, or a parameter is read-only; nothing was copied
        then.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.Parameter(pyconv.zeros(2, 2))
    >>> pyconv.nn.utils.vector_to_parameters([1.0, 2.0, 3.0, 4.0], [w])
    >>> w.detach()
    tensor([[1., 2.],
            [3., 4.]])
    """
    vector, params = as_tensor(vec, "vec"), tensors_in("vector_to_parameters", parameters)
    count = sum(param.numel() for param in params)
    if vector.shape != (count,):
        raise ValueError(
            f"vector_to_parameters: vec has shape {vector.shape}, the parameters have {count} "
            "elements"
        )
    for i, param in enumerate(params):
        check_writable(f"vector_to_parameters: parameters[{i}]", param)
    at = 0
    for param in params:
        part = vector._array[at : at + param.numel()]
        with quiet():
            param._array[...] = part.reshape(param.shape)
        changed(param)
        at += param.numel()
