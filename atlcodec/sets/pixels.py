"""The images of a `parts.Found` as a `sources.Source`: IDX, CIFAR-10, NumPy's files, CSV and Parquet."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import picture
from atlcodec.codec import Images
from atlcodec.convert import Prepared
from atlcodec.errors import AtlcError, BadData
from atlcodec.fit import NOTHING, Fit
from atlcodec.sets import sources
from atlcodec.sets.formats import parts
from atlcodec.sets.formats.parts import Found, Part, Raw
from atlcodec.sets.image_files import stack
from atlcodec.sets.image_folder import state
from atlcodec.sets.losses import Losses
from atlcodec.sets.manifest import is_label
from atlcodec.sets.paths import OutputPaths
from atlcodec.sets.sources import Batch, Listed, Loaded, Name
from atlcodec.shape import Shape


class Pixels:
    """The images of the parts of a set, one after the other: `train/00017.png` is number 17 of the training images."""

    def __init__(self, name: str, found: Found, shape: Shape, taken: OutputPaths, how: Fit = NOTHING) -> None:
        self.name, self.shape, self._how = name, shape, how
        self._parts = {part.split: part for part in found.parts}
        self.classes = _occurring(found)
        self._labels = found.classes
        self.left_out, self.known, self.digests = found.left_out, found.known, found.digests
        self.sorted = found.known is None and any(_is_sorted(part.labels) for part in found.parts)
        for label in self.classes:
            if not is_label(label):
                raise BadData(
                    f"{found.parts[0].path}: {label[:100]!a} cannot be a label: it is empty, too long, or has control "
                    "characters; rename it"
                )
        self.repeats, self.notes = list[str](), list(found.notes)
        existing = len(taken)
        for path in (one.path for listed in self.listed() for one in listed.names) if existing else ():
            first = taken.add(path)
            if first is not None and first < existing:
                self.repeats.append(path)

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))

    def listed(self, size: int | None = None) -> Iterator[Listed]:
        return (Listed(names, []) for _, _, names in self._pieces(size or sources.BATCH))

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        for part, numbers, names in self._pieces(size or sources.BATCH):
            stamp = f"{part.path.name} {state(str(part.path))} {numbers} {list(map(tuple, names))}"
            yield Batch(names, [], hashlib.sha256(stamp.encode()).hexdigest())

    def _pieces(self, size: int) -> Iterator[tuple[Part, range, list[Name]]]:
        """The images of each part, up to `size` at a time: their numbers in it, and their names."""
        for split, part in self._parts.items():
            width, before = max(5, len(str(len(part) - 1))), f"{split}/" if split else ""
            for start in range(0, len(part), size):
                numbers = range(start, min(start + size, len(part)))
                labels = [-1] * len(numbers) if part.labels is None else part.labels[start : numbers.stop].tolist()
                names = [
                    Name(f"{before}{number:0{width}d}.png", self._labels[label] if label >= 0 else None, split)
                    for number, label in zip(numbers, labels, strict=True)
                ]
                yield part, numbers, names

    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]:
        for split, wanted in itertools.groupby(batches, lambda batch: batch.names[0].split):
            first, part = next(wanted), self._parts[split]
            start = int(first.names[0].path.rpartition("/")[2].removesuffix(".png"))
            images = part.images(len(first), start)
            for batch in itertools.chain([first], wanted):
                raw = next(images, [])
                if len(raw) != len(batch):
                    raise BadData(f"{part.path}: changed while it was read")
                yield batch, self._fitted(part, raw, batch.names)
            next(images, None)  # checks that nothing comes after the last one

    def sample(self, count: int) -> Images:
        """Up to `count` of the images that can be read, spread over all."""
        step = -(-len(self) // count) or 1
        start, chosen = 0, [stack([], self.shape)]
        for part in self._parts.values():
            for raw in part.images(sources.BATCH):
                some = raw[-start % step :: step]
                if len(some):
                    chosen.append(self._fitted(part, some, [Name("", None)] * len(some)).images)
                start += len(raw)
        return np.concatenate(chosen)

    def check(self) -> None:
        """Raise `BadData` if the first image of a part cannot be made one of the shape, where all are alike: a line for
        each of a million would not help. Also for what may be done to other images, but not to these."""
        for part in self._parts.values():
            raw = next(iter(part.images(1)), [])
            if len(raw):
                _check_options(part, raw[0], self._how)
            if isinstance(raw, np.ndarray) and (found := self._fitted(part, raw, [Name("", None)])).problems:
                raise BadData(found.problems[0])

    def _fitted(self, part: Part, raw: parts.Batch, names: list[Name]) -> Loaded:
        """Images of any kind made images of the shape."""
        if isinstance(raw, np.ndarray):
            raw = _channels(raw)
            fast = self._fast(_bytes(raw, self._how))
            if fast is not None:
                return Loaded(fast, names, [], Losses(changes={"inverted"} if self._how.invert else set()))
        good, pixels, problems, losses = list[Name](), list[Images](), list[str](), Losses()
        for name, one in zip(names, raw, strict=True):
            called = f"{part.path}: {name.path}" if name.path else str(part.path)
            try:
                prepared = _prepared(one, self._how, called, self.shape)
            except AtlcError as error:
                problems.append(str(error))
                continue
            good.append(name)
            pixels.append(prepared.pixels)
            losses.note(called, prepared)
        return Loaded(stack(pixels, self.shape), good, problems, losses)

    def _fast(self, images: NDArray[Any]) -> Images | None:
        """The same without Pillow, if the images have the shape already."""
        if images.dtype != np.uint8:
            return None
        images = images.swapaxes(1, 2) if self._how.transpose else images
        if images.shape[1:] != self.shape:
            return None
        return 255 - images if self._how.invert else np.ascontiguousarray(images)


def raw_shapes(parts: Sequence[Part], how: Fit, count: int) -> list[tuple[str, tuple[int, ...]]]:
    """The names and shapes of the first images of each part as they are. Those that cannot be read are left out; raises
    `AtlcError` if none can be."""
    found, wrong = list[tuple[str, tuple[int, ...]]](), list[AtlcError]()
    for part in parts:
        raw = next(iter(part.images(count)), [])
        some = _channels(raw)[:1] if isinstance(raw, np.ndarray) else raw[:count]
        for one in some:
            try:
                found.append((part.path.name, _shape(one, how, str(part.path))))
            except AtlcError as error:
                wrong.append(error)
    if wrong and not found:
        raise wrong[0]
    return found


def _shape(one: Raw, how: Fit, name: str) -> tuple[int, ...]:
    if isinstance(one, bytes):
        shape = picture.read(io.BytesIO(one), how, name=name).shape
    else:
        shape = one.shape[1::-1] + one.shape[2:] if how.transpose else one.shape
    return shape[:2] if how.gray else shape


def _check_options(part: Part, one: Raw, how: Fit) -> None:
    """Raise `BadData` if an option is of no use for such images."""
    if how.frame == "all" or (how.frame is not None and not isinstance(one, bytes)):
        what = "is for animations, and these are arrays; leave it out"
        if isinstance(one, bytes):
            what = "is for image files in folders; --frame 0 takes the first of each"
        raise BadData(f"{part.path}: --frame {how.frame} (frame={how.frame!r}) {what}")
    if how.range is not None and not isinstance(one, bytes) and one.dtype.kind in "bu" and one.dtype.itemsize == 1:
        raise BadData(f"{part.path}: has values of 8 bits; --range (range=) is for deeper ones; leave it out")


def _channels(images: NDArray[Any]) -> NDArray[Any]:
    """Images (N, rows, columns, 1) without their last axis."""
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images


def _bytes(images: NDArray[Any], how: Fit) -> NDArray[Any]:
    """Whole numbers from 0 to 255 and booleans as uint8. Unsigned numbers of 16 bits are what they are."""
    if images.dtype.kind == "b":
        return images * np.uint8(255)
    if _is_wide(images, how) and images.size and images.min() >= 0 and images.max() <= 255:
        return images.astype(np.uint8)
    return images


def _is_wide(images: NDArray[Any], how: Fit) -> bool:
    """Whether whole numbers have a type of more bits than pixels have, and no range says what they mean."""
    return how.range is None and (images.dtype.kind == "i" or (images.dtype.kind == "u" and images.dtype.itemsize > 2))


def _prepared(one: Raw, how: Fit, name: str, shape: Shape) -> Prepared:
    """Raises `AtlcError`. What an image is must not depend on those that are read with it."""
    if isinstance(one, bytes):
        return picture.prepare(io.BytesIO(one), how, name=name, shape=shape)
    one = _bytes(one, how)
    if _is_wide(one, how) and one.size:
        has = f"has values from {one.min()} to {one.max()}, where pixels have 0 to 255"
        top = (1 << int(one.max()).bit_length()) - 1
        raise BadData(f"{name}: {has}; --range 0 {top} (range=(0, {top})) makes {top} white")
    return picture.from_array(one, how, name=name, shape=shape)


def _is_sorted(labels: NDArray[np.int64] | None) -> bool:
    return labels is not None and len(labels) > 1 and bool(np.all(np.diff(labels) >= 0)) and labels[0] != labels[-1]


def _occurring(found: Found) -> tuple[str, ...]:
    """The labels that an image has; of a published set, all."""
    if found.known:
        return found.classes
    numbers = {int(n) for part in found.parts if part.labels is not None for n in np.unique(part.labels)}
    return tuple(label for number, label in enumerate(found.classes) if number in numbers)
