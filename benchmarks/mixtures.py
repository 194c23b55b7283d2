"""What the universal codecs learn from: data sets, photographs, and characters and drawings made by this program.

    ATLC_DATA=... python benchmarks/mixtures.py grey FOLDER      28 x 28, grey
    ATLC_DATA=... python benchmarks/mixtures.py colour FOLDER    32 x 32, in colour
    ATLC_DATA=... python benchmarks/mixtures.py photo FOLDER     64 x 64, in colour

FOLDER/labelled holds images with labels, FOLDER/others.npz images without; `atlc train` takes them as --data and
--unlabelled. FOLDER/test has what the codecs are measured on beside official test sets: none of it was learned from.
`Clothing` and what `drawn.py` draws are left out. Characters need fonts: on Debian, 559 of them are in the packages
that FONTS names. The same seed, fonts and data make the same images. Needs the extra `train`."""

from __future__ import annotations

import argparse
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from drawn import FINE, bent, reduced
from fontTools.ttLib import TTLibError
from fontTools.ttLib.ttFont import TTFont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from atlcodec.sets import official
from atlcodec.sets.dataset import Dataset, load
from atlcodec.shape import Shape
from atlcodec.training.data import split_validation

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
T = TypeVar("T")

FONTS = """fonts-comfortaa fonts-comic-neue fonts-cantarell fonts-crosextra-caladea fonts-crosextra-carlito
fonts-dancingscript fonts-ebgaramond fonts-ecolier-court fonts-firacode fonts-freefont-ttf fonts-hack fonts-hosny-amiri
fonts-humor-sans fonts-inconsolata fonts-isabella fonts-junicode fonts-jura fonts-kristi fonts-lato fonts-liberation
fonts-linuxlibertine fonts-mononoki fonts-noto-cjk fonts-noto-core fonts-oldstandard fonts-open-sans fonts-play
fonts-breip fonts-quicksand fonts-roboto-unhinted fonts-rufscript fonts-sil-gentium fonts-symbola fonts-tomsontalks
fonts-unfonts-core fonts-vollkorn fonts-yanone-kaffeesatz"""
NOT_LEARNED = "DejaVu"  # what drawn.py draws with
# First and last code of the scripts, by how much they are learned: a script counts as often as it is named.
LEARNED = (
    [(0x21, 0x7E)] * 6
    + [(0xA1, 0x17F)] * 2
    + [(0x370, 0x3FF)] * 2
    + [(0x400, 0x4FF)] * 3
    + [(0x3041, 0x30FE)] * 3
    + [(0x4E00, 0x9FA5)] * 6
    + [(0xAC00, 0xD7A3)] * 2
    + [(0x5D0, 0x5EA), (0x621, 0x64A), (0x904, 0x939), (0x985, 0x9B9), (0xB85, 0xBB9), (0x1780, 0x17B3)]
    + [(0x2190, 0x21FF), (0x2200, 0x22FF), (0x25A0, 0x25FF), (0x2600, 0x26FF)]
)
# Georgian, Armenian, Thai, Ethiopic, Cherokee
HELD_OUT = [(0x10D0, 0x10F0), (0x531, 0x586), (0xE01, 0xE30), (0x1200, 0x135A), (0x13A0, 0x13F4)]

SOFTEST = 0.6  # pixels by which characters and drawings are blurred at most
SCALES = (0.5, 4.0)  # of crops: pixels of a crop for a pixel of the photograph
PHOTOGRAPHS, UNSEEN = ("Flowers", "Caltech101"), ("Flowers", "Caltech101", "Clothing")
VALIDATION = 5000  # images of each labelled set
CHARACTERS, DRAWINGS = 60_000, 30_000
CROPS = {"grey": 10, "colour": 16, "photo": 8}  # of a photograph
TESTED = 2000  # characters and drawings


# -- characters --------------------------------------------------------------------------------------------------------


class Fonts:
    """The fonts of a folder, and which characters they have."""

    def __init__(self, folder: Path) -> None:
        self._characters: dict[Path, NDArray[np.int64]] = {}
        for path in sorted(folder.rglob("*.[ot]t[fc]")):
            if NOT_LEARNED in path.name or "Emoji" in path.name:
                continue
            try:
                with TTFont(path, fontNumber=0, lazy=True) as font:
                    codes = np.array(sorted(font.getBestCmap() or ()), np.int64)
            except (TTLibError, OSError):
                continue
            if len(codes):
                self._characters[path] = codes
        self.paths = tuple(self._characters)

    def having(self, first: int, last: int) -> list[tuple[Path, Labels]]:
        """The fonts with characters of a script, and these."""
        found = ((path, codes[(codes >= first) & (codes <= last)]) for path, codes in self._characters.items())
        return [(path, codes) for path, codes in found if len(codes)]


