"""Generated pictures of shapes, with the class of every pixel."""

from __future__ import annotations

import numpy as np

from ..arguments import MOST_ELEMENTS, integer, number, quiet
from ..creation import from_numpy
from ..tensor import Array
from .dataset import TensorDataset

CLASSES = "background", "disc", "square", "triangle"
CONTRAST = 0.3  # of a shape to the ground, in the colour that differs most


def shapes_segmentation(
    train: int = 800, test: int = 200, size: int = 64, noise: float = 0.1, seed: int = 0
) -> tuple[TensorDataset, TensorDataset]:
    """Draw discs, squares and triangles of random colour, place and size on noisy ground.

    The masks are exact: a pixel belongs to a shape if its centre lies within. No shape hides part
    of another, and none has nearly the ground's colour: the picture tells all that the mask says.

    Parameters
    ----------
    train, test : int
        Numbers of pictures.
    size : int
        Width and height.
    noise : float
        Standard deviation of what is added to each number of a picture.
    seed : int
        Other seeds give other pictures.

    Returns
    -------
    train, test : TensorDataset
        Pictures, float32 of shape (3, size, size) around [0, 1], and masks, int64 of shape
        (size, size): 0 for the ground, 1 disc, 2 square, 3 triangle.

    Raises
    ------
    ValueError
        If a number is negative, `size` below 8, or the pictures are too large for any memory.

    Examples
    --------
    >>> import pyconv
    >>> train, test = pyconv.data.shapes_segmentation(train=4, test=2, size=16)
    >>> image, mask = train[0]
    >>> image.shape, mask.shape
    ((3, 16, 16), (16, 16))
    """
    train = integer("shapes_segmentation: train", train, 0)
    test = integer("shapes_segmentation: test", test, 0)
    size = integer("shapes_segmentation: size", size, 8)
    if (train + test) * 3 * size * size > MOST_ELEMENTS:
        raise ValueError(
            f"shapes_segmentation: train is {train}, test is {test}, size is {size}, expected "
            "pictures of at most 2**40 numbers"
        )
    noise = number("shapes_segmentation: noise", noise)
    if not 0 <= noise < np.inf:
        raise ValueError(f"shapes_segmentation: noise is {noise}, expected a finite one from 0")
    # RandomState, unlike Generator, promises the same numbers for ever.
    random = np.random.RandomState(integer("shapes_segmentation: seed", seed, 0, 2**32 - 1))
    images = np.empty((train + test, 3, size, size), np.float32)
    masks = np.zeros((train + test, size, size), np.int64)
    for image, mask in zip(images, masks):
        ground = random.rand(3)
        image[...] = ground[:, None, None]
        for _ in range(random.randint(1, 5)):
            kind = random.randint(1, len(CLASSES))
            inside = _inside(random, kind, size)
            colour = random.rand(3)
            if mask[inside].any() or abs(colour - ground).max() < CONTRAST:
                continue
            image[:, inside] = colour[:, None]
            mask[inside] = kind
        with quiet():
            image += noise * random.standard_normal(image.shape)
    first, second = (
        TensorDataset(from_numpy(images[part]), from_numpy(masks[part]))
        for part in (slice(train), slice(train, None))
    )
    return first, second


def _inside(random: np.random.RandomState, kind: int, size: int) -> Array:
    """Return where a shape lies: all pixels whose centre satisfies its inequalities."""
    centre, radius = random.uniform(0.15, 0.85, 2) * size, random.uniform(0.15, 0.3) * size
    turned = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size] + 0.5 - centre[:, None, None]
    if CLASSES[kind] == "disc":
        return np.asarray(x * x + y * y <= radius * radius)
    sides = 4 if CLASSES[kind] == "square" else 3
    # A regular polygon is what lies on the inner side of each of its edges.
    angles = turned + np.arange(sides) * 2 * np.pi / sides
    reach = radius * np.cos(np.pi / sides)
    edges = [x * np.cos(a) + y * np.sin(a) <= reach for a in angles]
    return np.asarray(np.logical_and.reduce(edges))
