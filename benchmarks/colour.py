"""Colour at 200 bytes: CIFAR-10 and previews of photographs, beside WebP, JPEG, JPEG XL, AVIF and principal components.

    ATLC_DATA=... python benchmarks/colour.py --codecs FOLDER

FOLDER holds model folders, of codecs that `atlc train` made of the training images of these sets; without it, only the
others are measured. A stopped run goes on; to measure everything again, delete runs/colour.json. Needs the extras
`train` and `dev`, and an hour."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pillow_jxl.JpegXLImagePlugin  # noqa: F401
import report
from inputs import Images
from PIL import Image
from report import Row, Table
from rivals import IMAGE_CODECS, WITHOUT_HEADERS, Components, ImageCodec, load
from skimage.metrics import structural_similarity

from atlcodec import metrics, picture, record
from atlcodec.codec import Codec
from atlcodec.fit import Fit
from atlcodec.sets.dataset import load as load_set
from atlcodec.training.data import split_validation

BYTES = record.RECORD_BYTES
PREVIEW = 64  # side of a preview, to which photographs are stretched
PHOTOGRAPHS = ("Flowers", "Caltech101", "Clothing")
VALIDATION = 5000  # training images of CIFAR-10
WEBP, JXL, _ = IMAGE_CODECS
JPEG, AVIF = WITHOUT_HEADERS
SHOWN = "Clothing"  # its pictures are in the public domain
COLUMNS, ENLARGED = 8, 2  # of the sheet
KNOWN = report.Known("colour")
Figures = dict[str, float]


@dataclass(frozen=True)
class Pictures:
    """Training and test pictures of one shape, uint8 (N, H, W, 3). `shown` is the range of the test pictures that the
    sheet is made of."""

    name: str
    train: Images
    test: Images
    shown: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Smaller:
    """An image codec that is given a smaller picture, which is scaled back."""

    codec: ImageCodec
    side: int

    @property
    def name(self) -> str:
        return f"{self.codec.name}, of {self.side} x {self.side} pixels"

    def __call__(self, image: Images) -> tuple[Images, int]:
        """The picture as it comes back, and its bytes."""
        size = image.shape[1], image.shape[0]
        small = np.asarray(Image.fromarray(image).resize((self.side, self.side), Image.Resampling.LANCZOS))
        file = self.codec.best_that_fits(image if size == small.shape[:2] else small, BYTES)
        decoded = load(file, self.codec.format, "RGB")
        back = decoded if size == decoded.shape[:2] else Image.fromarray(decoded).resize(size, Image.Resampling.BICUBIC)
        return np.asarray(back), self.codec.counted(file)


def main() -> None:
    options = report.arguments(__doc__, {"codecs": ""}, images=10_000)
    codecs = [Codec.load(folder) for folder in sorted(Path(options.codecs).iterdir())] if options.codecs else []
    sets = [*cifar(options.images), previews(options.images)]
    tables = [Table(f"{one.name}, {len(one.test):,} pictures", rows(one, codecs), *notes()) for one in sets]
    facts = {
        **report.versions("pillow-jxl-plugin", "scikit-image"),
        "codecs": ", ".join(codec.name for codec in codecs),
    }
    report.publish("colour", f"Colour at {BYTES} bytes", tables, options.output, facts)
    sheet(sets[-1], codecs).save(options.output / "colour.png", optimize=True)


def cifar(most: int) -> Iterator[Pictures]:
    data = load_set("CIFAR10")
    learnt, held_out = split_validation(data.train, VALIDATION)
    assert data.test is not None
    yield Pictures("CIFAR-10, official test pictures", data.train.images, data.test.images[:most])
    yield Pictures("CIFAR-10, validation", learnt.images, held_out.images[:most])


def previews(most: int) -> Pictures:
    """Photographs stretched to squares."""
    found: dict[str, list[Images]] = {"train": [], "test": []}
    shown = 0, 0
    for name in PHOTOGRAPHS:
        for split, images in found.items():
            paths = sorted(Path(os.environ["ATLC_DATA"], name, split).glob("*/*"))
            kept = paths[:: -(-len(paths) * len(PHOTOGRAPHS) // most)] if split == "test" else paths
            if name == SHOWN and split == "test":
                shown = len(images), len(images) + len(kept)
            images += [preview(path) for path in kept]
    return Pictures("Photographs, 64 x 64", np.stack(found["train"]), np.stack(found["test"]), shown)


def preview(path: Path) -> Images:
    return picture.read(path, Fit("stretch", background="auto"), shape=(PREVIEW, PREVIEW, 3))


def rows(pictures: Pictures, codecs: list[Codec]) -> Iterator[Row]:
    def row(name: str, run: Callable[[], Figures]) -> Row:
        return {"": name, **KNOWN.find(f"{name}: {len(pictures.test)} of {pictures.name}", run)}

    test = pictures.test
    for codec in fitting(pictures, codecs):
        for effort in (0, codec.model.card.effort):
            name = f"atlcodec, {codec.name} {codec.id:08x}, effort {effort}"
            yield row(name, lambda codec=codec, effort=effort: of_records(codec, test, effort))  # type: ignore[misc]
    linear = f"principal components, {8 * BYTES:,} bits"
    yield row(linear, lambda: figures(test, Components.fit(pictures.train, 8 * BYTES).decoded(test), BYTES))
    for peer in peers(test.shape[1]):
        yield row(peer.name, lambda peer=peer: of_files(peer, test))  # type: ignore[misc]


def fitting(pictures: Pictures, codecs: list[Codec]) -> list[Codec]:
    return [codec for codec in codecs if codec.shape == pictures.test.shape[1:]]


def peers(side: int) -> list[Smaller]:
    """Each image codec, with the sides that are of use to it."""
    sides = ((WEBP, (64, 48, 40, 32, 24)), (JPEG, (64, 42, 32, 24)), (JXL, (64, 32)), (AVIF, (64, 32)))
    return [Smaller(codec, each) for codec, found in sides for each in found if each <= side]


def of_records(codec: Codec, test: Images, effort: int) -> Figures:
    return figures(test, codec.decode(codec.encode(test, effort)), BYTES)


def of_files(peer: Smaller, test: Images) -> Figures:
    decoded, sizes = zip(*map(peer, test), strict=True)
    return figures(test, np.stack(decoded), sum(sizes) / len(sizes))


def figures(test: Images, decoded: Images, size: float) -> Figures:
    errors = metrics.squared_error(test, decoded)
    ssim: Any = structural_similarity
    similar = [ssim(one, other, channel_axis=2, data_range=255) for one, other in zip(test, decoded, strict=True)]
    return {
        "bytes a picture": size,
        "PSNR pooled, dB": metrics.psnr(float(np.maximum(errors, metrics.FLOOR).mean())),
        "PSNR mean per picture, dB": float(metrics.psnr_each(errors).mean()),
        "SSIM, %": 100 * float(np.mean(similar)),
    }


def notes() -> Iterator[str]:
    yield f"""Of each picture the quality that fits {BYTES} bytes and loses least, near the result of a bisection; where
        none fits, the lowest quality, so that the mean size tells. A smaller picture is reduced by Lanczos and enlarged
        by a bicubic filter."""
    yield """JPEG without its headers: the bytes of its scan, with the standard Huffman tables, since a reader can know
        the rest. AVIF without its headers: the content of its box mdat."""
    yield "An error of zero counts as 68 dB. SSIM: scikit-image's, windows of 7 x 7 pixels, the mean of the channels."


def sheet(pictures: Pictures, codecs: list[Codec]) -> Image.Image:
    """Pictures side by side: a row of originals, then one of each way to store them."""
    test = pictures.test[slice(*pictures.shown)]
    test = test[:: max(1, len(test) // COLUMNS)][:COLUMNS]
    found = [test]
    found += [codec.decode(codec.encode(test)) for codec in fitting(pictures, codecs)]
    found.append(Components.fit(pictures.train, 8 * BYTES).decoded(test))
    found += [np.stack([peer(image)[0] for image in test]) for peer in (Smaller(WEBP, 40), Smaller(JPEG, 32))]
    pixels = np.concatenate([np.concatenate(list(row), axis=1) for row in found])
    large = pixels.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    return Image.fromarray(large)


if __name__ == "__main__":
    main()
