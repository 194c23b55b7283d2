"""From trained networks to a model folder, measured as its users will run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec import atomic, engine, evaluation, metrics, zoo
from atlcodec.card import Model
from atlcodec.card_writer import update_card, write_head, write_model
from atlcodec.codec import Codec
from atlcodec.latents import Packing
from atlcodec.sets.dataset import Dataset, Images, Split
from atlcodec.training import finish
from atlcodec.training.heads import Examples
from atlcodec.training.trainer import Trainer

EFFORT = 3  # of a codec whose refiner gives steps: the best trade of time for quality


class Published(NamedTuple):
    """A codec that was written: where, its id, and its figures."""

    folder: Path
    id: int
    figures: evaluation.Figures


def codecs(
    trainer: Trainer,
    sets: Sequence[Dataset],
    output: Path,
    name: str,
    card: Mapping[str, Any],
    head: str | None,
    base: Model | None = None,
    *,
    exact_epochs: int = 0,
) -> list[Published]:
    """Write the codec of a run to `output`: one model folder; or, for several data sets, a folder of model folders.

    `head` is the name of the classifier; None leaves it out. The decompressor, and with it the id, is that of `base`,
    if there is one; else it is made exact and tuned for `exact_epochs` (see `finish.py`). An existing folder is
    replaced."""
    # A model that is replaced may keep its id.
    taken = {model.id for model in zoo.models().values() if not model.folder.resolve().is_relative_to(output.resolve())}
    published = []
    with atomic.folder(output) as part:
        for number, data in enumerate(sets):
            several = len(sets) > 1
            own = f"{name}-{data.name}" if several else name
            folder = part / own if several else part
            made = finish.codec(trainer, exact_epochs, taken, number, base)
            about = {"name": own, "shape": list(data.shape), **about_latents(trainer.nets.packing), **made.about}
            about_head = {"name": head, "labels": list(data.classes), **made.about_head} if head else None
            write_model(folder, made.files, {**about, **card}, about_head)
            codec = Codec.load(folder)
            taken.add(codec.id)
            if head:
                add_unsure(codec, trainer.domains[number].held_out.images)
            tested = data.test is not None and data.test.labels is not None
            figures = add_figures(folder, codec, data, None if tested else trainer.domains[number].held_out)
            published.append(Published(output / own if several else output, codec.id, figures))
    return published


def about_latents(packing: Packing) -> dict[str, object]:
    """What a card says of the latents and of the search for them: nothing, if they are the symbols themselves."""
    if packing.uniform:
        return {}
    return {"latents": [list(pair) for pair in packing.widths], "label_latents": packing.labels, "effort": EFFORT}


def add_unsure(codec: Codec, images: Images) -> None:
    """Add to a head's card the probability that 99 of 100 images reach. `images` are of its kind and not learned
    from."""
    probabilities = codec.classify(codec.encode(images, effort=0)).max(axis=1)
    update_card(codec.head.folder, {"unsure_below": unsure_below(probabilities)})


def unsure_below(probabilities: NDArray[np.float32]) -> float:
    return round(float(np.quantile(probabilities, 0.01)), 4)


def add_figures(folder: Path, codec: Codec, data: Dataset, held_out: Split | None) -> evaluation.Figures:
    """Measure a codec on `held_out`, or without it on the test split, and add the figures to its card."""
    split = held_out or data.test
    assert split is not None
    figures = evaluation.measure(codec, split.images, split.labels, data.classes)
    effort = codec.model.card.effort
    refined = evaluation.measure(codec, split.images, split.labels, data.classes, effort).summary()
    source = f"{data.name}, {'validation' if held_out else 'test'}"
    main = {key: refined[key] for key in evaluation.MAIN_FIGURES if key in refined}
    update_card(
        folder,
        {
            "figures": {"measured on": source, **figures.summary()},
            "searched": {"effort": effort, **main},
        },
    )
    return figures


def head(output: Path, trainer: Trainer, examples: Examples, card: Mapping[str, Any]) -> float:
    """Write the folder of a head, as `atlc models add` takes it. An existing folder is replaced. The recipe in the card
    says for how many `exact_epochs` it is tuned; none, if it does not.

    Returns the accuracy (0..1) of the written file on the validation split."""
    classes = len(examples.classes)
    file, exact = finish.head(trainer, card.get("recipe", {}).get("exact_epochs", 0))
    scale = np.float32(exact.get("scale", 1))
    graph = engine.Graph(file, engine.classifier(classes), str(output / "classifier.onnx"))
    held_out = trainer.domains[0].held_out
    logits = scale * np.concatenate(
        [graph(records) for records in np.array_split(held_out.images, -(-len(held_out) // 1024))]
    )
    assert held_out.labels is not None
    accuracy = metrics.accuracy(logits, held_out.labels)
    about = {
        **exact,
        "unsure_below": unsure_below(metrics.probabilities(logits).max(axis=1)),
        "labels": list(examples.classes),
        "figures": {
            "measured on": f"{examples.describe['name']}, validation",
            "records": len(held_out),
            "accuracy": round(100 * accuracy, 2),
        },
    }
    with atomic.folder(output) as part:
        write_head(part, file, {**card, **about}, examples.model.sha256)
    return accuracy
