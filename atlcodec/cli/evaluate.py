"""atlc evaluate: the quality of a model on a data set, measured on sealed records."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from atlcodec import evaluation, zoo
from atlcodec.cli.common import meter
from atlcodec.cli.contents import dry_run, dry_run_option, load, show_contents
from atlcodec.cli.fitting import fit_of, fit_options
from atlcodec.cli.help import NAMES_DATA, Command, Effort, complete_models, group
from atlcodec.codec import Codec
from atlcodec.errors import BadData
from atlcodec.sets.dataset import Dataset, Split


@click.command(
    cls=Command, examples=("atlc evaluate mnist --data MNIST", "atlc evaluate ./mymodel --data pictures --json")
)
@click.argument("model", shell_complete=complete_models)
@group("What is measured")
@click.option("--data", required=True, help="Labelled images, a data set, or an official one by name.", **NAMES_DATA)
@click.option("--split", default="test", show_default=True, type=click.Choice(["test", "validation", "train"]))
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Use only the first N images.")
@click.option("--effort", default=0, show_default=True, type=Effort(), help="The encoder's effort, as in atlc encode.")
@click.option("--head", help="The classifier to use, by name.")
@dry_run_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@group("Images of other sizes and kinds")
@fit_options
def evaluate(
    model: str, data: str, head: str | None, effort: int, split: str, limit: int | None, as_json: bool, **how: Any
) -> None:
    """Measure PSNR and accuracy of MODEL on the sealed records of a test set.

    PSNR is pooled (from the mean squared error of all images), and the mean over images.

    The second line is the same with a model chosen for each image, as if each image were encoded alone without -m, if
    bundled models take images of this shape; there, a label counts as right only if the chosen model gives it."""
    codec = Codec.load(model, head)
    fit = fit_of(how)
    if how["dry_run"]:
        dry_run(data, codec.shape, fit)
        return
    loaded = load(data, codec.shape, fit)
    images = _chosen(data, loaded, split)[:limit]
    among = [Codec(m) for m in zoo.default() if m.card.shape == codec.shape]
    total, done = len(images) * (1 + len(among)), 0
    with meter("measuring") as show:
        show(0, total)

        def progress(count: int) -> None:
            nonlocal done
            done += count
            show(done, total)

        given = images.images, images.labels, loaded.classes, effort, progress
        named = evaluation.measure(codec, *given)
        chosen = evaluation.automatic(among, *given) if among else None
    if as_json:
        results = {
            "model": codec.name,
            "data": loaded.name,
            "split": split,
            "effort": effort,
            **named.summary(),
            **({"automatic": chosen.summary()} if chosen else {}),
        }
        click.echo(json.dumps(_without_infinities(results)))
    else:
        click.echo(f"{codec.name} on {len(images)} {split} images of {loaded.name}: {named.line()}")
        if chosen:
            click.echo(f"chosen for each image: {chosen.line()}")
    show_contents(data, loaded.contents)
    if loaded.problems:
        raise SystemExit(1)


def _chosen(where: str, data: Dataset, split: str) -> Split:
    """The images of a split. Raises `BadData` without any, and names the others."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    chosen = splits[split]
    if chosen is None or not len(chosen):
        others = " or ".join(name for name, one in splits.items() if one is not None and len(one))
        takes = f"; --split {others} takes others" if others else ""
        raise BadData(f"{where}: has no {split} images{_why_none(data, split)}{takes}")
    return chosen


def _why_none(data: Dataset, split: str) -> str:
    about = data.contents
    if about is None:
        return ""
    if about.splits.get(split):
        return " with a label" if about.labels else " that can be read"
    if set(about.splits) == {""} and split == "test":
        return f": it says nothing of splits, so every tenth image would be one, and it has {about.images}"
    return ""


def _without_infinities(results: dict[str, Any]) -> dict[str, Any]:
    """JSON cannot express them; this drops the PSNR of images that come back exactly."""
    nested = {k: _without_infinities(v) if isinstance(v, dict) else v for k, v in results.items()}
    return {k: v for k, v in nested.items() if not (isinstance(v, float) and math.isinf(v))}