def characters(fonts: Fonts, scripts: list[tuple[int, int]], count: int, side: int, seed: list[int]) -> Images:
    """Characters of any weight and size, turned and sheared a little, white on black or black on white: uint8 (count,
    side, side)."""
    rng = np.random.default_rng(seed)
    having = {script: found for script in dict.fromkeys(scripts) if (found := fonts.having(*script))}
    drawn = np.empty((count, side, side), np.uint8)
    known = [script for script in scripts if script in having]
    for index in range(count):
        path, codes = _one(rng, having[_one(rng, known)])
        drawn[index] = polarised(rng, _character(rng, path, chr(rng.choice(codes)), side))
    return drawn


def _character(rng: np.random.Generator, path: Path, text: str, side: int) -> Images:
    large = side * FINE
    canvas, half = Image.new("L", (large, large)), large / 2
    font = ImageFont.truetype(str(path), int(rng.uniform(0.5, 1.0) * large))
    try:
        ImageDraw.Draw(canvas).text((half, half), text, 255, font, "mm", stroke_width=int(rng.integers(0, 5)))
    except OSError:  # a glyph that FreeType cannot draw
        return np.zeros((side, side), np.uint8)
    return np.asarray(reduced(rng, bent(rng, canvas, 0.08), side, SOFTEST), np.uint8)


# -- drawings ----------------------------------------------------------------------------------------------------------


def drawings(count: int, side: int, seed: list[int]) -> Images:
    """A few strokes, curves and filled shapes in any greys: uint8 (count, side, side)."""
    rng = np.random.default_rng(seed)
    return np.stack([polarised(rng, _drawing(rng, side)) for _ in range(count)])


def _drawing(rng: np.random.Generator, side: int) -> Images:
    large = side * FINE
    canvas = Image.new("L", (large, large), int(rng.integers(0, 60)) if rng.random() < 0.3 else 0)
    pen = ImageDraw.Draw(canvas)
    sketch = rng.random() < 0.5  # strokes of one pen, or shapes of any
    pen_width, ink = int(rng.uniform(0.7, 3) * FINE), int(rng.integers(150, 256))
    for _ in range(rng.integers(1, 6)):
        grey, width = (ink, pen_width) if sketch else (int(rng.integers(60, 256)), int(rng.uniform(0.7, 4) * FINE))
        match rng.integers(4):
            case 0:
                pen.line(_curve(rng, large), grey, width, joint="curve")
            case 1:
                points = rng.uniform(0.05, 0.95, (int(rng.integers(2, 6)), 2)) * large
                pen.line(points.ravel().tolist(), grey, width, joint="curve")
            case 2:
                corners = np.sort(rng.uniform(0.05, 0.95, (2, 2)), axis=0) * large
                draw = pen.rectangle if rng.random() < 0.4 else pen.ellipse
                draw(corners.ravel().tolist(), None if sketch or rng.random() < 0.5 else grey, grey, width)
            case _:
                points = rng.uniform(0.05, 0.95, (int(rng.integers(3, 6)), 2)) * large
                pen.polygon(points.ravel().tolist(), None if sketch or rng.random() < 0.5 else grey, grey, width)
    return np.asarray(reduced(rng, canvas, side, SOFTEST), np.uint8)


def _curve(rng: np.random.Generator, large: int) -> list[float]:
    """A Bezier curve, as points one after another."""
    a, b, c, d = rng.uniform(-0.1, 1.1, (4, 2)) * large
    at = np.linspace(0, 1, 24)[:, None]
    points = a * (1 - at) ** 3 + 3 * b * at * (1 - at) ** 2 + 3 * c * at**2 * (1 - at) + d * at**3
    return [float(value) for value in points.ravel()]


def polarised(rng: np.random.Generator, image: Images) -> Images:
    """Half of the images, chosen at random, are inverted."""
    return 255 - image if rng.random() < 0.5 else image


# -- photographs -------------------------------------------------------------------------------------------------------


def photographs(data: Path, sets: tuple[str, ...], split: str) -> Iterator[Image.Image]:
    for name in sets:
        for path in sorted(data.joinpath(name, split).rglob("*")):
            if path.is_file():
                yield Image.open(path).convert("RGB")


def crops(pictures: Iterator[Image.Image], each: int, shape: Shape, seed: list[int]) -> Images:
    """Squares at any place, of a scale within `SCALES`, every second one mirrored: uint8 (N, *shape)."""
    rng, side = np.random.default_rng(seed), shape[0]
    found = []
    for picture in pictures:
        for _ in range(each):
            scale = np.exp(rng.uniform(*np.log(SCALES)))
            size = min(side / scale, *picture.size)
            x, y = (rng.uniform(0, length - size) for length in picture.size)
            how = Image.Resampling.BICUBIC if size < side else Image.Resampling.LANCZOS
            crop = picture.resize((side, side), how, box=(x, y, x + size, y + size))
            if rng.random() < 0.5:
                crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            found.append(np.asarray(crop if len(shape) == 3 else crop.convert("L"), np.uint8))
    return np.stack(found)


