"""What is done to the parameters of a network, and to their gradients."""

from .clip import clip_grad_norm_, clip_grad_value_
from .fusion import fuse_conv_bn_eval
from .vector import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "fuse_conv_bn_eval",
    "parameters_to_vector",
    "vector_to_parameters",
]
