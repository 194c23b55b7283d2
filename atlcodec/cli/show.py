"""atlc show: sets to look at, in the terminal, as a contact sheet, or as a page for the browser."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from atlcodec.cli.common import ErrorCount, escape, progress, quiet_option, require_output, tell
from atlcodec.cli.files import all_names, check_output, files_from_option, open_set, output_option, refuse_twice, save
from atlcodec.cli.fitting import fit_of, fit_options
from atlcodec.cli.help import Command, complete_files, group, model_option
from atlcodec.errors import AtlcError
from atlcodec.reader import Reader
from atlcodec.sets.manifest import counted

if TYPE_CHECKING:
    from atlcodec.fit import Fit
    from atlcodec.show.items import Item, Sort, Tally

SORTS = "order", "label", "probability", "psnr"
LIMITS = {"": 40, ".png": 400, ".html": 200_000}  # images, by the ending of -o


@click.command(
    cls=Command,
    examples=("atlc show set.atlc -o page.html", "atlc show set.atlc -o sheet.png --sort probability --limit 100"),
)
@click.argument("names", nargs=-1, metavar="FILE...", shell_complete=complete_files)
@group("Output")
@output_option("FILE.html|FILE.png", "A page for the browser, or a contact sheet. [default: print to the terminal]")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file; without -o, print into a pipe, too.")
@quiet_option
@group("What is shown")
@click.option(
    "--sort",
    default="order",
    show_default=True,
    type=click.Choice(SORTS),
    help="probability: wrong labels first, then unsure ones; label: by true label, wrong ones first; psnr: the worst "
    "first, with --original.",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="At most N. [default: 40; sheet: 400; page: 200,000]"
)
@click.option("--scale", type=click.IntRange(1, 32), metavar="N", help="Show each pixel as N x N pixels.")
@click.option("--head", help="The classifier to use, by name. [default: the model's first]")
@group("Originals")
@click.option(
    "--original",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Show original and difference beside each image. DIR is the folder that was encoded.",
)
@fit_options
@group("Input")
@model_option()
@files_from_option
def show(
    names: tuple[str, ...],
    files_from: str | None,
    output: str | None,
    force: bool,
    model: str | None,
    head: str | None,
    **given: Any,
) -> None:
    """Show the images of records, with their labels.

    In a terminal each character is two pixels; a sheet is a PNG file; a page is one HTML file that decodes the records
    in the browser, without a server or a network. Open it with a double click.

    Labels are red if the list beside the file (set.csv, or the columns of a Parquet file) has another one. The
    difference to the original is grey where nothing was lost, and four times as strong as it is."""
    names = all_names(names, files_from)
    refuse_twice(names)
    how = _How(given["sort"], given["limit"], given["scale"], given["original"], fit_of(given))
    ending = check_output(output, (".html", ".png"), "show writes a page or a sheet")
    if how.sort == "psnr" and how.original is None:
        raise click.UsageError("--sort psnr needs the originals: --original DIR")
    require_output()
    if not ending and not force and not sys.stdout.isatty():
        raise AtlcError("standard output: is not a terminal; name a file (-o page.html or sheet.png), or give --force")
    _show(names, Reader(model, head), how, ending, lambda data: save(output or "", data, force, names), output)


def _show(
    names: tuple[str, ...],
    reader: Reader,
    how: _How,
    ending: str,
    write: Callable[[bytes], None],
    output: str | None,
) -> None:
    """Show the files: in the terminal, or in a file with this ending."""
    errors = ErrorCount()
    chosen, tally = _choose(names, reader, how, how.limit or LIMITS[ending], errors)
    if not chosen:
        if not errors.count:
            raise AtlcError(f"{', '.join(names)}: no images to show")
    elif ending:
        write(_file(ending, chosen, tally, how, _title(names), errors))
        tell(f"{_title(names)} -> {output}  {_counts(len(chosen), tally)}")
    else:
        _print(chosen, tally, how, names, errors)
    errors.exit()


@dataclass(frozen=True)
class _How:
    """What the user asked for."""

    sort: Sort
    limit: int | None
    scale: int | None
    original: str | None
    fit: Fit


def _choose(
    names: tuple[str, ...], reader: Reader, how: _How, limit: int, errors: ErrorCount
) -> tuple[list[Item], Tally]:
    """The images that are shown. All others are counted, if there is a list of true labels to compare with."""
    from atlcodec.show import items, originals

    tally, complete = items.Tally(), how.sort != "order"

    def every() -> Iterator[Item]:
        nonlocal complete
        for name in names:
            try:
                records = open_set(name, reader, whole=True)
                complete |= records.has_list
                yield from progress(items.collect(records, errors.report), "reading", len(records))
            except AtlcError as error:
                errors.report(error)

    found = tally.count(every())
    if how.original is not None:
        source = originals.folder(how.original, how.fit, errors.report)
        if how.sort == "psnr":  # the best ones' originals are not kept
            found = items.measured(found, source, errors.report, keep=False)
    chosen = items.pick(found, how.sort, limit)
    if how.original is not None:
        chosen = list(items.measured(chosen, source, errors.report, keep=True))
    if complete:
        for _ in found:  # what is not shown is counted
            pass
    else:
        tally.more = next(found, None) is not None
    return chosen, tally


def _file(ending: str, chosen: list[Item], tally: Tally, how: _How, title: str, errors: ErrorCount) -> bytes:
    if ending == ".html":
        from atlcodec.show import page

        return page.make(sorted(chosen, key=lambda item: item.place), title, how.sort)
    from atlcodec.show import items, sheet

    sheet.check(chosen, title, how.scale)
    line = f"{title}: {_counts(len(chosen), tally)}"
    if total := tally.pairs.total():
        line += f", {tally.right / total:.1%} of {counted(total, 'label')} right"
    return sheet.draw(chosen, list(items.decode(chosen, errors.report)), line, tally, how.scale)


def _print(chosen: list[Item], tally: Tally, how: _How, names: tuple[str, ...], errors: ErrorCount) -> None:
    from atlcodec.cli.confusion import Confusion
    from atlcodec.show import blocks, items

    width = shutil.get_terminal_size().columns
    for line in blocks.lines(chosen, list(items.decode(chosen, errors.report)), width, how.scale or 1):
        click.echo(line, color=True)
    click.echo(escape(f"{_title(names)}: {_counts(len(chosen), tally)}"))
    if tally.pairs:
        found = Confusion(tally.labels, tally.pairs, tally.unsure)
        click.echo(found.as_text(_title(names)))


def _counts(shown: int, tally: Tally) -> str:
    if tally.more:
        return f"the first {counted(shown, 'image')} (--limit)"
    if shown == tally.images:
        return counted(shown, "image")
    return f"{shown} of {counted(tally.images, 'image')} (--limit)"


def _title(names: tuple[str, ...]) -> str:
    """The names of the files as far as they can be shown."""
    first = [os.path.basename(os.path.normpath(name)) if name != "-" else "standard input" for name in names[:3]]
    return escape(", ".join(first) + (f" and {len(names) - 3} more" if len(names) > 3 else ""))
