"""The one reader of data sets: what is in a folder, in a file or under a name, told from its content."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from atlcodec.convert import check_background
from atlcodec.errors import AtlcError, BadData
from atlcodec.fit import NOTHING, Fit
from atlcodec.sets import folders, kinds, manifest
from atlcodec.sets.formats import cifar, csv_pixels, idx_sets, numpy_files, parquet_images
from atlcodec.sets.formats.parts import Found
from atlcodec.sets.image_files import is_image
from atlcodec.sets.image_folder import ImageFolder, Reading
from atlcodec.sets.locate import locate
from atlcodec.sets.paths import OutputPaths
from atlcodec.sets.pixels import Pixels, raw_shapes
from atlcodec.sets.sources import Source
from atlcodec.shape import SIDES, Shape

MOST_SHOWN = 6  # names of files in a message
LOOKED_AT = 100  # images, spread over all, by which a shape is told
GREY, COLOUR = (28, 28), (32, 32, 3)  # what images of different sizes become, if you name no shape
WAYS = "--fit contain, cover or stretch makes all images one size, and --shape 64x64 says which"


def find(
    where: str | os.PathLike[str],
    *,
    shape: Shape | None = None,
    how: Fit = NOTHING,
    crops: int = 0,
    taken: OutputPaths | None = None,
    labelled: bool = False,
    log: Callable[[str], None] = lambda _: None,
) -> Source:
    """The images of a folder, a file or an official set, as images of this `shape`: told from them, if it is None.

    A path comes before a name; a name is looked up below `$ATLC_DATA`, then among the official sets, which are
    downloaded once into the user's cache. `how` says how images become ones of the shape. Of each image file that is
    larger, `crops` takes so many parts. `taken` are the paths of the set to which they will be added; if that is
    `labelled`, a folder is a label even if it is the only one. `log` gets a line for each download.

    Raises `FileNotFoundError` (also a `BadData`) if there is no such path or name, and `BadData`."""
    check_background(how.background)
    path = locate(where, log)
    taken = OutputPaths() if taken is None else taken
    try:
        found = _in_folder(path) if path.is_dir() else _in_file(path)
        if found is not None:
            return _pixels(path, found, shape, how, crops, taken)
        return _images(path, shape, how, crops, taken, 1 if labelled else 2, log)
    except OSError as error:
        if isinstance(error, AtlcError):
            raise
        raise BadData(f"{error.filename or path}: cannot be read ({error.strerror or error})") from error


def find_files(where: str | os.PathLike[str], how: Fit, taken: OutputPaths, *, labelled: bool = False) -> ImageFolder:
    """The image files of a folder, of any sizes; else as `find`."""
    path = locate(where, lambda _: None)
    if not path.is_dir() or _in_folder(path) is not None:
        raise BadData(f"{where}: is a data set, whose images are of one size; --grid (grid=True) takes image files")
    fewest = 1 if labelled else 2
    source = ImageFolder(str(path), Reading(GREY, how), taken, folders.layout(str(path)), fewest=fewest)
    if not len(source):
        raise BadData(f"{path}: {_nothing(path)}")
    return source


def _in_folder(folder: Path) -> Found | None:
    """The set in a folder; None if it has image files."""
    place = folders.innermost(folder)
    found = idx_sets.find(place) or cifar.find(place)
    if found is None:
        if any(not isinstance(entry, OSError) and is_image(entry) for _, entry in folders.walk(str(folder))):
            return None
        found = parquet_images.find(place) or numpy_files.find(place) or csv_pixels.find(place)
    return found and replace(found, left_out=(*found.left_out, *folders.unused(place, found.files)))


def _in_file(path: Path) -> Found:
    found = idx_sets.find(path) or parquet_images.find(path) or numpy_files.find(path)
    if found is None and not kinds.advice(path) and kinds.is_table(kinds.head(path), fewest=1):
        if manifest.is_list(path):
            raise BadData(f"{path}: lists the images of a file of records; `atlc decode` makes images of that file")
        found = csv_pixels.find(path)
    if found is None:
        raise BadData(f"{path}: {kinds.why_no_set(path)}")
    return found


def _pixels(path: Path, found: Found, shape: Shape | None, how: Fit, crops: int, taken: OutputPaths) -> Source:
    if crops:
        raise BadData(f"{path}: --crops takes parts of image files; these images are {_form(found)}")
    if shape is None:
        shape = told_shape(path, raw_shapes(found.parts, how, LOOKED_AT), how, crops)
    source = Pixels(_name(path, found), found, shape, taken, how)
    if not len(source):
        raise BadData(f"{path}: has no images")
    source.check()
    return source


def _form(found: Found) -> str:
    return f"in {found.parts[0].path.name}"


def _images(
    folder: Path,
    shape: Shape | None,
    how: Fit,
    crops: int,
    taken: OutputPaths,
    fewest: int,
    log: Callable[[str], None],
) -> Source:
    layout = folders.layout(str(folder))
    source = ImageFolder(str(folder), Reading(shape or GREY, how, crops), taken, layout, fewest=fewest)
    if not len(source):
        raise BadData(f"{folder}: {_nothing(folder)}")
    if shape is None:
        shape = told_shape(folder, source.shapes(LOOKED_AT), how, crops)
        kind = "in colour" if len(shape) == 3 else "grey"
        log(f"{folder}: taken as images of {shape[1]} x {shape[0]} pixels, {kind}; --shape takes them otherwise")
        source.take(shape)
    source.check()
    return source


def told_shape(where: Path, found: Sequence[tuple[str, tuple[int, ...]]], how: Fit, crops: int) -> Shape:
    """The shape of codec that suits images of these names and shapes: their own, if all have the same; in colour, if
    one is. Raises `BadData` if they differ and nothing may be done to them."""
    if not found:
        raise BadData(f"{where}: has no images")
    colours = any(len(shape) == 3 and shape[2] > 1 for _, shape in found)
    first = found[0][1][:2]
    other = next((n for n, (_, shape) in enumerate(found) if shape[:2] != first), None)
    if not crops and other is None and all(side in SIDES for side in first):
        return (*first, 3) if colours else first
    if crops or how.fit:
        return COLOUR if colours else GREY
    if other is None:
        sides = f"{SIDES[0]} to {SIDES[-1]} rows and columns"
        at = where if where.name == found[0][0] else where / found[0][0]
        raise BadData(f"{at}: {_size(first)} pixels; a codec has {sides}; {WAYS}")
    raise BadData(
        f"{where}: has images of different sizes ({found[0][0]}: {_size(first)}, {found[other][0]}: "
        f"{_size(found[other][1])} pixels); {WAYS}"
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _name(path: Path, found: Found) -> str:
    """Of a set: that of a published one, of the folder, or of the file without its ending."""
    own = Path(os.path.abspath(path))
    return found.known.name if found.known else own.name if path.is_dir() else own.name.split(".")[0] or own.name


def _nothing(folder: Path) -> str:
    """Why a folder has nothing to read: what lies in it, and what is expected."""
    names = [name for name, _ in itertools.islice(folders.walk(str(folder)), MOST_SHOWN + 1)]
    if not names:
        return "has nothing but hidden files" if os.listdir(folder) else "is empty"
    has = ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")
    hints = [f"; {name}: {why}" for name in names if (why := kinds.advice(folder / name))]
    if any("idx" in name.lower() or "ubyte" in name.lower() for name in names):
        hints = [f"; IDX files are named {idx_sets.EXPECTED}"]
    return f"has no images (PNG, JPEG, ...) and no data set; it has {has}{''.join(hints[:1])}"
