"""Cases of resizing."""

from __future__ import annotations

from ops.pool import pool as case

INTERPOLATE = [
    case("nearest-x2", (2, 5, 6, 20), scale_factor=2),
    case("nearest-x3", (1, 20, 4, 7), scale_factor=3),
    case("nearest-down", (1, 3, 11, 40), size=(5, 20)),
    case("nearest-uneven", (1, 3, 7, 9), size=(10, 23)),
    case("nearest-factor", (1, 3, 10, 10), scale_factor=1.3),
    case("nearest-factor-of-one", (1, 3, 5, 5), scale_factor=1.1),
    case("nearest-1d", (2, 3, 20), size=50),
    case("nearest-3d", (1, 3, 3, 4, 5), scale_factor=(2.0, 1.0, 2.0)),
    case("exact", (1, 3, 7, 9), size=(10, 5), mode="nearest-exact"),
    case("exact-factor", (1, 3, 7, 9), scale_factor=2.4, mode="nearest-exact"),
    case("area", (1, 3, 7, 9), size=(3, 4), mode="area"),
    case("linear", (2, 3, 17), scale_factor=2, mode="linear"),
    case("linear-corners", (2, 3, 17), size=40, mode="linear", align_corners=True),
    case("bilinear-x2", (2, 5, 6, 20), scale_factor=2, mode="bilinear"),
    case("bilinear-x2-channels", (1, 70, 5, 6), scale_factor=2, mode="bilinear"),
    case("bilinear-x2-corners", (1, 3, 6, 20), scale_factor=2, mode="bilinear", align_corners=True),
    case("bilinear-half", (1, 17, 12, 40), scale_factor=0.5, mode="bilinear"),
    case("bilinear-factor", (1, 3, 10, 11), scale_factor=(1.33, 0.71), mode="bilinear"),
    case("bilinear-factor-of-one", (1, 3, 2, 4), scale_factor=(1.35, 1.6), mode="bilinear"),
    case(
        "bilinear-sizes-of-factor",
        (1, 3, 10, 11),
        scale_factor=(1.33, 0.71),
        mode="bilinear",
        recompute_scale_factor=True,
    ),
    case("bilinear-one-pixel", (2, 17, 1, 1), size=(5, 6), mode="bilinear"),
    case("bilinear-to-one-pixel", (2, 3, 5, 6), size=1, mode="bilinear", align_corners=True),
    case("bicubic-x2", (1, 3, 6, 20), scale_factor=2, mode="bicubic"),
    case("bicubic-down", (1, 17, 9, 11), size=(4, 7), mode="bicubic"),
    case("bicubic-corners", (1, 3, 6, 5), size=(9, 12), mode="bicubic", align_corners=True),
    case("bicubic-one-row", (1, 3, 1, 5), size=(3, 9), mode="bicubic"),
    case("trilinear-x2", (1, 3, 3, 4, 9), scale_factor=2, mode="trilinear"),
    case("trilinear-size", (1, 17, 3, 4, 5), size=(4, 3, 7), mode="trilinear"),
    case("two-threads-of-work", (2, 16, 40, 40), scale_factor=2, mode="bilinear"),
    case("batch-0", (0, 3, 4, 5), scale_factor=2, mode="bilinear"),
]
PIXEL_SHUFFLE = [
    case("2", (2, 12, 3, 4), upscale_factor=2),
    case("3-unbatched", (18, 3, 4), upscale_factor=3),
    case("1", (1, 2, 3, 4), upscale_factor=1),
]
PIXEL_UNSHUFFLE = [
    case("2", (2, 3, 6, 4), downscale_factor=2),
    case("3-unbatched", (2, 6, 9), downscale_factor=3),
]
