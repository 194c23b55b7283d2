"""A whole folder of images to one file of records, with a list of their paths and labels, or to one Parquet file."""

from __future__ import annotations

import os
from typing import BinaryIO, Unpack

from atlcodec import engine
from atlcodec.codec import Codec
from atlcodec.fit import Fit, FitOptions
from atlcodec.sets.journal import Journal
from atlcodec.sets.paths import is_device
from atlcodec.sets.run import EncodedSet as EncodedSet
from atlcodec.sets.run import Log, Progress, Run


def encode_folder(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | BinaryIO,
    *,
    model: str | os.PathLike[str] | None = None,
    effort: int | None = None,
    overwrite: bool = False,
    append: bool = False,
    each: bool = False,
    grid: bool = False,
    overlap: int | None = None,
    jobs: int | None = None,
    log: Log = lambda message: None,
    problem: Log = lambda message: None,
    progress: Progress = lambda done, count: None,
    **how: Unpack[FitOptions],
) -> EncodedSet:
    """Encode all images of a folder or of a data set to one file: what `atlc encode DIR -o set.atlc` does.

        result = atlcodec.encode_folder("images", "set.atlc", model="mnist", progress=print)
        print(result.records, result.psnr, *result.problems, sep="\\n")

    The folder has image files of the model's shape at any depth, or a data set, or it is a data set in a file, or an
    official one by name (`sets.finding`). `set.atlc` gets a list of their paths and labels beside it, `set.csv`; an
    output that ends in .parquet is a Parquet file with both. An open binary file, a pipe or a device gets the records
    alone. The same call continues a run that was stopped.

    Without `model`, one model is chosen for the whole set; with `append`, the model that wrote the existing records;
    with `each`, each image gets the model that suits it best, and the list has a column `model` if they differ.
    `effort` is that of `Codec.encode`. `overwrite` replaces an existing set, `append` adds to it. `jobs` is the number
    of processes that read many files (default: one for each core). `how` makes images of other sizes and colours fit,
    by the names of `fit.Fit`: fit="contain", gray=True; frame="all" makes a record of each frame of an animation.

    With `grid`, image files of any size become grids, whole images in tiles (`api.encode_image`, which takes `overlap`,
    too); the list has a column `records` then, which says how many records each image has.

    An image that cannot be encoded does not stop the others: `problem` gets a line about each. `log` gets notes, also a
    line each, and `progress` the number of images that are done and the number of all.

    Raises `AtlcError`: `FileNotFoundError`, `BadData` if there are no images, `UnknownModel`, `BadModel`; and
    `ValueError` for `append` to a pipe or with `overwrite`, for `each` with a model or `grid`, for `grid` with `fit`,
    and for another effort."""
    if append and (overwrite or is_stream(output)):
        raise ValueError("append needs a file, and excludes overwrite")
    if each and model is not None:
        raise ValueError("each image gets its own model (each=True), or all get the one that you name (model=)")
    fit = Fit(**how)
    _check_grid(grid, overlap, each, fit)
    fixed = Codec.load(model) if model is not None else None
    options = {"effort": effort, "append": append, "each": each, **fit.asked()}
    options |= {"grid": True, "overlap": overlap} if grid else {}
    run = _kind(grid)(os.fspath(folder), fixed, options, fit, jobs or engine.threads(), log, problem, progress)
    if is_stream(output):
        return run.to_stream(output)
    assert isinstance(output, str | os.PathLike)
    name = os.fspath(output)
    with Journal(name, in_tiles=grid) as journal:
        return run.to_file(name, overwrite, journal)


def _check_grid(grid: bool, overlap: int | None, each: bool, fit: Fit) -> None:
    """Raise `ValueError` for options that exclude each other."""
    if grid and (each or fit.fit or fit.frame == "all"):
        raise ValueError("grid keeps images whole, in tiles of one model: it excludes each, fit and all frames")
    if overlap is not None and not grid:
        raise ValueError("overlap is for the tiles of a grid (grid=True)")


def _kind(grid: bool) -> type[Run]:
    if not grid:
        return Run
    from atlcodec.sets.encode_grids import GridRun  # most sets do not need it

    return GridRun


def is_stream(output: str | os.PathLike[str] | BinaryIO) -> bool:
    """Whether an output is an open file, a pipe or a device: no list can lie beside it, and no run can be continued."""
    return not isinstance(output, str | os.PathLike) or is_device(output)
