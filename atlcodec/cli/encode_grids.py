"""atlc encode --grid: images of any size, each to a file of its own."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click
import numpy as np

from atlcodec import api, grid_encoder, grid_finder, metrics, picture
from atlcodec.choice import default_shape, defaults
from atlcodec.cli.common import ErrorCount, escape, log, meter, tell
from atlcodec.cli.encode_inputs import Options
from atlcodec.cli.files import (
    STANDARD,
    check_ending,
    exists,
    is_folder,
    make_folder,
    refuse_collisions,
    refuse_twice,
    save,
    shown,
    standard_input,
)
from atlcodec.description import Description
from atlcodec.errors import AtlcError
from atlcodec.files import RecordFile
from atlcodec.grid import Rows
from atlcodec.grid_file import Grid
from atlcodec.reader import Reader
from atlcodec.sets.paths import refuse_existing


def encode_grids(names: tuple[str, ...], options: Options, overlap: int | None) -> None:
    """Images to grids. Those that cannot be encoded are reported, and the others go on."""
    refuse_twice(names)
    output = options.output
    if output is not None and not is_folder(output):
        if len(names) > 1:
            raise click.UsageError(
                f"{escape(output)}: each grid has a file of its own; name a folder for several: -o DIR/"
            )
        check_ending(output, (".atlc",), many=False)
    pairs = [(name, _target(name, output)) for name in names]
    refuse_collisions(pairs, names)
    errors = ErrorCount()
    for name, target in pairs:
        try:
            if target != STANDARD and options.skip_existing and exists(target):
                tell(f"{target}: skipped, for it exists")
                continue
            if target != STANDARD:
                refuse_existing(Path(target), options.force)
            _encode(name, target, options, overlap)
        except AtlcError as error:
            errors.report(error)
    errors.exit()


def _target(name: str, output: str | None) -> str:
    if output is not None and not is_folder(output):
        return output
    if name == STANDARD:
        return str(Path(output) / "stdin.atlc") if output else STANDARD
    return str((Path(output) if output else Path(name).parent) / f"{Path(name).stem or Path(name).name}.atlc")


def _encode(name: str, target: str, options: Options, overlap: int | None) -> None:
    """One image: as a grid, or as one record if it has the codec's shape."""
    fixed, called = options.fixed, "standard input" if name == STANDARD else name
    shape = fixed.shape if fixed else default_shape()
    source = standard_input() if name == STANDARD else name
    image, done = picture.upright(source, options.how, name=called, grey=len(shape) == 2)
    described = None
    if image.shape == shape:
        pixels = image.rows(0, shape[0])[None]
        codec, records, squared = api.choose(pixels, [fixed] if fixed else None, options.effort)
        data, error = records.tobytes(), float(squared[0])
    else:
        codecs = [fixed] if fixed else defaults(shape)
        try:
            with meter("encoding") as show:
                made = grid_encoder.encode(image, codecs, options.effort, overlap, show)
        except AtlcError as problem:
            raise AtlcError(f"{called}: {problem}") from problem
        codec, data, described = made.codec, bytes(made.data), made.described
        error = _squared(image, data)
    if options.output and is_folder(options.output):
        make_folder(options.output)
    save(target, data, options.force)
    against = ", ".join(done.changes.values())
    warnings = [f"{called}: {loss}" for loss in done.losses.values()]
    if options.as_json:
        line = {"file": name, "output": target, "records": len(data) // 200, "bytes": len(data), "model": codec.name}
        line |= {"psnr": round(metrics.psnr(error), 3), "against": against}
        line |= {"width": image.shape[1], "height": image.shape[0], "grid": described is not None}
        click.echo(json.dumps(line | {"warnings": warnings}))
    else:
        how = f"{codec.name}{'' if fixed else ' (chosen)'}"
        what = f"  {measured(described)}" if described else ""
        compared = f" against the image {against}" if against else ""
        tell(f"{called} -> {shown(target)}  {len(data)} bytes  {how}{what}  {metrics.psnr(error):.1f} dB{compared}")
    for warning in warnings:
        log(f"atlc: warning: {warning}")


def measured(described: Description) -> str:
    """The size of a grid, in pixels and in tiles."""
    size = f"{described.width} x {described.height} pixels in {described.columns} x {described.rows} tiles"
    return size + (f" that overlap by {described.overlap}" if described.overlap else "")


def _squared(image: Rows, data: bytes) -> float:
    """The mean squared error of a grid, a strip of rows at a time."""
    found, _ = grid_finder.only(Reader(), RecordFile(np.frombuffer(data, np.uint8), "the grid"))
    assert isinstance(found, Grid)
    total, top = 0, 0
    for strip in found.strips():
        step = strip.astype(np.int32) - image.rows(top, top + len(strip))
        total += int((step * step).sum(dtype=np.int64))
        top += len(strip)
    return total / math.prod(image.shape)
