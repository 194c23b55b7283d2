"""What `atlc encode` is to do with image files that you name, and the images in them."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from atlcodec import picture
from atlcodec.cli.files import STANDARD, is_folder, standard_input
from atlcodec.codec import Codec
from atlcodec.convert import Prepared
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.sets.image_files import numbered
from atlcodec.shape import Shape


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    output: str | None
    fixed: Codec | None
    effort: int | None
    force: bool
    how: Fit
    each: bool = False
    skip_existing: bool = False
    as_json: bool = False

    @property
    def together(self) -> str | None:
        """The one file for all, if -o names one."""
        return None if self.output is None or is_folder(self.output) else self.output


@dataclass(frozen=True)
class Input:
    """An image that was named, or one frame of it. `stem` names its record."""

    file: str
    stem: str
    frame: int | None = None
    data: bytes | None = None  # of standard input, if it is read more than once

    @property
    def name(self) -> str:
        return self.file if self.frame is None else f"{self.file}: frame {self.frame}"

    @property
    def listed(self) -> str:
        """Its path for a list: frames have paths of their own."""
        if self.file == STANDARD:
            return self.stem
        return self.file if self.frame is None else os.path.join(os.path.dirname(self.file), self.stem + self.suffix)

    @property
    def suffix(self) -> str:
        return os.path.splitext(self.file)[1]

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


def inputs_of(name: str, how: Fit) -> list[Input]:
    """What a name stands for: an image, or all frames of an animation if they are asked for."""
    stem = "stdin" if name == STANDARD else Path(name).stem or Path(name).name
    if how.frame != "all":
        return [Input(name, stem)]
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
        return [Input(name, stem, data=data)]
    return [Input(name, numbered(stem, frame, count), frame, data) for frame in range(count)]
