"""atlc encode for image files that you name, together in one file or each in its own."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from atlcodec import metrics, picture
from atlcodec.choice import default_shape, defaults
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
from atlcodec.codec import Codec
from atlcodec.convert import Prepared
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.sets import manifest
from atlcodec.sets.encoder import Encoder, choose, is_poor, named, poor_warning
from atlcodec.sets.image_files import numbered
from atlcodec.sets.named_files import ImageFiles
from atlcodec.sets.paths import refuse_existing
from atlcodec.shape import Shape


@dataclass(frozen=True)
class _Input:
    """An image that was named, or one frame of it. `stem` names its record."""

    file: str
    stem: str
    frame: int | None = None
    data: bytes | None = None  # of standard input, if it is read more than once

    @property
    def name(self) -> str:
        return self.file if self.frame is None else f"{self.file}: frame {self.frame}"

    def read(self, how: Fit, shape: Shape) -> Prepared:
        source: str | BinaryIO = self.file
        if self.file == STANDARD:
            source = standard_input() if self.data is None else io.BytesIO(self.data)
        name = "standard input" if self.file == STANDARD else self.file
        if self.frame is None:
            return picture.prepare(source, how, name=name, shape=shape)
        (found,) = picture.frames(source, how, name=name, shape=shape, numbers=[self.frame])
        if isinstance(found, AtlcError):
            raise found
        return found

    def target(self, output: str | None) -> str:
        """Where its record goes if each has its own file."""
        if self.file == STANDARD:
            return str(Path(output) / f"{self.stem}.atlc") if output else STANDARD
        folder = Path(output) if output else Path(self.file).parent
        return str(folder / f"{self.stem}.atlc")


def encode_files(
    names: tuple[str, ...],
    output: str | None,
    fixed: Codec | None,
    effort: int | None,
    force: bool,
    how: Fit,
    each: bool = False,
) -> None:
    """Images to one file, or each to its own. Images that cannot be encoded are reported, and the others go on."""
    refuse_twice(names)
    together = output if output is not None and not is_folder(output) else None
    inputs = {found.name: found for name in names for found in _inputs(name, how)}
    targets = {name: together or found.target(output) for name, found in inputs.items()}
    refuse_collisions([(names[0], together)] if together else _pairs(names, inputs, targets), names)
    if together:
        check_ending(together, (".atlc",), many=len(inputs) > 1)
        if together != STANDARD:
            refuse_existing(Path(together), force)
    errors = ErrorCount()
    shape = fixed.shape if fixed else default_shape()

    def read(name: str) -> Prepared:
        if not together and targets[name] != STANDARD:
            refuse_existing(Path(targets[name]), force)
        return inputs[name].read(how, shape)

    source = ImageFiles(progress(list(inputs), "reading", len(inputs)), read, shape)
    for problem in source.loaded.problems:
        errors.report(problem)
    if source.loaded.names:
        if together:
            codecs, choice, note = [fixed] if fixed else [], "", ""
            if not fixed and each:
                codecs, choice = defaults(shape), " (each its own)"
            elif not fixed:
                codec, note = choose(source)
                codecs, choice = [codec], " (chosen)"
            _save_together(together, source, Encoder(codecs, effort), choice, force)
            if note:
                log(f"atlc: warning: {shown(together)}: {note}")
        else:
            if output:
                make_folder(output)
            encoder = Encoder([fixed] if fixed else defaults(shape), effort)
            _save_each(targets, source, encoder, "" if fixed else " (chosen)", force, errors)
    errors.exit()


def _inputs(name: str, how: Fit) -> list[_Input]:
    """What a name stands for: an image, or all frames of an animation if they are asked for."""
    stem = "stdin" if name == STANDARD else Path(name).stem or Path(name).name
    if how.frame != "all":
        return [_Input(name, stem)]
    data, source = None, name
    try:
        if name == STANDARD:
            data = picture.all_bytes(standard_input(), "standard input")
            count = picture.frame_count(io.BytesIO(data), "standard input")
        else:
            count = picture.frame_count(source)
    except AtlcError:  # reading it again will say why
        count = 1
    if count == 1:
        return [_Input(name, stem, data=data)]
    return [_Input(name, numbered(stem, frame, count), frame, data) for frame in range(count)]


def _pairs(names: tuple[str, ...], inputs: dict[str, _Input], targets: dict[str, str]) -> list[tuple[str, str]]:
    """Each name with each of its targets. A name that is given twice is there twice."""
    by_file: dict[str, list[str]] = {}
    for name, found in inputs.items():
        by_file.setdefault(found.file, []).append(targets[name])
    return [(name, target) for name in names for target in by_file[name]]


def _save_together(path: str, source: ImageFiles, encoder: Encoder, choice: str, force: bool) -> None:
    loaded = source.loaded
    records, errors, which = encoder.encode(loaded.images)
    save(path, records.tobytes(), force)
    what = loaded.names[0][0] if len(records) == 1 else f"{len(records)} images"
    models = named(Counter(encoder.codecs[number].name for number in which.tolist()))
    against = loaded.losses.against(encoder.codecs[0].shape)
    if len(records) == 1:
        against = source.prepared[0].against
    log(
        f"{what} -> {shown(path)}  {records.size} bytes  {models}{choice}  "
        f"{_decibels(errors.mean(), against, len(records))}"
    )
    listed = manifest.beside(path)
    if manifest.is_list(listed):
        log(f"atlc: warning: {listed}: lists the records that {path} had before; remove it")
    for (name, _), error, number, prepared in zip(loaded.names, errors, which, source.prepared, strict=True):
        _warn(name, error, encoder.codecs[number], prepared)


def _save_each(
    targets: dict[str, str], source: ImageFiles, encoder: Encoder, choice: str, force: bool, errors: ErrorCount
) -> None:
    records, squared, which = encoder.encode(source.loaded.images)
    for row, (name, _) in enumerate(source.loaded.names):
        codec, prepared = encoder.codecs[which[row]], source.prepared[row]
        try:
            save(targets[name], records[row].tobytes(), force)
            how = f"{codec.name}{choice}  {_decibels(squared[row], prepared.against)}"
            log(f"{name} -> {shown(targets[name])}  {records[row].size} bytes  {how}")
            _warn(name, squared[row], codec, prepared)
        except AtlcError as problem:
            errors.report(problem)


def _decibels(error: float, against: str, count: int = 1) -> str:
    """The PSNR, and against what it is measured if that is not the image itself."""
    what = f" against the image{'s' if count > 1 else ''} {against}" if against else ""
    return f"{metrics.psnr(error):.1f} dB{what}"


def _warn(name: str, error: float, codec: Codec, prepared: Prepared) -> None:
    for loss in prepared.losses.values():
        log(f"atlc: warning: {name}: {loss}")
    if is_poor(codec, error):
        log(poor_warning(codec, name, error))
