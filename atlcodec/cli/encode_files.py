"""atlc encode for image files that you name, together in one file or each in its own."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from atlcodec import metrics
from atlcodec.choice import default_shape, defaults
from atlcodec.cli.common import ErrorCount, escape, log, meter, progress, tell
from atlcodec.cli.encode_inputs import Input, Options, inputs_of
from atlcodec.cli.files import (
    STANDARD,
    check_ending,
    exists,
    make_folder,
    refuse_collisions,
    refuse_twice,
    save,
    shown,
)
from atlcodec.codec import Codec, Images
from atlcodec.convert import Prepared
from atlcodec.errors import AtlcError, MissingFile
from atlcodec.sets import manifest
from atlcodec.sets.encoder import Encoded, Encoder, batch_size, choose, is_poor, named, poor_warning
from atlcodec.sets.manifest import Entry, counted
from atlcodec.sets.named_files import ImageFiles, list_paths
from atlcodec.sets.paths import is_device, refuse_existing


def encode_files(names: tuple[str, ...], options: Options) -> None:
    """Images to one file, or each to its own. Images that cannot be encoded are reported, and the others go on."""
    refuse_twice(names)
    output, together = options.output, options.together
    inputs = {found.name: found for name in names for found in inputs_of(name, options.how)}
    targets = {name: together or found.target(output) for name, found in inputs.items()}
    _refuse_records(names, targets)
    refuse_collisions([(names[0], together)] if together else _pairs(names, inputs, targets), names)
    errors = ErrorCount()
    if together:
        check_ending(together, (".atlc",), many=len(inputs) > 1)
        if together != STANDARD:
            if options.skip_existing and exists(together):
                tell(f"{together}: skipped, for it exists")
                return
            refuse_existing(Path(together), options.force)
        _Together(options, inputs, errors).run(together)
    else:
        _Each(options, inputs, targets, errors).run()
    errors.exit()


def _refuse_records(names: tuple[str, ...], targets: dict[str, str]) -> None:
    """Refuse files of records, which some people name as they would name an output."""
    for name in names:
        if not name.lower().endswith(".atlc") or targets.get(name) != name:
            continue
        others = [other for other in names if other != name]
        if exists(name):
            why = "is an input and would be overwritten; .atlc files hold records already"
        elif others:
            why = f"does not exist; if it is the output, write: atlc encode {' '.join(others)} -o {name}"
        else:
            raise MissingFile(name)
        raise click.UsageError(escape(f"{name}: {why}"))


@dataclass
class _Each:
    """Each image to a file of its own. They are read, encoded and written a second's work at a time, so that what is
    done is kept."""

    options: Options
    inputs: dict[str, Input]
    targets: dict[str, str]
    errors: ErrorCount

    def run(self) -> None:
        options, fixed = self.options, self.options.fixed
        wanted, shape = self._wanted(), fixed.shape if fixed else default_shape()
        if not wanted:
            return
        encoder = Encoder([fixed] if fixed else defaults(shape), options.effort)
        size = batch_size(encoder.codecs, options.effort)
        with meter("encoding") as show:
            show(0, len(wanted))
            for start in range(0, len(wanted), size):
                some = wanted[start : start + size]
                source = ImageFiles(some, lambda name: self.inputs[name].read(options.how, shape), shape)
                for problem in source.loaded.problems:
                    self.errors.report(problem)
                if source.loaded.names:
                    if options.output:
                        make_folder(options.output)
                    self._save(source, encoder)
                show(start + len(some), len(wanted))

    def _wanted(self) -> list[str]:
        """The images whose files do not exist, or shall be replaced."""
        wanted, skipped = [], 0
        for name in self.inputs:
            target = self.targets[name]
            if target != STANDARD and self.options.skip_existing and exists(target):
                skipped += 1
                continue
            try:
                if target != STANDARD:
                    refuse_existing(Path(target), self.options.force)
                wanted.append(name)
            except AtlcError as problem:
                self.errors.report(problem)
        if skipped:
            tell(f"skipped {counted(skipped, 'image')}, for the output exists")
        return wanted

    def _save(self, source: ImageFiles, encoder: Encoder) -> None:
        records, squared, which = encoder.encode(source.loaded.images)
        choice = "" if self.options.fixed else " (chosen)"
        for row, (name, *_) in enumerate(source.loaded.names):
            codec, prepared, target = encoder.codecs[which[row]], source.prepared[row], self.targets[name]
            try:
                save(target, records[row].tobytes(), self.options.force)
            except AtlcError as problem:
                self.errors.report(problem)
                continue
            warnings = _warnings(name, squared[row], codec, prepared)
            if self.options.as_json:
                line = {"file": name, "output": target, "records": 1, "bytes": records[row].size, "model": codec.name}
                line |= {"psnr": round(metrics.psnr(squared[row]), 3), "against": prepared.against}
                click.echo(json.dumps(line | {"warnings": warnings}))
            else:
                how = f"{codec.name}{choice}  {_decibels(squared[row], prepared.against)}"
                tell(f"{name} -> {shown(target)}  {records[row].size} bytes  {how}")
            for warning in warnings:
                log(f"atlc: warning: {warning}")


def _pairs(names: tuple[str, ...], inputs: dict[str, Input], targets: dict[str, str]) -> list[tuple[str, str]]:
    """Each name with each of its targets. A name that is given twice is there twice."""
    by_file: dict[str, list[str]] = {}
    for name, found in inputs.items():
        by_file.setdefault(found.file, []).append(targets[name])
    return [(name, target) for name in names for target in by_file[name]]


@dataclass
class _Together:
    """All images to one file, with a list of their paths beside it if there are several."""

    options: Options
    inputs: dict[str, Input]
    errors: ErrorCount

    def run(self, path: str) -> None:
        options, fixed = self.options, self.options.fixed
        shape = fixed.shape if fixed else default_shape()
        names = progress(list(self.inputs), "reading", len(self.inputs))
        source = ImageFiles(names, lambda name: self.inputs[name].read(options.how, shape), shape)
        for problem in source.loaded.problems:
            self.errors.report(problem)
        if not source.loaded.names:
            return
        codecs, choice, note = [fixed] if fixed else [], "", ""
        if not fixed and options.each:
            codecs, choice = defaults(shape), " (each its own)"
        elif not fixed:
            codec, note = choose(source)
            codecs, choice = [codec], " (chosen)"
        self._save(path, source, Encoder(codecs, options.effort), choice, note)

    def _save(self, path: str, source: ImageFiles, encoder: Encoder, choice: str, note: str) -> None:
        loaded = source.loaded
        listed = None if path == STANDARD or is_device(path) else manifest.beside(path)
        if listed and len(self.inputs) > 1:
            manifest.refuse_foreign(listed)
        records, errors, which = _in_steps(encoder, loaded.images)
        where = shown(path)
        if listed and len(self.inputs) > 1:
            paths = list_paths([self.inputs[one.path].listed for one in loaded.names])
            with manifest.replacing(listed, (Entry(number, path, None) for number, path in enumerate(paths))):
                save(path, records.tobytes(), self.options.force)  # not without its list, if the disk is full
            where += f", {listed}"
        else:
            save(path, records.tobytes(), self.options.force)
        models = named(Counter(encoder.codecs[number].name for number in which.tolist()))
        one = len(records) == 1
        against = source.prepared[0].against if one else loaded.losses.against(encoder.codecs[0].shape)
        warnings = [f"{shown(path)}: {note}"] if note else []
        if listed and len(self.inputs) == 1 and manifest.is_list(listed):
            warnings.append(f"{listed}: lists the records that {path} had before; remove it")
        for (name, *_), error, number, prepared in zip(loaded.names, errors, which, source.prepared, strict=True):
            warnings += _warnings(name, error, encoder.codecs[number], prepared)
        if self.options.as_json:
            line = {"files": len(records), "output": path, "records": len(records), "bytes": records.size}
            line |= {"model": models, "psnr": round(metrics.psnr(errors.mean()), 3), "against": against}
            click.echo(json.dumps(line | {"warnings": warnings}))
        else:
            what = loaded.names[0][0] if one else f"{len(records)} images"
            decibels = _decibels(errors.mean(), against, len(records))
            tell(f"{what} -> {where}  {records.size} bytes  {models}{choice}  {decibels}")
        for warning in warnings:
            log(f"atlc: warning: {warning}")


def _in_steps(encoder: Encoder, images: Images) -> Encoded:
    """`Encoder.encode`, with progress."""
    parts, size = [], batch_size(encoder.codecs, encoder.effort)
    with meter("encoding") as show:
        for start in range(0, len(images), size):
            show(start, len(images))
            parts.append(encoder.encode(images[start : start + size]))
    return Encoded(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _decibels(error: float, against: str, count: int = 1) -> str:
    """The PSNR, and against what it is measured if that is not the image itself."""
    what = f" against the image{'s' if count > 1 else ''} {against}" if against else ""
    return f"{metrics.psnr(error):.1f} dB{what}"


def _warnings(name: str, error: float, codec: Codec, prepared: Prepared) -> list[str]:
    lines = [f"{name}: {loss}" for loss in prepared.losses.values()]
    return [*lines, poor_warning(codec, name, error)] if is_poor(codec, error) else lines
