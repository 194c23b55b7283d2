"""Image files that you name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from atlcodec.codec import Images
from atlcodec.convert import Prepared
from atlcodec.errors import AtlcError
from atlcodec.sets.image_files import stack
from atlcodec.sets.losses import Losses
from atlcodec.sets.paths import OutputPaths, listable
from atlcodec.sets.sources import Loaded, Name
from atlcodec.shape import Shape


class ImageFiles:
    """All read at once: a terminal takes no millions of names."""

    def __init__(self, names: Iterable[str], read: Callable[[str], Prepared], shape: Shape) -> None:
        self.prepared: list[Prepared] = []
        good, problems, losses = list[Name](), list[str](), Losses()
        for name in names:
            try:
                self.prepared.append(read(name))
            except AtlcError as error:
                problems.append(str(error))
                continue
            good.append(Name(name, None))
            losses.note(name, self.prepared[-1])
        images = stack([one.pixels for one in self.prepared], shape)
        self.loaded = Loaded(images, good, problems, losses)

    def __len__(self) -> int:
        return len(self.loaded.names) + len(self.loaded.problems)

    def sample(self, count: int) -> Images:
        return self.loaded.images[:: -(-len(self.loaded.images) // count) or 1]


def list_paths(names: list[str]) -> list[str]:
    """The paths of these files for a list: as they are named, or, if one leads out of the current folder, from the
    folder that holds them all. Those that a list cannot have are changed a little."""
    paths = [os.path.normpath(name) for name in names]
    if any(os.path.isabs(path) or path.split(os.sep)[0] == os.pardir for path in paths):
        full = [os.path.abspath(path) for path in paths]
        try:
            above = os.path.commonpath(list(map(os.path.dirname, full)))
            paths = [os.path.relpath(path, above) for path in full]
        except ValueError:  # on several drives of Windows
            paths = [os.path.basename(path) for path in full]
    taken = OutputPaths()
    return [listable(path.replace(os.sep, "/"), taken) for path in paths]
