"""PSNR and accuracy of a model on a data set, from sealed records: the figures of the cards and of `atlc evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import metrics, record
from atlcodec.choice import suited
from atlcodec.codec import Codec, Images

Progress = Callable[[int], None]
STEP = 256  # images that are encoded between two calls of it

MAIN_FIGURES = ("psnr", "psnr_mean", "accuracy")


@dataclass(frozen=True)
class Figures:
    """What was measured on N images."""

    errors: NDArray[np.float64]  # (N,), the squared error of each decoded record
    right: NDArray[np.bool_] | None  # (N,), whether the label was read right; None if `no_accuracy` says why not
    errors_unsealed: NDArray[np.float64]  # (N,), the errors at effort 0 and without a seal
    right_unsealed: NDArray[np.bool_] | None  # (N,), `right` at effort 0 and without a seal
    models: tuple[str, ...]  # the name of the model of each image
    no_accuracy: str = ""  # why accuracy was not measured

    def summary(self) -> dict[str, object]:
        """The figures by name: PSNR in dB, accuracy in percent. `psnr_low` is reached by 999 of 1,000 images."""
        per_image = metrics.psnr_each(self.errors)
        figures: dict[str, object] = {
            "images": len(self.errors),
            "psnr": round(_psnr(self.errors.mean()), 3),
            "psnr_mean": round(float(per_image.mean()), 3),
            "psnr_low": round(float(np.quantile(per_image, 0.001)), 3),
            "psnr_unsealed": round(_psnr(self.errors_unsealed.mean()), 3),
        }
        if self.right is not None and self.right_unsealed is not None:
            figures["accuracy"] = round(100 * float(self.right.mean()), 3)
            figures["accuracy_unsealed"] = round(100 * float(self.right_unsealed.mean()), 3)
            # The standard error of the difference of the two accuracies, from the images on which they disagree.
            disagreed = int((self.right != self.right_unsealed).sum())
            figures["accuracy_seal_error"] = round(100 * disagreed**0.5 / len(self.right), 3)
        if len(set(self.models)) > 1:
            figures["models"] = dict(Counter(self.models).most_common())
        return figures

    def line(self) -> str:
        """The summary in one line."""
        f = self.summary()
        text = f"PSNR {f['psnr']:.2f} dB pooled, {f['psnr_mean']:.2f} dB mean per image"
        text += f", accuracy {f['accuracy']:.2f} %" if "accuracy" in f else ""
        unsealed = f", {f['accuracy_unsealed']:.2f} %" if "accuracy" in f else ""
        text += f" (effort 0, no seal: {f['psnr_unsealed']:.2f} dB{unsealed})"
        text += f"; no accuracy: {self.no_accuracy}" if self.no_accuracy else ""
        if "models" in f:
            text += "; " + ", ".join(f"{name} {count}" for name, count in Counter(self.models).most_common())
        return text


def _psnr(mse: float) -> float:
    return metrics.psnr(max(float(mse), metrics.FLOOR))


def measure(
    codec: Codec,
    images: Images,
    labels: NDArray[np.integer] | None,
    classes: Sequence[str],
    effort: int = 0,
    progress: Progress = lambda count: None,
) -> Figures:
    """One model on images, uint8 (N, *shape), with labels, integers (N,), that are numbers of `classes`. The figures
    have no accuracy without labels, without a classifier, or if it knows no label of these. `progress` gets the number
    of images that were encoded since its last call."""
    sealed = np.empty((len(images), record.RECORD_BYTES), np.uint8)
    for start in range(0, len(images), STEP):
        sealed[start : start + STEP] = codec.encode(images[start : start + STEP], effort)
        progress(len(images[start : start + STEP]))
    # Without seal and refinement: the symbols nearest to the latents. Their seals are not valid.
    bare = record.pack(codec.model.card.packing.nearest(codec.latents(images))[0])
    errors = metrics.squared_error(images, codec.decode(sealed))
    errors_unsealed = metrics.squared_error(images, codec.decode(bare, verify=False))
    right = right_unsealed = None
    no_accuracy = ""
    if labels is None:
        no_accuracy = "the images have no labels"
    elif not codec.model.card.default_head:
        no_accuracy = f"{codec.name} has no classifier"
    elif not set(classes) & set(codec.labels):
        no_accuracy = f"the labels of these images are not those of {codec.name}"
    else:
        wanted = np.array(classes)[labels]
        names = np.array(codec.labels)
        right = names[codec.classify(sealed).argmax(axis=1)] == wanted
        right_unsealed = names[codec.classify(bare, verify=False).argmax(axis=1)] == wanted
    return Figures(errors, right, errors_unsealed, right_unsealed, (codec.name,) * len(sealed), no_accuracy)


def automatic(
    codecs: list[Codec],
    images: Images,
    labels: NDArray[np.integer] | None,
    classes: Sequence[str],
    effort: int = 0,
    progress: Progress = lambda count: None,
) -> Figures:
    """Each image as if it were encoded alone and no model were named: by the codec that `encode` chooses. A label
    counts as right only if the chosen model gives it, so that each wrong choice shows."""
    best = suited(images, codecs).each
    each = [measure(codec, images, labels, classes, effort if codec.model.refines else 0, progress) for codec in codecs]
    rows = np.arange(len(images))

    def pick(columns: list[NDArray[Any]]) -> NDArray[Any]:
        return np.asarray(np.stack(columns)[best, rows])

    nothing = np.zeros(len(images), np.bool_)
    labelled = any(figures.right is not None for figures in each)
    return Figures(
        pick([f.errors for f in each]),
        pick([nothing if f.right is None else f.right for f in each]) if labelled else None,
        pick([f.errors_unsealed for f in each]),
        pick([nothing if f.right_unsealed is None else f.right_unsealed for f in each]) if labelled else None,
        tuple(codecs[index].name for index in best),
        "" if labelled else "; ".join(dict.fromkeys(figures.no_accuracy for figures in each)),
    )
