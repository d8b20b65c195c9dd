"""Generated shapes with exact masks: a U-Net or a small DeconvNet finds the class of each pixel."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import data, models, nn, optim
from ..autograd import no_grad
from ..creation import from_numpy
from ..data.shapes import CLASSES
from ..random import default_generator
from ..tensor import Array, Tensor
from ..terminal import above
from .classify import cross_entropy_of
from .loop import Training, fit, plot_curves, training_arguments

SHOWN = 6  # pictures in a plot


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    add = parser.add_argument
    add("--model", choices=["unet", "deconvnet"], default="unet", help="default: %(default)s")
    add("--width", type=above(0, int), default=8, metavar="N", help="channels; default 8")
    add("--pictures", type=above(0, int), default=800, metavar="N", help="to learn; default 800")
    add("--size", type=above(15, int), default=64, metavar="N", help="pixels a side; default 64")
    training_arguments(parser, epochs=40, batch_size=8, lr=0.003)


def run(args: argparse.Namespace) -> None:
    """Train, and print the mean IoU on other pictures."""
    if args.size % 16:
        raise ValueError(f"--size is {args.size}, expected a multiple of 16")
    held_out = max(1, args.pictures // 4)
    train, test = map(standardised, data.shapes_segmentation(args.pictures, held_out, args.size))
    if args.model == "unet":
        model: nn.Module = models.unet(3, len(CLASSES), args.width, batch_norm=True)
    else:
        model = SmallDeconvNet(3, len(CLASSES), 2 * args.width)
    loader = data.DataLoader(train, args.batch_size, shuffle=True)
    optimizer = optim.Adam(model.parameters(), args.lr)
    steps = max(1, args.epochs * len(loader))
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def evaluate() -> dict[str, float]:
        predicted, masks = predict(model, test), test.tensors[1]
        return {"mean IoU": data.mean_iou(predicted, masks, len(CLASSES))}

    def draw(path: str, training: Training) -> None:
        first = data.Subset(test, range(min(SHOWN, len(test))))
        _draw(path, training, test, predict(model, first))

    loss = cross_entropy_of(model)
    training = Training(
        model, optimizer, loader, lambda *batch: loss(*turned(*batch)), evaluate, scheduler
    )
    seconds = fit(training, args, draw)
    print(f"mean IoU {evaluate()['mean IoU']:.4f} on {len(test)} pictures, {seconds:.1f} s")


def standardised(dataset: Any) -> data.TensorDataset:
    """Measure colours from the most usual of a picture, the ground's, in deviations."""
    images, masks = (tensor.numpy() for tensor in dataset.tensors)
    ground = np.median(images, (2, 3), keepdims=True)
    return data.TensorDataset((images - ground) * np.float32(4), masks)


def turned(images: Tensor, masks: Tensor) -> list[Tensor]:
    """Turn all pictures and masks of a batch to one of the eight sides of a square, at random."""
    quarters, mirror = default_generator().integers(0, (4, 2))
    sides = (np.rot90(tensor.numpy(), quarters, (-2, -1)) for tensor in (images, masks))
    return [from_numpy((side[..., ::-1] if mirror else side).copy()) for side in sides]


def predict(model: nn.Module, dataset: Any) -> Array:
    """Return the class of each pixel."""
    model.eval()
    with no_grad():
        scores = [model(images) for images, _ in data.DataLoader(dataset, 50)]
    return np.concatenate([part.argmax(1).numpy() for part in scores])


class SmallDeconvNet(nn.Module):
    """Down by max pools that remember where, up by unpooling: DeconvNet, for small images.

    Noh, Hong and Han, arXiv:1505.04366; `pyconv.models.deconvnet` is theirs.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the image, and classes.
    width : int
        Channels of the first stage; each step down doubles them.
    depth : int
        How many pools.

    Examples
    --------
    >>> import pyconv
    >>> SmallDeconvNet(3, 4, 8)(pyconv.zeros(1, 3, 32, 32)).shape
    (1, 4, 32, 32)
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int = 3) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(depth)]
        befores = [in_channels, *widths]
        self.down = nn.ModuleList(
            nn.Sequential(*_block(nn.Conv2d, before, after), *_block(nn.Conv2d, after, after))
            for before, after in zip(befores, widths)
        )
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.middle = nn.Sequential(*_block(nn.Conv2d, widths[-1], widths[-1]))
        self.up = nn.ModuleList(
            nn.Sequential(
                *_block(nn.ConvTranspose2d, wide, wide), *_block(nn.ConvTranspose2d, wide, narrow)
            )
            for wide, narrow in zip(widths[::-1], [*widths[-2::-1], width])
        )
        self.head = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Any) -> Tensor:
        places = []
        for down in self.down:
            x, indices = self.pool(down(x))
            places.append(indices)
        x = self.middle(x)
        for up in self.up:
            x = up(self.unpool(x, places.pop()))
        result: Tensor = self.head(x)
        return result


def _block(conv: Any, before: int, after: int) -> list[nn.Module]:
    return [conv(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]


def _draw(path: str, training: Training, test: Any, predicted: Array) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6 * SHOWN, 8), layout="constrained")
    parts: Any = figure.subfigures(2, height_ratios=[2, 3])
    curves, pictures = parts
    plot_curves(curves, training)
    images, masks = (tensor.numpy() for tensor in test.tensors)
    table = pictures.subplots(3, len(predicted), squeeze=False)
    for i, mask in enumerate(predicted):
        table[0, i].imshow((images[i].transpose(1, 2, 0) / 8 + 0.5).clip(0, 1))
        for row, classes in enumerate((masks[i], mask), 1):
            table[row, i].imshow(classes, vmin=0, vmax=len(CLASSES) - 1, cmap="viridis")
    for row, name in enumerate(("input", "truth", "prediction")):
        table[row, 0].set_ylabel(name)
    for axes in table.flat:
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=150)
