"""Cases of transposed convolution; beside those of every rank, the far end in two dimensions."""

from __future__ import annotations

from typing import Any

from ops.case import Case

Shape = tuple[int, ...]


def up(name: str, input: Shape, weight: Shape, bias: bool = True, **options: Any) -> Case:
    arrays = {"input": input, "weight": weight}
    channels = (weight[1] * options.get("groups", 1),)
    return Case(name, arrays | ({"bias": channels} if bias else {}), options)


CONV_TRANSPOSE1D = [
    up("usual", (2, 6, 9), (6, 4, 3)),
    up("stride", (2, 5, 8), (5, 7, 4), stride=2, padding=1),
    up("output-padding", (1, 5, 8), (5, 3, 3), stride=(3,), padding=(1,), output_padding=(2,)),
    up("dilation-groups", (2, 6, 7), (6, 2, 3), dilation=3, groups=3),
    up("depthwise", (1, 13, 9), (13, 1, 4), groups=13, stride=2, padding=1),
    up("no-bias", (1, 3, 5), (3, 2, 2), bias=False),
    up("long", (1, 2, 3000), (2, 3, 5), stride=2, padding=2),
    up("winograd", (2, 18, 13), (18, 33, 3), padding=1),
    up("image-1", (2, 6, 1), (6, 3, 4), groups=2),
    up("groups-of-2", (1, 18, 9), (18, 2, 5), groups=9, stride=3, padding=1),
    up("unbatched", (4, 6), (4, 5, 3), stride=2),
    up("batch-0", (0, 4, 6), (4, 5, 3), stride=2),
]

CONV_TRANSPOSE2D = [
    # the layers of published networks, made small
    up("dcgan-4x4", (2, 16, 5, 6), (16, 8, 4, 4), stride=2, padding=1, bias=False),
    up("unet-2x2", (1, 12, 6, 7), (12, 6, 2, 2), stride=2),
    up("fcn-bilinear", (1, 3, 5, 5), (3, 3, 16, 16), stride=8, padding=4, bias=False),
    up("3x3", (2, 8, 7, 8), (8, 5, 3, 3), padding=1),
    up("winograd", (2, 19, 7, 8), (19, 34, 3, 3), padding=1),
    up("two-threads-of-work", (2, 24, 20, 20), (24, 16, 4, 4), stride=2, padding=1),
    # channels and groups
    up("channels-1", (2, 1, 5, 5), (1, 1, 3, 3)),
    up("channels-odd", (1, 13, 6, 5), (13, 7, 3, 3), stride=2, padding=1),
    up("groups", (2, 6, 5, 6), (6, 3, 3, 3), groups=3, stride=2, padding=1),
    up("depthwise", (1, 9, 6, 6), (9, 1, 3, 3), groups=9, stride=2, padding=1),
    up("depthwise-stride-over-kernel", (2, 18, 4, 5), (18, 1, 2, 2), groups=18, stride=3),
    up("groups-of-2", (1, 18, 5, 6), (18, 2, 4, 4), groups=9, stride=2, padding=1),
    up("groups-of-4", (1, 24, 5, 6), (24, 4, 4, 4), groups=6, stride=2, padding=1),
    # kernels, strides and paddings
    up("1x1", (2, 7, 4, 5), (7, 9, 1, 1)),
    up("1x1-stride", (1, 4, 4, 5), (4, 6, 1, 1), stride=3),  # most outputs meet no input
    up("stride-over-kernel", (1, 3, 4, 3), (3, 4, 2, 2), stride=(5, 3)),
    up("asymmetric", (2, 3, 6, 5), (3, 5, 5, 2), stride=(1, 3), padding=(2, 0)),
    up("padding-leaves-1x1", (1, 3, 3, 3), (3, 4, 3, 3), padding=2),
    up("padding-over-kernel", (1, 3, 8, 9), (3, 4, 2, 2), padding=3),
    up("kernel-over-image", (1, 3, 1, 2), (3, 4, 5, 4), padding=1),
    up("image-1x1", (3, 10, 1, 1), (10, 6, 4, 4)),
    up("dilation", (1, 4, 5, 6), (4, 3, 3, 2), dilation=(2, 3), padding=(1, 2)),
    up("dilation-stride-groups", (1, 6, 5, 4), (6, 2, 3, 3), dilation=3, stride=2, groups=2),
    # output_padding
    up("output-padding", (1, 5, 4, 5), (5, 3, 3, 3), stride=2, padding=1, output_padding=1),
    up(
        "output-padding-asymmetric",
        (2, 3, 4, 3),
        (3, 4, 3, 2),
        stride=(2, 4),
        output_padding=(0, 3),
    ),
    # as large as the stride: the convolution of the output would have more positions
    up("output-padding-over-stride", (1, 3, 4, 5), (3, 2, 3, 3), dilation=3, output_padding=2),
    # batches
    up("unbatched", (8, 5, 6), (8, 6, 3, 3), stride=2, padding=1),
    up("unbatched-groups", (4, 5, 5), (4, 3, 2, 2), groups=2, stride=2),
    up("batch-0", (0, 8, 5, 6), (8, 6, 3, 3), stride=2),
    up("batch-33", (33, 3, 3, 3), (3, 5, 3, 3), padding=1),
]

CONV_TRANSPOSE3D = [
    up("usual", (2, 4, 3, 4, 5), (4, 6, 3, 3, 3), padding=1),
    up("image-1x1x1", (2, 5, 1, 1, 1), (5, 3, 2, 3, 2)),
    up("groups-of-4", (1, 20, 2, 3, 4), (20, 4, 2, 3, 3), groups=5, stride=2),
    up("depthwise", (1, 17, 3, 2, 4), (17, 1, 2, 2, 3), groups=17, padding=1),
    up("winograd", (1, 17, 3, 4, 5), (17, 16, 2, 3, 3), padding=(0, 2, 1)),
    up("stride", (1, 5, 3, 4, 3), (5, 3, 2, 2, 2), stride=2),
    up(
        "output-padding",
        (1, 4, 3, 2, 4),
        (4, 3, 3, 3, 3),
        stride=(1, 2, 3),
        padding=1,
        output_padding=(0, 1, 2),
    ),
    up("dilation-groups", (1, 6, 3, 3, 4), (6, 2, 2, 3, 2), dilation=(3, 1, 2), groups=3),
    up("no-bias", (1, 3, 2, 3, 2), (3, 2, 2, 2, 2), bias=False),
    up("unbatched", (4, 3, 3, 4), (4, 5, 3, 2, 3), stride=2),
    up("batch-0", (0, 4, 3, 3, 4), (4, 5, 3, 2, 3), stride=2),
]
