"""LeNet-5."""

from __future__ import annotations

import math

from .. import nn


def lenet(num_classes: int = 10) -> nn.Sequential:
    """LeNet-5 for images of 28x28 pixels and one channel.

    Simpler than in the paper, as it is mostly drawn today: layers of plain average pooling, every
    feature map of the third layer sees all of the second, and the last layer is linear.

    Parameters
    ----------
    num_classes : int
        Length of the output.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, *Gradient-based learning applied to document recognition*,
    1998, figure 2; the initial weights are those of its appendix A.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.lenet()(pyconv.zeros(1, 1, 28, 28)).shape
    (1, 10)
    """
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, num_classes),
    )
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = 2.4 / math.prod(layer.weight.shape[1:])
            nn.init.uniform_(layer.weight, -bound, bound)
    return net
