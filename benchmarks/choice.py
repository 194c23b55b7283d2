"""What the choice of a model for each image costs in accuracy, by the weight of the classifier's doubt.

    ATLC_DATA=... python benchmarks/choice.py

Validation images, which are the last training images of each data set; records without a search."""

from __future__ import annotations

import inputs
import numpy as np
import report
from report import Row, Table

from atlcodec import codec, metrics, zoo
from atlcodec.codec import Codec

PENALTIES = 0, 2, 4, int(codec.UNSURE), 8, 12  # dB for each factor of e


def main() -> None:
    options = report.arguments(__doc__, images=2500)
    codecs = [Codec(model) for model in zoo.default()]
    rows: dict[int, Row] = {penalty: {"dB for each factor of e": penalty} for penalty in PENALTIES}
    for data in inputs.labelled_sets():
        images, truth = data.train[-options.images :], np.array(data.classes)[data.train_labels[-options.images :]]
        psnr, doubt, right = [], [], []
        for each in codecs:
            records = each.encode(images, effort=0)
            scores = each.classify(records)
            psnr.append(metrics.psnr_each(metrics.squared_error(images, each.decode(records))))
            doubt.append(np.log(scores.max(axis=1)))
            right.append(np.array(each.labels)[scores.argmax(axis=1)] == truth)
        own = next(index for index, each in enumerate(codecs) if each.model.card.data[0]["name"] == data.name)
        for penalty, row in rows.items():
            chosen = np.argmax(np.array(psnr) + penalty * np.array(doubt), axis=0)
            cost = right[own].mean() - np.array(right)[chosen, np.arange(len(images))].mean()
            row[f"{data.name}: another model, %"] = 100 * float((chosen != own).mean())
            row[f"{data.name}: accuracy lost, points"] = 100 * float(cost)
    note = f"{options.images:,} images of each set. A model is right if it names the label of the set."
    report.publish("choice", "The choice of a model", [Table("By penalty", rows.values(), note)], options.output)


if __name__ == "__main__":
    main()
