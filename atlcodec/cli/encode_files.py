"""atlc encode for image files that you name, together in one file or each in its own."""

from __future__ import annotations

from pathlib import Path

from atlcodec import metrics, picture
from atlcodec.choice import default_shape
from atlcodec.cli.common import ErrorCount, log, progress
from atlcodec.cli.files import (
    STANDARD,
    check_ending,
    is_folder,
    make_folder,
    refuse_collisions,
    refuse_twice,
    save,
    shown,
    standard_input,
)
from atlcodec.codec import Codec, Images
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.record import Records
from atlcodec.sets import manifest
from atlcodec.sets.encoder import Encoder, choose, each_alone
from atlcodec.sets.paths import refuse_existing
from atlcodec.sets.sources import ImageFiles, Loaded
from atlcodec.shape import Shape


def encode_files(
    names: tuple[str, ...],
    output: str | None,
    fixed: Codec | None,
    effort: int | None,
    force: bool,
    how: Fit,
) -> None:
    """Images to one file, or each to its own. Images that cannot be encoded are reported, and the others go on."""
    refuse_twice(names)
    together = output if output is not None and not is_folder(output) else None
    targets = {name: together or _target(name, output) for name in names}
    refuse_collisions([(name, targets[name]) for name in (names[:1] if together else names)], names)
    if together:
        check_ending(together, (".atlc",), many=len(names) > 1)
        if together != STANDARD:
            refuse_existing(Path(together), force)
    errors = ErrorCount()
    shape = fixed.shape if fixed else default_shape()
    source = ImageFiles(
        progress(names, "reading", len(names)),
        lambda name: _load(name, None if together else targets[name], force, how, shape),
        shape,
    )
    for problem in source.loaded.problems:
        errors.report(problem)
    if source.loaded.names:
        if together:
            codec, note = (fixed, "") if fixed else choose(source)
            named = codec.name if fixed else f"{codec.name} (chosen)"
            _save_together(together, source.loaded, Encoder(codec, effort), named, force)
            if note:
                log(f"atlc: warning: {shown(together)}: {note}")
        else:
            if output:
                make_folder(output)
            made = each_alone(source.loaded, fixed, effort)
            _save_each(targets, source.loaded, made, "" if fixed else " (chosen)", force, errors)
    errors.exit()


def _load(name: str, target: str | None, force: bool, how: Fit, shape: Shape) -> Images:
    """One image, if its record may be written to the target."""
    if target is not None and target != STANDARD:
        refuse_existing(Path(target), force)
    if name == STANDARD:
        return picture.read(standard_input(), how, name="standard input", shape=shape)
    return picture.read(name, how, shape=shape)


def _save_together(path: str, loaded: Loaded, encoder: Encoder, how: str, force: bool) -> None:
    records, errors = encoder.encode(loaded.images)
    save(path, records.tobytes(), force)
    what = loaded.names[0][0] if len(records) == 1 else f"{len(records)} images"
    log(f"{what} -> {shown(path)}  {records.size} bytes  {how}  {metrics.psnr(errors.mean()):.1f} dB")
    listed = manifest.beside(path)
    if manifest.is_list(listed):
        log(f"atlc: warning: {listed}: lists the records that {path} had before; remove it")
    for (name, _), error in zip(loaded.names, errors, strict=True):
        _warn(name, error, encoder)


def _save_each(
    targets: dict[str, str],
    loaded: Loaded,
    made: list[tuple[Records, float, Encoder]],
    chosen: str,
    force: bool,
    errors: ErrorCount,
) -> None:
    for (name, _), (record, error, encoder) in zip(loaded.names, made, strict=True):
        try:
            save(targets[name], record.tobytes(), force)
            how = f"{encoder.codec.name}{chosen}  {metrics.psnr(error):.1f} dB"
            log(f"{name} -> {shown(targets[name])}  {record.size} bytes  {how}")
            _warn(name, error, encoder)
        except AtlcError as problem:
            errors.report(problem)


def _warn(name: str, error: float, encoder: Encoder) -> None:
    if encoder.is_poor(error):
        log(encoder.warn(name, error))


def _target(name: str, output: str | None) -> str:
    """Where the record of an image goes if each has its own file."""
    if name == STANDARD:
        return str(Path(output) / "stdin.atlc") if output else STANDARD
    path = Path(name)
    return str((Path(output) if output else path.parent) / f"{path.stem or path.name}.atlc")
