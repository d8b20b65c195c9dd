"""Cases of convolution, from the usual to the far end of what is allowed, in 1-D, 2-D and 3-D."""

from __future__ import annotations

from typing import Any

from ops.case import Case

Shape = tuple[int, ...]


def conv(name: str, input: Shape, weight: Shape, bias: bool = True, **options: Any) -> Case:
    arrays = {"input": input, "weight": weight}
    return Case(name, arrays | ({"bias": weight[:1]} if bias else {}), options)


CONV2D = [
    # the layers of published networks, made small
    conv("3x3", (2, 8, 9, 10), (16, 8, 3, 3), padding=1),
    conv("1x1", (2, 24, 7, 7), (40, 24, 1, 1)),
    conv("1x1-groups", (2, 50, 5, 7), (42, 25, 1, 1), groups=2),
    conv("1x1-stride", (1, 16, 8, 8), (32, 16, 1, 1), stride=2),
    conv("7x7-stem", (1, 3, 30, 31), (16, 3, 7, 7), stride=2, padding=3),
    conv("11x11-stem", (1, 3, 40, 40), (8, 3, 11, 11), stride=4, padding=2),
    conv("3x3-downsample", (1, 32, 14, 14), (48, 32, 3, 3), stride=2, padding=1),
    conv("no-bias", (2, 8, 9, 10), (16, 8, 3, 3), bias=False, padding=1),
    conv("300-channels", (1, 300, 5, 5), (20, 300, 3, 3), padding=1),
    conv("300-outputs", (1, 5, 6, 6), (300, 5, 3, 3)),
    conv("wide", (1, 4, 20, 150), (8, 4, 3, 3), padding=1),
    conv("two-threads-of-work", (4, 16, 28, 28), (32, 16, 3, 3), padding=1),
    # what Winograd's algorithm takes: tiles cut by the border, channels that fill no vector
    conv("winograd", (2, 32, 8, 12), (48, 32, 3, 3), padding=1),
    conv("winograd-odd", (1, 19, 7, 10), (21, 19, 3, 3), padding=(0, 2)),
    conv("winograd-groups", (2, 51, 6, 9), (57, 17, 3, 3), padding=1, groups=3),
    conv("winograd-5x5", (2, 17, 9, 12), (19, 17, 5, 5), padding=(2, 1)),
    conv("winograd-5x5-400-channels", (1, 400, 5, 6), (16, 400, 5, 5), padding=4),
    conv("winograd-600-channels", (1, 600, 5, 5), (16, 600, 3, 3), padding=1),
    conv("many-weights-of-groups", (1, 1024, 5, 5), (1024, 64, 3, 3), padding=1, groups=16),
    conv("many-weights", (1, 200, 11, 14), (330, 200, 3, 3), padding=(1, 2), stride=(1, 2)),
    conv("rows-of-whole-panels", (3, 6, 10, 12), (17, 6, 5, 5), padding=(2, 1)),
    conv("winograd-dilated", (2, 17, 11, 9), (18, 17, 3, 3), padding=(3, 1), dilation=(3, 2)),
    conv("winograd-dilated-far", (1, 16, 5, 4), (16, 16, 5, 5), padding=(30, 1), dilation=(15, 1)),
    conv("winograd-7x7", (2, 17, 10, 12), (18, 17, 7, 7), padding=(3, 2)),
    conv("winograd-4x4", (1, 20, 7, 9), (33, 20, 4, 4), padding=2),
    conv("winograd-4x8", (1, 16, 9, 11), (19, 16, 4, 8), padding=3, dilation=(2, 1)),
    conv("winograd-9x3-groups", (1, 34, 10, 5), (32, 17, 9, 3), padding=(4, 1), groups=2),
    conv("winograd-many-tiles", (3, 16, 61, 71), (16, 16, 3, 3), padding="same"),
    conv("winograd-many-tiles-odd", (2, 19, 57, 58), (21, 19, 3, 3), padding=(1, 2)),
    conv("winograd-many-outputs", (1, 16, 32, 33), (115, 16, 3, 3), padding=1),
    # its lines, along the rows or the columns
    conv("winograd-1x7", (2, 17, 5, 13), (19, 17, 1, 7), padding=(0, 3)),
    conv("winograd-7x1-dilated", (1, 16, 23, 4), (18, 16, 7, 1), padding=(5, 0), dilation=(2, 1)),
    conv("winograd-2x5", (1, 18, 7, 9), (16, 18, 2, 5), padding=(3, 4), dilation=(3, 2)),
    conv("winograd-4x2-groups", (1, 36, 8, 7), (34, 18, 4, 2), padding=(1, 2), groups=2),
    conv("winograd-3x1-many-tiles", (2, 16, 42, 37), (17, 16, 3, 1), padding=(1, 0)),
    # rows of all images together, for those at the border leave out taps
    conv("border-rows", (5, 9, 8, 9), (6, 9, 5, 3), padding=(3, 1)),
    conv("border-rows-stride", (4, 16, 14, 15), (40, 16, 3, 3), padding=1, stride=2),
    conv("border-rows-groups", (7, 6, 6, 5), (8, 3, 3, 3), padding=4, dilation=(4, 2), groups=2),
    # few channels: rows of several vectors, bands, strides, and taps by phases of it
    conv("direct-wide", (1, 2, 9, 300), (15, 2, 3, 5), padding=(1, 2)),
    conv("direct-bands", (1, 16, 50, 67), (17, 16, 5, 4), padding=(3, 1), stride=(2, 3)),
    conv(
        "direct-dilation", (2, 3, 29, 37), (5, 3, 3, 4), dilation=(3, 2), stride=(4, 3), padding=2
    ),
    conv("direct-long-sum", (1, 15, 12, 17), (3, 15, 7, 7), padding=3),
    # channels
    conv("channels-1", (2, 1, 6, 6), (1, 1, 3, 3)),
    conv("channels-odd", (1, 7, 9, 9), (13, 7, 3, 3), padding=1),
    conv("channels-33-17", (1, 33, 8, 8), (17, 33, 3, 3)),
    conv("few-channels-to-few", (2, 3, 41, 57), (17, 3, 3, 3), stride=2, padding=1),
    # groups
    conv("groups", (2, 6, 7, 7), (9, 2, 3, 3), groups=3, padding=1),
    conv("groups-wide", (1, 64, 6, 6), (64, 16, 3, 3), groups=4, padding=1),
    conv("depthwise", (2, 19, 9, 9), (19, 1, 3, 3), groups=19, padding=1),
    conv("depthwise-stride", (1, 16, 9, 9), (16, 1, 5, 5), groups=16, padding=2, stride=2),
    conv("depthwise-7x7", (2, 33, 12, 17), (33, 1, 7, 7), groups=33, padding=3),
    conv("depthwise-31x31", (1, 18, 20, 23), (18, 1, 31, 31), groups=18, padding=15),
    conv("depthwise-beyond-input", (1, 16, 3, 2), (16, 1, 9, 9), groups=16, padding=(8, 7)),
    conv(
        "depthwise-dilation",
        (1, 19, 12, 15),
        (19, 1, 3, 5),
        groups=19,
        padding=(3, 6),
        dilation=(2, 3),
        stride=(3, 2),
    ),
    conv("depthwise-batch-0", (0, 16, 5, 5), (16, 1, 3, 3), groups=16, padding=1),
    conv("depthwise-rows", (2, 3, 31, 37), (3, 1, 5, 4), groups=3, padding=(2, 3), stride=(2, 1)),
    conv("depthwise-rows-dilated", (1, 2, 60, 40), (2, 1, 3, 3), groups=2, padding=2, dilation=2),
    conv(
        "depthwise-no-row-met",
        (2, 3, 1, 40),
        (3, 1, 2, 3),
        groups=3,
        padding=(1, 1),
        dilation=(2, 1),
    ),
    conv(
        "depthwise-padding-alone", (2, 3, 1, 40), (3, 1, 1, 3), groups=3, padding=1, stride=(3, 1)
    ),
    conv("depthwise-wide-rows", (1, 9, 4, 200), (9, 1, 3, 7), groups=9),
    conv("few-outputs", (2, 19, 11, 10), (2, 19, 3, 3), padding=1),
    conv("depthwise-many-channels", (1, 300, 5, 6), (300, 1, 3, 3), groups=300, padding=1),
    conv("depthwise-512-channels", (1, 512, 5, 6), (512, 1, 3, 3), groups=512, padding=1),
    conv(
        "depthwise-23x23-stride",
        (1, 16, 25, 24),
        (16, 1, 23, 23),
        groups=16,
        padding=11,
        stride=2,
    ),
    conv("groups-of-2", (2, 18, 9, 21), (18, 2, 3, 3), groups=9, padding=1),
    conv("groups-of-4", (1, 36, 7, 9), (36, 4, 3, 3), groups=9, padding=1),
    conv("groups-of-8", (2, 40, 9, 9), (40, 8, 3, 5), groups=5, padding=(1, 2), stride=2),
    conv("groups-of-16", (1, 48, 6, 7), (48, 16, 3, 3), groups=3, padding=1),
    conv("groups-of-20", (2, 60, 6, 17), (60, 20, 3, 3), groups=3, padding=1),
    conv("groups-of-24-stride", (1, 192, 11, 15), (192, 24, 3, 4), groups=8, padding=1, stride=2),
    conv("groups-of-48-stride", (2, 96, 8, 9), (96, 48, 2, 3), groups=2, padding=2, stride=(1, 3)),
    conv("groups-of-33-dilation", (1, 66, 9, 8), (66, 33, 3, 3), groups=2, padding=2, dilation=2),
    conv("groups-of-4-few", (1, 8, 9, 9), (8, 4, 5, 5), groups=2, padding=2, dilation=2),
    conv("channel-multiplier", (1, 5, 8, 8), (15, 1, 3, 3), groups=5),
    conv("groups-one-output-each", (1, 12, 5, 5), (3, 4, 2, 2), groups=3),
    # kernels, strides and paddings
    conv("kernel-is-input", (2, 5, 4, 6), (7, 5, 4, 6)),
    conv("kernel-is-input-groups", (3, 6, 4, 2), (9, 2, 4, 2), groups=3, stride=2),
    conv("kernel-is-padded-input", (1, 3, 3, 2), (4, 3, 7, 6), padding=(2, 2)),
    conv("kernel-beyond-input", (1, 3, 2, 3), (4, 3, 5, 5), padding=3),
    conv("stride-over-kernel", (1, 4, 13, 11), (6, 4, 2, 2), stride=(5, 3)),
    conv("stride-over-input", (1, 4, 5, 5), (6, 4, 3, 3), stride=9),
    conv("asymmetric", (2, 3, 11, 8), (5, 3, 5, 2), stride=(1, 3), padding=(2, 0)),
    conv("padding-over-kernel", (1, 3, 4, 4), (4, 3, 2, 2), padding=4),
    conv("kernel-1x9", (1, 4, 3, 20), (4, 4, 1, 9), padding=(0, 4)),
    conv("kernel-9x1", (1, 4, 20, 3), (4, 4, 9, 1), padding=(4, 0)),
    conv("image-1x1", (3, 10, 1, 1), (12, 10, 1, 1)),
    conv("image-1x1-padded", (1, 10, 1, 1), (12, 10, 3, 3), padding=1),
    conv("image-1xN", (2, 3, 1, 37), (5, 3, 1, 4)),
    conv("image-Nx1", (2, 3, 37, 1), (5, 3, 4, 1)),
    # dilation
    conv("dilation", (2, 5, 12, 13), (6, 5, 3, 3), dilation=2, padding=2),
    conv(
        "dilation-asymmetric",
        (1, 3, 15, 9),
        (4, 3, 3, 2),
        dilation=(4, 3),
        padding=(1, 2),
    ),
    conv(
        "dilation-stride-groups",
        (1, 6, 15, 15),
        (4, 3, 3, 3),
        dilation=3,
        stride=2,
        groups=2,
    ),
    # padding by name
    conv("valid", (1, 3, 6, 6), (4, 3, 3, 3), padding="valid"),
    conv("same-odd", (1, 3, 6, 6), (4, 3, 3, 3), padding="same"),
    conv("same-even", (1, 3, 6, 7), (4, 3, 4, 2), padding="same"),
    conv("same-dilation", (1, 3, 9, 9), (4, 3, 2, 4), padding="same", dilation=(3, 1)),
    conv("same-beyond-input", (1, 2, 2, 2), (3, 2, 6, 7), padding="same"),
    # batches
    conv("unbatched", (8, 9, 10), (16, 8, 3, 3), padding=1),
    conv("unbatched-groups", (4, 6, 6), (6, 2, 3, 3), groups=2, stride=2),
    conv("batch-0", (0, 8, 9, 10), (16, 8, 3, 3), padding=1),
    conv("batch-0-groups", (0, 4, 6, 6), (6, 2, 1, 1), groups=2),
    conv("batch-33", (33, 3, 4, 4), (5, 3, 3, 3), padding=1),
]

