"""What exactness costs: the bundled `pca` codecs as networks of whole numbers, before and after tuning.

    ATLC_DATA=... python benchmarks/exact.py

Records are those of the bundled compressors at effort 0, and stay as they are: only the decompressor learns. Every
figure is of validation images, the last 5,000 training images; PSNR is of the first 1,000 of them. Each run is kept in
runs/exact, so that a stopped one goes on. With --images, that many training images are learned from. Needs the extra
`train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import inputs
import numpy as np
import report
import torch
from inputs import LabelledSet
from report import Row, Table
from torch import Tensor

from atlcodec import bounds, exact, metrics
from atlcodec.codec import Codec
from atlcodec.training import calibrate, onnx_exact, pretrained, tuning
from atlcodec.training.exact import ExactDecompressor, ExactHead, Form

VALIDATION, DECODED = 5000, 1000
CALIBRATED = 4000  # training images
CODECS = ("mnist", "fashion", "kmnist")
RUNS = Path(__file__).parents[1] / "runs" / "exact"


@dataclass(frozen=True)
class Case:
    """A codec, its networks in floats, and the latents of its images, uint8 (N, M)."""

    codec: Codec
    data: LabelledSet
    networks: pretrained.Modules
    latents: Tensor
    held_out: Tensor

    @property
    def name(self) -> str:
        return self.codec.name


def case(codec: Codec, data: LabelledSet, most: int) -> Case:
    packing = codec.model.card.packing
    learnt = data.train[:-VALIDATION][:most]
    latents, held_out = (
        torch.from_numpy(packing.read(codec.encode(images, effort=0)).reshape(len(images), -1).astype(np.uint8))
        for images in (learnt, data.train[-VALIDATION:])
    )
    return Case(codec, data, pretrained.Modules.load(codec.name), latents, held_out)


@torch.no_grad()
def decompressor(case: Case, epochs: int) -> Row:
    """PSNR in floats, exact, and exact after tuning."""
    images, some = case.data.train[-VALIDATION:][:DECODED], case.held_out[:DECODED].float()

    def psnr(network: torch.nn.Module) -> float:
        pixels = network(some).clamp(0, 255).round().to(torch.uint8)[:, 0].numpy()
        return metrics.psnr(float(metrics.squared_error(images, pixels).mean()))

    network = ExactDecompressor(case.networks.decompressor, case.codec.model.card.packing, Form())
    calibrate.decompressor(network, case.latents[:CALIBRATED].float())
    learnt = torch.from_numpy(case.data.train[: len(case.latents)])
    settings = tuning.Tuning(epochs=epochs)
    folder = RUNS / f"{case.name}-{epochs}-{len(case.latents)}"
    with torch.enable_grad():
        loss = tuning.decompressor_loss(network, case.latents, learnt)
        told = tuning.tune(network, loss, len(learnt), lambda: psnr(network), settings, folder, log=print)
    file = onnx_exact.decompressor(network)
    cost, was = bounds.check(file, case.name), psnr(case.networks.decompressor)
    return {
        "in floats, dB": was,
        "exact, dB": told[0],
        "tuned, dB": told[-1],
        "difference, dB": told[-1] - was,
        "largest sum / 2^24": cost.sum / bounds.SUM,
        "largest pair": cost.pair,
        "million multiply-adds": cost.multiply_adds / 1e6,
        "file, kB": len(file) / 1000,
        "was, kB": len(case.codec.model.file("decompressor")) / 1000,
    }


@torch.no_grad()
def head(case: Case) -> Row:
    """Accuracy in floats, and exact without tuning."""
    network, truth = case.networks.classifier, case.data.train_labels[-VALIDATION:]
    assert network is not None
    made = ExactHead(network, case.codec.model.card.packing)
    calibrate.head(made, case.latents[:CALIBRATED].float())
    floats = network(case.held_out.float()).numpy()
    records = case.codec.encode(case.data.train[-VALIDATION:], effort=0)
    whole = exact.Network(onnx_exact.classifier(made), case.name)(records)
    return {
        "in floats, %": 100 * metrics.accuracy(floats, truth),
        "exact, %": 100 * metrics.accuracy(whole, truth),
        "labels that differ": int((floats.argmax(axis=1) != whole.argmax(axis=1)).sum()),
    }


def main() -> None:
    options = report.arguments(__doc__, images=55_000, epochs=4)
    torch.set_num_threads(1)
    pictures, labels = list[Row](), list[Row]()
    for data in inputs.labelled_sets():
        for codec in inputs.trained_on(data.name):
            if codec.name in CODECS:
                one = case(codec, data, options.images)
                pictures.append({"": codec.name, **decompressor(one, options.epochs)})
                labels.append({"": codec.name, **head(one)})
    note = f"{options.epochs} epochs of {options.images:,} images."
    tables = [Table("Decompressors", pictures, note), Table("Heads, not tuned", labels)]
    report.publish("exact", "What exactness costs", tables, options.output, report.versions("torch"))


if __name__ == "__main__":
    main()
