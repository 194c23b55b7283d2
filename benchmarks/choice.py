"""The choice of a model for an image where the user names none: a linear classifier, and what the choice costs.

    ATLC_DATA=... python benchmarks/choice.py

It learns from training images, and is measured on the validation images behind them; records without a search. It goes
into models/choice.json, unless --images asks for a quick look."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import inputs
import numpy as np
import report
from inputs import Images, Labels
from numpy.typing import NDArray
from report import Row, Table

from atlcodec import atomic, choice, codec, zoo
from atlcodec.card import BUNDLED
from atlcodec.codec import Codec

IMAGES = 4000  # of each set that it learns from
VALIDATION = 5000
STEPS, RATE, DECAY = 4000, 0.5, 1e-4  # gradient descent on standardised evidence

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What K codecs make of N images of one set: their evidence, (K, 2, N), and whether each is right, bool (K, N)."""

    evidence: Floats
    right: NDArray[np.bool_]

    def cost(self, own: int, scores: Floats) -> tuple[float, float]:
        """By these scores, (K, N), the percentage of images that get another codec than their own, and the points of
        accuracy that this costs."""
        chosen = scores.argmax(axis=0)
        right = self.right[chosen, np.arange(len(chosen))]
        return 100 * float((chosen != own).mean()), 100 * float(self.right[own].mean() - right.mean())


def main() -> None:
    options = report.arguments(__doc__, images=IMAGES)
    codecs = [Codec(model) for model in zoo.default()]
    learnt, held = dict[int, Seen](), dict[int, Seen]()
    for data in inputs.labelled_sets():
        own = next(number for number, each in enumerate(codecs) if each.model.card.data[0]["name"] == data.name)
        first, names = len(data.train) - VALIDATION, np.array(data.classes)
        for kept, start, end in ((learnt, first - options.images, first), (held, first, first + options.images)):
            kept[own] = seen(codecs, data.train[start:end], names, data.train_labels[start:end])
    weights = fitted([learnt[own].evidence for own in range(len(codecs))])
    made = {"heads": [choice.head_digest(each) for each in codecs], "weights": np.round(weights, 4).tolist()}
    if options.output == report.RESULTS.resolve():
        with atomic.file(BUNDLED / "choice.json") as file:
            file.write(json.dumps(made).encode() + b"\n")
        zoo.choice.cache_clear()
    table = Table("What the choice costs", rows(codecs, held), *notes(options.images))
    report.publish("choice", "The choice of a model", [table], options.output, raw=made)


def seen(codecs: list[Codec], images: Images, names: NDArray[np.str_], labels: Labels) -> Seen:
    records = [each.encode(images, effort=0) for each in codecs]
    right = [
        np.array(each.labels)[each.classify(made).argmax(axis=1)] == names[labels]
        for each, made in zip(codecs, records, strict=True)
    ]
    evidence = [each.evidence(images, made) for each, made in zip(codecs, records, strict=True)]
    return Seen(np.stack(evidence), np.stack(right))


def fitted(evidence: list[Floats]) -> Floats:
    """The weights, (K, 2K + 1), of logistic regression on the evidence of images of each codec's own set."""
    features = np.concatenate([choice.features(each) for each in evidence], axis=1)
    truth = np.repeat(np.eye(len(evidence)), [each.shape[2] for each in evidence], axis=1)
    mean, spread = features.mean(axis=1, keepdims=True), features.std(axis=1, keepdims=True)
    mean[-1], spread[-1] = 0, 1  # the constant
    scaled = (features - mean) / spread
    weights = np.zeros((len(evidence), len(features)))
    for _ in range(STEPS):
        odds = np.exp(weights @ scaled)
        slope = (odds / odds.sum(axis=0) - truth) @ scaled.T / scaled.shape[1]
        weights -= RATE * (slope + DECAY * weights)
    plain: Floats = weights / spread.T
    plain[:, -1] -= plain[:, :-1] @ mean[:-1, 0]
    return plain


def rows(codecs: list[Codec], held: dict[int, Seen]) -> list[Row]:
    ways: dict[str, Callable[[Floats], Floats]] = {
        "the best PSNR": lambda evidence: evidence[:, 0],
        "PSNR, less 6 dB for each factor of e of doubt": lambda one: one[:, 0] + codec.UNSURE * one[:, 1],
        "the linear classifier (as chosen)": lambda evidence: choice.scores(codecs, evidence),
    }
    made = []
    for way, scores in ways.items():
        row: Row = {"": way}
        for own, one in held.items():
            another, lost = one.cost(own, scores(one.evidence))
            name = codecs[own].name
            row |= {f"{name}: another model, %": another, f"{name}: accuracy lost, points": lost}
        made.append(row)
    return made


def notes(images: int) -> list[str]:
    return [f"{images:,} images of each set. A model is right if it names the label of the set."]


if __name__ == "__main__":
    main()
