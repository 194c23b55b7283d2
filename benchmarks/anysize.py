"""Images of any size: photographs as grids of tiles, beside WebP, JPEG and principal components; labels, crops, seams.

    python benchmarks/anysize.py --codec colour

`--codec` names the codec of the tiles, or its folder; one for grey images gets grey copies. `--data` names a folder of
photographs instead of those of scikit-image. Needs the extra `train` and scikit-image."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pixel_classifiers
import report
import timing
from PIL import Image
from report import Cell, Row, Table
from rivals import IMAGE_CODECS, WITHOUT_HEADERS, Components, Pixels, load, save

import atlcodec
from atlcodec import description, grid, grid_encoder, metrics, picture
from atlcodec.codec import Codec
from atlcodec.fit import Fit
from atlcodec.grid import Whole
from atlcodec.record import RECORD_BYTES, as_records

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")
WEBP, _, JPEG = IMAGE_CODECS
BARE_JPEG = WITHOUT_HEADERS[0]
BITS = RECORD_BYTES * 8
LEARNED = 1500  # crops of each other photograph that the components come from
CROP = (1700, 1900, 200, 100)  # left, top, width, height, in parts of 4,000
CHUNK = 1024  # tiles that the CNN sees at a time
PEAK = """
import sys
from atlcodec.cli import main
sys.argv = ["atlc", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def main() -> None:
    choices = {"codec": "colour", "data": "", "effort": -1}
    options = report.arguments(__doc__, choices, photographs=1000, tiles=300, side=4000, rounds=5)
    codec, effort = Codec.load(options.codec), None if options.effort < 0 else options.effort
    images = dict(list(photographs(options.data, codec).items())[: options.photographs])
    scene = tiled(next(iter(images.values())), options.side)
    tables = [
        Table(
            "Whole photographs, with the same number of bytes",
            [row for name, image in images.items() for row in whole(name, image, codec, effort)],
            "Seconds are of one call, with all threads for atlcodec and one for Pillow.",
        ),
        Table(
            f"Tile by tile, {RECORD_BYTES} bytes each: PSNR in dB",
            [tile_by_tile(name, images, codec, effort, options.tiles) for name in images],
            f"Up to {options.tiles} tiles of each photograph, which do not overlap. The components come from crops of "
            "the other photographs.",
        ),
        Table(
            "Seams: grey levels between neighbouring pixels, less those of the original",
            [seams(name, image, codec, effort) for name, image in images.items()],
        ),
        labels(scene, codec, options.rounds),
        memory(scene, codec),
    ]
    facts: dict[str, Cell] = {"codec": f"{codec.name} {codec.id:08x}", **report.versions("scikit-image")}
    report.publish("anysize", "Images of any size", tables, options.output, facts)


def photographs(folder: str, codec: Codec) -> dict[str, Pixels]:
    """By name, in grey or in colour as the codec takes them."""
    how = Fit(gray=len(codec.shape) == 2, background="black")
    if folder:
        files = sorted(
            path for path in Path(folder).iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")
        )
        found = {path.name: picture.upright(path, how, grey=how.gray)[0] for path in files}
        return {name: np.asarray(image.rows(0, image.shape[0])) for name, image in found.items()}
    from skimage import data

    arrays: dict[str, Any] = {name: getattr(data, name)() for name in PHOTOGRAPHS}
    return {
        name: picture.read(Image.fromarray(array), how, shape=shaped(array, codec)) for name, array in arrays.items()
    }


def shaped(array: Pixels, codec: Codec) -> tuple[int, ...]:
    return (*array.shape[:2], *codec.shape[2:])


def tiled(image: Pixels, side: int) -> Pixels:
    """A large scene: the photograph and its mirror images beside each other."""
    pair = np.concatenate([image, image[:, ::-1]], axis=1)
    block = np.concatenate([pair, pair[::-1]])
    times = [-(-side // extent) for extent in block.shape[:2]]
    return np.ascontiguousarray(np.tile(block, (*times, *[1] * (image.ndim - 2)))[:side, :side])


def encoded(image: Pixels, codec: Codec, effort: int | None) -> bytes:
    return bytes(grid_encoder.encode(Whole(image), [codec], effort).data)


def whole(name: str, image: Pixels, codec: Codec, effort: int | None) -> list[Row]:
    """A photograph in tiles, and as files of the other formats that have at most as many bytes."""
    data, took = timed(partial(encoded, image, codec, effort))
    back, decoding = timed(partial(atlcodec.decode_image, data))
    rows = [figures(name, codec.name, image, back, len(data), took, decoding)]
    for rival in (WEBP, JPEG):
        file = rival.best_that_fits(image, len(data))
        settings = {**rival.settings, "quality": 75}
        _, took = timed(partial(save, image, rival.format, settings))
        back, decoding = timed(partial(load, file, rival.format, "L" if image.ndim == 2 else "RGB"))
        rows.append(figures(name, rival.name, image, back, len(file), took, decoding))
    return rows


def timed(call: Any) -> tuple[Any, float]:
    """What a call returns, and how long it takes when caches are full."""
    call()
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


def figures(name: str, coder: str, image: Pixels, back: Pixels, size: int, took: float, decoding: float) -> Row:
    from skimage.metrics import structural_similarity

    ssim: Any = structural_similarity
    similar = float(ssim(image, back, data_range=255, channel_axis=2 if image.ndim == 3 else None))
    row: Row = {"": name, "coder": coder, "bytes": size, "PSNR, dB": psnr(image, back), "SSIM, %": 100 * similar}
    return row | {"encode, s": round(took, 4), "decode, s": round(decoding, 4)}


def psnr(image: Pixels, back: Pixels) -> float:
    return metrics.psnr(float(metrics.squared_error(image[None], back[None])[0]))


def tile_by_tile(name: str, images: dict[str, Pixels], codec: Codec, effort: int | None, most: int) -> Row:
    """Tiles of one photograph, each by itself."""
    tiles = inside(images[name], codec)
    tiles = tiles[:: max(1, len(tiles) // most)][:most]
    rng, crops = np.random.default_rng(0), list[Pixels]()
    height, width = codec.shape[:2]
    for other in (image for one, image in images.items() if one != name or len(images) == 1):
        for _ in range(LEARNED):
            top, left = (
                int(rng.integers(0, side - own + 1)) for side, own in zip(other.shape, (height, width), strict=False)
            )
            crops.append(other[top : top + height, left : left + width])
    mode = "L" if len(codec.shape) == 2 else "RGB"
    bare = np.stack([load(BARE_JPEG.best_that_fits(tile, RECORD_BYTES), "JPEG", mode) for tile in tiles])
    found = {
        codec.name: codec.decode(codec.encode(tiles, effort)),
        BARE_JPEG.name: bare,
        f"principal components, {BITS:,} bits": Components.fit(np.stack(crops), BITS).decoded(tiles),
    }
    row: Row = {"": name, "tiles": len(tiles)}
    return row | {
        coder: metrics.psnr(float(metrics.squared_error(tiles, back).mean())) for coder, back in found.items()
    }


def inside(image: Pixels, codec: Codec) -> Pixels:
    """The tiles that do not reach beyond the image."""
    height, width = codec.shape[:2]
    down, across = (side // own for side, own in zip(image.shape, (height, width), strict=False))
    part = image[: down * height, : across * width].reshape(down, height, across, width, -1)
    return np.ascontiguousarray(part.swapaxes(1, 2)).reshape(-1, *codec.shape)


def seams(name: str, image: Pixels, codec: Codec, effort: int | None) -> Row:
    """The step between neighbours, less that of the original, where tiles meet or overlap, and elsewhere."""
    data = encoded(image, codec, effort)
    described, back = description.unpack(data[:RECORD_BYTES]), atlcodec.decode_image(data).astype(int)
    here, there = list[float](), list[float]()
    for axis in (0, 1):
        steps = np.abs(np.diff(back, axis=axis)) - np.abs(np.diff(image.astype(int), axis=axis))
        means = steps.swapaxes(0, axis).reshape(len(steps.swapaxes(0, axis)), -1).mean(axis=1)
        place, step = np.arange(len(means)) + 1, described.steps[axis]
        seam = (place >= step) & (place % step <= described.overlap)
        here.append(float(means[seam].mean()))
        there.append(float(means[~seam].mean()))
    across, elsewhere = float(np.mean(here)), float(np.mean(there))
    row: Row = {"": name, "overlap": described.overlap, "across seams": across, "elsewhere": elsewhere}
    return row | {"difference": across - elsewhere}


def labels(scene: Pixels, codec: Codec, rounds: int) -> Table:
    """Seconds until all tiles of a scene have their labels, and until a crop is decoded."""
    data = bytes(grid_encoder.encode(Whole(scene), [codec], 0, 0).data)
    records, mode = as_records(data)[1:], "L" if scene.ndim == 2 else "RGB"
    file = as_webp(scene, len(data))
    net = pixel_classifiers.cnn(pixel_classifiers.multiplications(codec.head.file()), len(codec.labels), codec.shape)
    run = pixel_classifiers.runner(pixel_classifiers.onnx_file(net, codec.shape), 1)
    described = description.unpack(data[:RECORD_BYTES])
    left, top, width, height = (number * scene.shape[0] // 4000 for number in CROP)

    def webp_and_cnn() -> None:
        for tiles in grid.cut(Whole(load(file, "WEBP", mode)), described, len(codec.shape) == 3):
            for start in range(0, len(tiles), CHUNK):
                run(tiles[start : start + CHUNK])

    os.environ["ATLC_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scene.atlc")
        path.write_bytes(data)
        calls: timing.Calls = {
            "labels of all tiles": lambda: codec.classify(records),
            "WebP decoded, and a CNN on its tiles": webp_and_cnn,
            "a crop of the grid": lambda: atlcodec.decode_image(path, (left, top, width, height)),
            "a crop of the WebP file": lambda: load(file, "WEBP", mode)[top : top + height, left : left + width],
        }
        best = timing.best(calls, rounds)
    os.environ.pop("ATLC_THREADS")
    rows: list[Row] = [{"": name, "ms": 1000 * seconds} for name, seconds in best.items()]
    times = best["WebP decoded, and a CNN on its tiles"] / best["labels of all tiles"]
    note = f"""{len(records):,} tiles of {codec.name}, one thread; the labels come {times:.1f} times as fast from the
        records. The CNN has as many multiplications as the head; the crop has {width} x {height} pixels."""
    return Table(f"A scene of {scene.shape[1]:,} x {scene.shape[0]:,} pixels", rows, note)


def as_webp(scene: Pixels, size: int) -> bytes:
    """The scene as a WebP file of about as many bytes: the quality is found on a part of it."""
    part = scene[: min(len(scene), 512), : min(scene.shape[1], 512)]
    limit = size * part[..., :1].size // scene[..., :1].size
    low, high = 0, 100
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(save(part, "WEBP", {"quality": middle})) <= limit else (low, middle - 1)
    return save(scene, "WEBP", {"quality": low})


def memory(scene: Pixels, codec: Codec) -> Table:
    """The most memory that `atlc` takes for the scene, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "scene.png").write_bytes(save(scene, "PNG", {"compress_level": 1}))
        Image.fromarray(scene[:30, :30]).save(Path(folder, "small.png"))
        model = ["-m", str(codec.model.folder), "--effort", "0"]
        runs = {
            "encode": ["encode", "scene.png", "--grid", *model],
            "encode, an image of 30 x 30": ["encode", "small.png", "--grid", *model],
            "decode": ["decode", "scene.atlc", "-m", str(codec.model.folder)],
        }
        rows: list[Row] = []
        for name, arguments in runs.items():
            command = [sys.executable, "-c", PEAK, *arguments]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            rows.append({"": name, "peak, MB": int(done.stdout.split()[-1]) / 1024})
    copy = scene.shape[0] * scene.shape[1] * (1 if scene.ndim == 2 else 4) / (1 << 20)
    return Table("Memory of a whole process", rows, f"Pillow's copy of the image alone has {copy:.0f} MB.")


if __name__ == "__main__":
    main()