# -- the three mixtures ------------------------------------------------------------------------------------------------


def grey(data: Path, folder: Path, fonts: Fonts) -> None:
    """MNIST, Fashion-MNIST and KMNIST with 30 labels, half of the images inverted; and others."""
    sets = [load(str(data / name)) for name in official.OFFICIAL]
    write_idx(folder / "labelled", sets)
    shape, side = sets[0].shape, sets[0].shape[0]
    learned = photographs(data, PHOTOGRAPHS, "train")
    others = [
        characters(fonts, LEARNED, CHARACTERS, side, [0, 0]),
        drawings(DRAWINGS, side, [0, 1]),
        crops(learned, CROPS["grey"], shape, [0, 2]),
    ]
    write_others(folder, np.concatenate(others))
    np.savez(
        _made(folder / "test") / "test.npz",
        characters=characters(fonts, HELD_OUT, TESTED, side, [1, 0]),
        drawings=drawings(TESTED, side, [1, 1]),
        photographs=crops(photographs(data, UNSEEN, "test"), 1, shape, [1, 2]),
    )


def write_idx(folder: Path, sets: list[Dataset]) -> None:
    """Sets of one shape as one, with the labels of all, in the form of MNIST; each keeps its splits. In those that are
    learned from, an inverted copy follows every second image."""
    rng = np.random.default_rng(2)
    parts: dict[str, list[tuple[Images, Labels]]] = {"train": [], "val": [], "t10k": []}
    names: list[str] = []
    for one in sets:
        learned, held_out = split_validation(one.train, VALIDATION)
        for split, part in (("train", learned), ("val", held_out), ("t10k", one.test)):
            assert part is not None
            assert part.labels is not None
            images, labels = np.asarray(part.images), part.labels + len(names)
            if split == "train":
                chosen = np.sort(rng.permutation(len(images))[: len(images) // 2])
                images = np.concatenate([images, 255 - images[chosen]])
                labels = np.concatenate([labels, labels[chosen]])
            elif split == "val":
                images = np.stack([polarised(rng, image) for image in images])
            parts[split].append((images, labels))
        names += one.classes
    _made(folder).joinpath("labels.txt").write_text("\n".join(names) + "\n", "utf-8")
    for split, found in parts.items():
        images, labels = (np.concatenate(some) for some in zip(*found, strict=True))
        order = rng.permutation(len(images))
        for kind, values in (("images-idx3", images[order]), ("labels-idx1", labels[order].astype(np.uint8))):
            header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            folder.joinpath(f"{split}-{kind}-ubyte").write_bytes(header + values.tobytes())


def colour(data: Path, folder: Path) -> None:
    """CIFAR-10 with its labels, from its own folder; its images mirrored, and crops of photographs."""
    cifar = load(str(data / "CIFAR10"))
    learned, _ = split_validation(cifar.train, VALIDATION)
    mirrored = np.asarray(learned.images)[:, :, ::-1]
    parts = crops(photographs(data, PHOTOGRAPHS, "train"), CROPS["colour"], cifar.shape, [0, 3])
    write_others(folder, np.concatenate([mirrored, parts]))
    test = crops(photographs(data, UNSEEN, "test"), 1, cifar.shape, [1, 3])
    np.savez(_made(folder / "test") / "test.npz", photographs=test)


def photo(data: Path, folder: Path) -> None:
    """Photographs, whole and in parts, at 64 x 64."""
    shape = (64, 64, 3)
    whole = [_stretched(picture, shape) for picture in photographs(data, PHOTOGRAPHS, "train")]
    parts = crops(photographs(data, PHOTOGRAPHS, "train"), CROPS["photo"], shape, [0, 4])
    write_others(folder, np.concatenate([np.stack(whole), np.stack(whole)[:, :, ::-1], parts]))
    test = [_stretched(picture, shape) for picture in photographs(data, UNSEEN, "test")]
    np.savez(_made(folder / "test") / "test.npz", photographs=np.stack(test))


def _stretched(picture: Image.Image, shape: Shape) -> Images:
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.LANCZOS), np.uint8)


def write_others(folder: Path, images: Images) -> None:
    np.savez(_made(folder) / "others.npz", x_train=images[np.random.default_rng(3).permutation(len(images))])


def _one(rng: np.random.Generator, some: list[T]) -> T:
    return some[int(rng.integers(len(some)))]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["grey", "colour", "photo"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    options = parser.parse_args()
    root = Path(os.environ["ATLC_DATA"])
    if options.kind == "grey":
        grey(root, options.folder, Fonts(options.fonts))
    else:
        {"colour": colour, "photo": photo}[options.kind](root, options.folder)
