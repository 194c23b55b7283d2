"""atlc encode --grid for image files that you name: images of any size, together in one file or each in its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from atlcodec import api, choice, grid_encoder, metrics, picture
from atlcodec.cli.against_webp import smaller_as_webp
from atlcodec.cli.common import ErrorCount, log, meter, tell
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
from atlcodec.codec import Codec
from atlcodec.convert import Conversion
from atlcodec.description import Description, unpack
from atlcodec.errors import AtlcError
from atlcodec.grid import Rows
from atlcodec.record import RECORD_BYTES, Records, as_records
from atlcodec.sets import manifest
from atlcodec.sets.encode_grids import SAMPLE, squared_error
from atlcodec.sets.manifest import Entry
from atlcodec.sets.named_files import list_paths
from atlcodec.sets.paths import is_device, refuse_existing


def encode_grids(names: tuple[str, ...], options: Options, overlap: int | None) -> None:
    """Images to grids. Those that cannot be encoded are reported, and the others go on."""
    refuse_twice(names)
    together = options.together
    if together is not None:
        check_ending(together, (".atlc",), many=len(names) > 1)
    several = together is not None and len(names) > 1
    pairs = [(names[0], str(together))] if several else [(name, _target(name, options.output)) for name in names]
    refuse_collisions(pairs, names)
    errors = ErrorCount()
    for name, target in pairs:
        try:
            if target != STANDARD and options.skip_existing and exists(target):
                tell(f"{target}: skipped, for it exists")
                continue
            if target != STANDARD:
                refuse_existing(Path(target), options.force)
            if several:
                _encode_together(names, target, options, overlap, errors)
            else:
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
    called = "standard input" if name == STANDARD else name
    image, done = _read(name, options)
    with meter("encoding") as show:
        codec, records = _records(called, image, _codecs(image, options), options, overlap, show)
    error = squared_error(image, records)
    described = unpack(records[0].tobytes()) if len(records) > 1 else None
    if options.output and is_folder(options.output):
        make_folder(options.output)
    save(target, records.tobytes(), options.force)
    against = ", ".join(done.changes.values())
    warnings = [f"{called}: {loss}" for loss in done.losses.values()]
    if described and (why := smaller_as_webp(image, records)):
        warnings.append(f"{called}: {why}")
    if options.as_json:
        line = {"file": name, "output": target, "records": len(records), "bytes": records.size, "model": codec.name}
        line |= {"psnr": round(metrics.psnr(error), 3), "against": against}
        line |= {"width": image.shape[1], "height": image.shape[0], "grid": described is not None}
        click.echo(json.dumps(line | {"warnings": warnings}))
    else:
        how = f"{codec.name}{'' if options.fixed else ' (chosen)'}"
        what = f"  {measured(described)}" if described else ""
        compared = f" against the image {against}" if against else ""
        size = f"{records.size} bytes"
        tell(f"{called} -> {shown(target)}  {size}  {how}{what}  {metrics.psnr(error):.1f} dB{compared}")
    for warning in warnings:
        log(f"atlc: warning: {warning}")


def _read(name: str, options: Options) -> tuple[Rows, Conversion]:
    """An image as the codecs take it, and what it lost."""
    source, called = (standard_input(), "standard input") if name == STANDARD else (name, name)
    grey = len(options.fixed.shape) == 2 if options.fixed else not choice.has_colours()
    return picture.upright(source, options.how, name=called, grey=grey)


def _codecs(image: Rows, options: Options) -> list[Codec]:
    return [options.fixed] if options.fixed else choice.tile_codecs(colours=len(image.shape) == 3)


def _records(
    called: str,
    image: Rows,
    codecs: list[Codec],
    options: Options,
    overlap: int | None,
    show: Callable[[int, int], None] | None = None,
) -> tuple[Codec, Records]:
    """The records of an image, and the codec that suits it best, among these."""
    same = [codec for codec in codecs if codec.shape == image.shape]
    if same:
        pixels = image.rows(0, image.shape[0])[None]
        codec, records, _ = api.choose(pixels, same, options.effort)
        return codec, records
    try:
        made = grid_encoder.encode(image, codecs, options.effort, overlap, show)
    except AtlcError as problem:
        raise AtlcError(f"{called}: {problem}") from problem
    return made.codec, as_records(made.data)


def _encode_together(
    names: tuple[str, ...], target: str, options: Options, overlap: int | None, errors: ErrorCount
) -> None:
    """Several images to one file, with a list that says how many records each has."""
    if listed := _list_of(target):
        manifest.refuse_foreign(listed)
    codec = options.fixed or _chosen(names, options)
    parts, good, squared = list[Records](), list[str](), list[float]()
    with meter("encoding") as show:
        for number, name in enumerate(names):
            show(number, len(names))
            try:
                image, done = _read(name, options)
                _, records = _records(name, image, [codec], options, overlap)
            except AtlcError as error:
                errors.report(error)
                continue
            parts.append(records)
            good.append(name)
            squared.append(squared_error(image, records))
            for loss in done.losses.values():
                log(f"atlc: warning: {name}: {loss}")
    if not parts:
        return
    where = _save_together(target, good, parts, options.force)
    size = sum(map(len, parts))
    psnr = metrics.psnr(float(np.mean(squared)))
    if options.as_json:
        line = {"files": len(parts), "output": target, "records": size, "bytes": size * RECORD_BYTES}
        click.echo(json.dumps(line | {"model": codec.name, "psnr": round(psnr, 3)}))
    else:
        how = f"{codec.name}{'' if options.fixed else ' (chosen)'}"
        tell(f"{len(parts)} images -> {where}  {size * RECORD_BYTES} bytes  {how}  {psnr:.1f} dB")


def _list_of(target: str) -> Path | None:
    """Where the list of a file goes, if it has one."""
    return None if target == STANDARD or is_device(target) else manifest.beside(target)


def _save_together(target: str, names: list[str], parts: list[Records], force: bool) -> str:
    """Write the records of images, and their list. Returns where they are, for the user."""
    data, firsts = np.concatenate(parts).tobytes(), np.cumsum([0, *map(len, parts)]).tolist()
    listed = _list_of(target)
    if listed is None:
        save(target, data, force)
        return shown(target)
    paths = list_paths([f"stdin{Path(name).suffix}" if name == STANDARD else name for name in names])
    found = (Entry(first, path, None, len(part)) for first, path, part in zip(firsts, paths, parts, strict=False))
    with manifest.replacing(listed, found, records=True):
        save(target, data, force)  # not without its list, if the disk is full
    return f"{target}, {listed}"


def _chosen(names: tuple[str, ...], options: Options) -> Codec:
    """The codec for all: the one that reproduces tiles of some images best."""
    images = list[Rows]()
    for name in names[:: -(-len(names) // SAMPLE)]:
        try:
            images += [] if name == STANDARD else [_read(name, options)[0]]
        except AtlcError:  # encoding it will say why
            continue
    return grid_encoder.choose(images, choice.tile_codecs(colours=any(len(image.shape) == 3 for image in images)))


def measured(described: Description) -> str:
    """The size of a grid, in pixels and in tiles."""
    size = f"{described.width} x {described.height} pixels in {described.columns} x {described.rows} tiles"
    return size + (f" that overlap by {described.overlap}" if described.overlap else "")
