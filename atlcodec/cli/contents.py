"""Data sets that commands read, and what they tell of them: what was read and what was left out, in the line at the
end, and --dry-run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from atlcodec.cli.common import log, tell
from atlcodec.fit import Fit
from atlcodec.shape import Shape

if TYPE_CHECKING:
    from atlcodec.sets.contents import Contents
    from atlcodec.sets.dataset import Dataset
    from atlcodec.sets.sources import Source

MOST_PROBLEMS = 10  # that are shown of images that cannot be read; all are counted

dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Say which images, splits and labels would be read, and write nothing. Images are not opened.",
)


def load(where: str, shape: Shape | None, how: Fit, crops: int = 0) -> Dataset:
    """A data set in memory, with a line for each image that cannot be read."""
    from atlcodec.sets import dataset

    data = dataset.load(where, shape=shape, how=how, crops=crops, log=log)
    for note in data.contents.notes if data.contents else ():
        log(f"{where}: {note}")
    for problem in data.problems[:MOST_PROBLEMS]:
        log(f"atlc: {problem}")
    if len(data.problems) > MOST_PROBLEMS:
        log(f"atlc: {len(data.problems) - MOST_PROBLEMS} more images cannot be read")
    return data


def show_contents(where: str, contents: Contents | None) -> None:
    """The line."""
    if contents:
        tell(f"{where}: {contents.line()}")


def dry_run(
    where: str, shape: Shape | None, how: Fit, crops: int = 0, *, learned: bool = True, whole: bool = False
) -> None:
    """Print what would be read of a set: notes, the line, and the first entries. `learned` is that of `Contents`; the
    `whole` of image files of any size is read for grids."""
    from atlcodec.sets.contents import contents
    from atlcodec.sets.finding import find, find_files
    from atlcodec.sets.paths import OutputPaths

    files: Source | None = find_files(where, how, OutputPaths()) if whole else None
    source = files or find(where, shape=shape, how=how, crops=crops, log=log)
    about = replace(contents(source), learned=learned)
    for note in about.notes:
        log(f"{where}: {note}")
    for problem in about.problems[:MOST_PROBLEMS]:
        log(f"atlc: {problem}")
    click.echo(f"{where}: {about.line()}")
    for name in about.first:
        click.echo(f"  {name.path}" + (f"  {name.label}" if name.label is not None else ""))
    if about.images > len(about.first):
        click.echo(f"  ... and {about.images - len(about.first)} more")