CONV1D = [
    conv("usual", (2, 8, 30), (16, 8, 3), padding=1),
    conv("no-bias", (2, 5, 12), (7, 5, 3), bias=False),
    conv("kernel-1", (2, 24, 17), (40, 24, 1)),
    conv("causal-network", (1, 6, 40), (9, 6, 2), dilation=8, padding=8),
    conv("channels-odd", (1, 7, 19), (13, 7, 5), padding=2),
    conv("stride", (2, 3, 41), (8, 3, 7), stride=(3,), padding=2),
    conv("stride-over-input", (1, 4, 5), (6, 4, 3), stride=9),
    conv("dilation-stride-groups", (1, 6, 25), (4, 3, 3), dilation=3, stride=2, groups=2),
    conv("depthwise", (2, 19, 21), (19, 1, 3), groups=19, padding=1),
    conv("depthwise-long", (2, 20, 203), (20, 1, 3), groups=20, padding=4, dilation=4),
    conv("depthwise-long-inside", (1, 3, 130), (3, 1, 6), groups=3),
    conv("kernel-beyond-input", (1, 3, 2), (4, 3, 5), padding=3),
    conv("padding-over-kernel", (1, 3, 4), (4, 3, 2), padding=4),
    conv("long", (1, 2, 5000), (3, 2, 9), padding=4),
    conv("kernel-is-input", (3, 5, 7), (4, 5, 7)),
    conv("groups-of-2", (2, 18, 23), (18, 2, 5), groups=9, padding=2),
    # lines of Winograd's algorithm
    conv("winograd", (2, 17, 29), (33, 17, 3), padding=1),
    conv("winograd-groups", (1, 48, 14), (51, 16, 4), padding=2, groups=3),
    conv("winograd-9-dilated", (2, 16, 40), (19, 16, 9), padding=(13,), dilation=3),
    conv("winograd-many-tiles", (3, 16, 1601), (18, 16, 3), padding=2),
    conv("winograd-few-outputs", (1, 20, 30), (2, 20, 5), padding=2),
    conv("winograd-beyond-input", (2, 16, 2), (16, 16, 5), padding=3),
    conv("groups-of-4", (2, 20, 23), (20, 4, 5), groups=5, padding=2, stride=2),
    conv("same-even", (1, 3, 7), (4, 3, 4), padding="same"),
    conv("valid", (1, 3, 6), (4, 3, 3), padding="valid"),
    conv("unbatched", (8, 9), (16, 8, 3), padding=1),
    conv("batch-0", (0, 8, 9), (16, 8, 3)),
]

