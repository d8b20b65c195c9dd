"""Spaces of networks, and samples of them: from AnyNet, where all is free, to RegNet."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arguments import integer, one_of
from .models.regnet import regnet_stages
from .random import generator_of

MOST_NETWORKS = 10**5  # drawing more takes minutes

# What each space of the paper has in common over its stages, or in order.
SPACES = {
    "AnyNetXA": "",
    "AnyNetXB": "b",
    "AnyNetXC": "bg",
    "AnyNetXD": "bgw",
    "AnyNetXE": "bgwd",
    "RegNetX": "",
}


def sample(
    space: str, n: int, generator: np.random.Generator | None = None
) -> list[dict[str, list[Any]]]:
    """Draw networks from a design space.

    Parameters
    ----------
    space : str
        "AnyNetXA": four stages of up to 16 blocks, up to 1024 channels in multiples of 8,
        bottlenecks of 1, 2 or 4, groups of 1 to 32 channels. "AnyNetXB": one bottleneck for all
        stages. "AnyNetXC": and one group width. "AnyNetXD": and widths that never fall.
        "AnyNetXE": and depths that never fall, but at the last stage. "RegNetX": widths on a line,
        see `pyconv.models.regnet.regnet_stages`.
    n : int
        How many, at most 100,000.
    generator : numpy.random.Generator, optional
        Source of the numbers; that of `pyconv.manual_seed` if left out.

    Returns
    -------
    list of dict
        Arguments of `pyconv.models.anynet`.

    Raises
    ------
    ValueError
        If there is no such space, or `n` is negative or above 100,000.
    TypeError
        If `n` is no integer, or `generator` no generator.

    References
    ----------
    Radosavovic, Kosaraju, Girshick, He and Dollár, *Designing network design spaces*,
    arXiv:2003.13678, sections 3.2 and 3.3. Numbers are drawn uniform in their logarithm.

    Examples
    --------
    >>> import pyconv
    >>> networks = pyconv.design.sample("AnyNetXE", 100)
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.anynet(**networks[0])
    >>> all(sorted(network["widths"]) == network["widths"] for network in networks)
    True
    """
    space = one_of("sample: space", space, tuple(SPACES))
    n = integer("sample: n", n, 0, MOST_NETWORKS)
    rng = generator_of(generator)
    draw = _regnet if space == "RegNetX" else _anynet
    return [draw(rng, SPACES[space]) for _ in range(n)]


def _anynet(rng: np.random.Generator, shared: str) -> dict[str, list[Any]]:
    """Draw until widths and depths are in the order that is asked for."""
    while True:
        ratios = [int(rng.choice([1, 2, 4])) for _ in range(4)]
        groups = [2 ** int(rng.integers(6)) for _ in range(4)]
        if "b" in shared:
            ratios = ratios[:1] * 4
        if "g" in shared:
            groups = groups[:1] * 4
        depths = [_log_uniform(rng, 1, 16) for _ in range(4)]
        widths = [8 * _log_uniform(rng, 1, 128) for _ in range(4)]
        # Whole groups inside the bottleneck: there a group has at most all channels.
        groups = [min(group, width // ratio) for group, width, ratio in zip(groups, widths, ratios)]
        inside = [
            max(1, round(width / ratio / group)) * group
            for width, ratio, group in zip(widths, ratios, groups)
        ]
        widths = [width * ratio for width, ratio in zip(inside, ratios)]
        if "w" in shared and widths != sorted(widths):
            continue
        if "d" in shared and depths[:3] != sorted(depths[:3]):
            continue
        multipliers = [1 / ratio for ratio in ratios]
        return {
            "depths": depths,
            "widths": widths,
            "group_widths": groups,
            "bottleneck_multipliers": multipliers,
        }


def _regnet(rng: np.random.Generator, _: str) -> dict[str, list[Any]]:
    """Draw until there are four stages."""
    while True:
        line = {
            "depth": _log_uniform(rng, 4, 63),
            "w_0": 8 * _log_uniform(rng, 1, 32),
            "w_a": float(np.exp(rng.uniform(np.log(8), np.log(256)))),
            "w_m": float(rng.uniform(1.5, 3)),
            "group_width": 2 ** int(rng.integers(6)),
        }
        stages = regnet_stages(**line, rounding="paper")
        if len(stages["depths"]) == 4:
            return stages


def _log_uniform(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw an integer from `low` to `high`, smaller ones more often."""
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
