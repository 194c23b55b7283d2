"""Images to encode or to learn from, in a stable order, in batches, with their names: what `Source` gives. `finding`
makes one of a folder, a file or a name; `named_files` has those that you name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from atlcodec.codec import Images
from atlcodec.sets.losses import Losses
from atlcodec.sets.official import Known
from atlcodec.shape import Shape

BATCH = 4096  # images at a time at most: enough for the threads of the encoder. A setting; tests make it small
PER_PROCESS = 8192  # images for each reading process: fewer do not pay for its start. A setting, too


class Name(NamedTuple):
    """The path of an image in the list of its set, its label if it has one, and its split: "" if it is in none."""

    path: str
    label: str | None
    split: str = ""


class Listed(NamedTuple):
    """The names of images that follow each other, and why others between them are left out."""

    names: list[Name]
    problems: list[str]


@dataclass(frozen=True)
class Batch:
    """Images that follow each other, not yet read. The `stamp` is a digest of names and times of change: if a later run
    finds the same, the images are the same."""

    names: list[Name]
    problems: list[str]  # why others between them are left out
    stamp: str

    def __len__(self) -> int:
        return len(self.names) + len(self.problems)


@dataclass(frozen=True)
class Loaded:
    """The images of a batch that could be read, uint8 (N, *shape), their names, and why the others could not; and what
    the images lost. `counts` says, where parts of large images are taken, how many each name has; where images become
    tiles, how many records; else it is None."""

    images: Images
    names: list[Name]
    problems: list[str]
    losses: Losses = field(default_factory=Losses)
    counts: list[int] | None = None


class Sampled(Protocol):
    """Images that can be sampled."""

    def __len__(self) -> int: ...
    def sample(self, count: int) -> Images: ...


class Source(Sampled, Protocol):
    """Images of one shape."""

    name: str  # of the set
    shape: Shape
    classes: tuple[str, ...]  # its labels, in order
    sorted: bool  # whether the images come in the order of their labels
    repeats: list[str]  # paths that clash with those of the set to which they would be added
    notes: list[str]  # what the user must know of the others
    left_out: tuple[str, ...]  # names of files that are not used
    known: Known | None  # which published set it is
    digests: dict[str, str]  # SHA-256 of its files by name, as far as they were read

    def listed(self, size: int | None = None) -> Iterator[Listed]: ...  # as batches, without a look at the files
    def batches(self, size: int | None = None) -> Iterator[Batch]: ...  # the default is BATCH
    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]: ...