CONV3D = [
    conv("usual", (2, 4, 5, 6, 7), (8, 4, 3, 3, 3), padding=1),
    conv("no-bias", (1, 3, 4, 4, 5), (5, 3, 2, 2, 2), bias=False),
    conv("kernel-1", (1, 12, 3, 4, 5), (20, 12, 1, 1, 1)),
    # tiles of Winograd's algorithm that meet a part of the taps of the depth, or none
    conv("winograd-many-tiles", (2, 17, 3, 33, 33), (16, 17, 3, 3, 3), padding=1),
    conv("winograd-border", (3, 17, 2, 6, 7), (19, 17, 3, 3, 3), padding=1),
    conv("winograd-groups", (1, 32, 2, 4, 5), (34, 16, 2, 3, 3), padding=1, groups=2),
    conv("winograd-5x5", (1, 16, 3, 7, 8), (17, 16, 2, 5, 5), padding=(1, 2, 0)),
    conv(
        "winograd-depth",
        (2, 16, 3, 5, 9),
        (33, 16, 3, 3, 3),
        stride=(2, 1, 1),
        padding=(4, 1, 0),
        dilation=(2, 1, 1),
    ),
    # few pixels, whose depths leave out taps of a block of columns that all share
    conv("few-pixels", (1, 10, 2, 5, 6), (259, 10, 3, 3, 3), padding=1),
    conv("few-pixels-stride", (2, 5, 4, 5, 6), (256, 5, 4, 2, 1), padding=2, stride=(2, 1, 2)),
    conv("film", (1, 3, 8, 12, 12), (8, 3, 3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3)),
    conv("winograd", (1, 18, 4, 6, 9), (33, 18, 3, 3, 3), padding=(0, 1, 1)),
    conv("winograd-7x4", (1, 16, 3, 9, 6), (17, 16, 2, 7, 4), padding=(1, 3, 2)),
    conv("winograd-2x1x3", (1, 17, 3, 4, 9), (18, 17, 2, 1, 3), padding=(1, 0, 1)),
    conv("winograd-1x4x2", (2, 16, 2, 7, 4), (16, 16, 1, 4, 2), padding=(0, 1, 1)),
    conv("winograd-dilated", (2, 16, 7, 5, 6), (16, 16, 2, 3, 3), dilation=(3, 1, 1), padding=2),
    conv("kernel-is-input", (2, 4, 3, 2, 4), (5, 4, 3, 2, 4)),
    conv("groups-of-2", (1, 18, 4, 5, 6), (18, 2, 2, 3, 3), groups=9, padding=1),
    conv("depthwise-odd", (2, 17, 5, 4, 7), (17, 1, 3, 3, 3), groups=17, stride=(1, 2, 2)),
    conv("in-time-only", (1, 5, 6, 4, 4), (7, 5, 3, 1, 1), padding=(1, 0, 0)),
    conv("channels-odd", (1, 7, 4, 5, 6), (13, 7, 3, 3, 3), padding=1),
    conv("stride-over-input", (1, 2, 3, 4, 3), (3, 2, 3, 2, 3), stride=9),
    conv("asymmetric", (2, 3, 7, 8, 6), (5, 3, 2, 5, 3), stride=(3, 1, 2), padding=(0, 2, 1)),
    conv(
        "dilation-stride-groups",
        (1, 6, 7, 9, 7),
        (4, 3, 2, 3, 3),
        dilation=(4, 2, 3),
        stride=2,
        groups=2,
    ),
    conv("depthwise", (2, 9, 4, 5, 5), (9, 1, 3, 3, 3), groups=9, padding=1),
    conv("kernel-beyond-input", (1, 2, 1, 2, 3), (3, 2, 5, 5, 5), padding=3),
    conv("same-even", (1, 3, 4, 5, 6), (4, 3, 4, 2, 3), padding="same"),
    conv("unbatched", (4, 4, 5, 6), (6, 4, 3, 3, 3), padding=1),
    conv("batch-0", (0, 4, 4, 5, 6), (6, 4, 3, 3, 3)),
]
