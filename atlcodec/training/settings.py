"""Every parameter of training, with its default, its range and its help, and the table of recipes. Without PyTorch:
the command line is made from these classes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

FINE_TUNING = 1e-3  # the learning rate by default of networks that begin with a whole codec
ARCHITECTURES = ("lenet", "mixer", "pca")
SIZES = ("small", "large")
# Every way to join some of affine (or elastic), mirror and cutout.
AUGMENT = tuple(
    "+".join(filter(None, changes))
    for changes in itertools.product(("", "affine", "elastic"), ("", "mirror"), ("", "cutout"))
    if any(changes)
)


def param(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> Any:
    """A field of a dataclass: its default, its help, and the values it takes (`above`: larger than this)."""
    return field(
        default=default,
        metadata={"help": help, "choices": tuple(choices), "least": least, "most": most, "above": above},
    )


def exact_epochs() -> Any:
    """The field of all recipes that make a decompressor, and of heads."""
    return param(2, "Epochs of the last phase, in which the exact networks learn to live with their rounding.", least=0)


FLOATS = "Leave the networks that read records in floats: their results may differ a little from machine to machine."


@dataclass(frozen=True)
class Settings:
    """What every recipe needs to know."""

    architecture: str = param(
        "pca",
        "Architecture of the three networks. All but pca take 28 x 28 grey images only.",
        choices=ARCHITECTURES,
    )
    size: str = param(
        "small",
        "Size of the networks of the architecture pca. large: better for images of many kinds, in twice the time.",
        choices=SIZES,
    )
    seed: int = param(0, "Seed of the weights, the order of the images, and augmentation.")
    batch_size: int = param(128, "Images in a mini-batch.", least=1)
    learning_rate: float = param(2e-3, "Highest learning rate (Adam).", above=0)
    weight_decay: float = param(0.0, "Decay of the weights of dense and convolution layers (AdamW).", least=0, most=1)
    lr_warmup_steps: int = param(0, "Mini-batches in which the learning rate of each optimiser rises.", least=0)
    schedule: str = param(
        "cosine",
        "Learning rate over a recipe. cosine: from the highest one down to 1/50 of it.",
        choices=["cosine", "constant"],
    )
    shift: int = param(
        0,
        "Random shift, in pixels, while the compressor learns from labels that augment leaves alone. Black moves in.",
        least=0,
        most=8,
    )
    augment: str = param(
        "none",
        "Random changes of images, while the labels are learned.",
        choices=["none", *AUGMENT],
    )
    augment_share: float = param(0.5, "Share of the images that are changed.", above=0, most=1)
    augment_strength: float = param(1.0, "Strength of affine and elastic changes.", above=0, most=4)
    mixup: float = param(
        0.0,
        "Mix images in pairs while the labels are learned; shares by a beta distribution of this parameter. 0: no.",
        least=0,
        most=10,
    )
    label_smoothing: float = param(0.0, "Label smoothing of the cross-entropy.", least=0, most=0.9)
    precision: str = param(
        "float32",
        "Precision of products and activations. bfloat16 is faster on processors that support it.",
        choices=["float32", "bfloat16"],
    )
    sealed: bool = param(
        False, "Train the decompressor and the classifier behind a frozen compressor on sealed records."
    )
    validation: int = param(
        5000, "Images for validation: the last of the training set, at most a tenth of it.", least=1
    )
    weight: float = param(
        0.002, "Weight of the cross-entropy in the joint loss, beside the squared error of pixels in 0..1.", least=0
    )
    device: str = param("cpu", "PyTorch device.")
    floats: bool = param(False, FLOATS)


@dataclass(frozen=True)
class HeadSettings:
    """What the training of a head needs to know. Defaults were chosen on validation splits, not on test sets."""

    architecture: str = param(
        "codec",
        "Architecture of the classifier. codec: what suits the codec's own. For pca codecs, dense: all latents; pca: "
        "the latents for labels alone; conv: more accurate and slower.",
        choices=["codec", *ARCHITECTURES, "dense", "conv"],
    )
    seed: int = param(0, "Seed of the weights, the order of the records, and the validation split.")
    batch_size: int = param(512, "Records in a mini-batch.", least=1)
    learning_rate: float = param(
        4e-3, "Highest learning rate (Adam). It falls to 1/50 of that along a cosine.", above=0
    )
    epochs: int = param(0, "Epochs. 0 takes as many as give 2,000 mini-batches, from 20 to 200.", least=0)
    validation: int = param(5000, "Records for validation, chosen at random, at most a tenth of all.", least=1)
    copies: int = param(0, "Changed copies of each image, which are encoded too.", least=0)
    augment: str = param("affine", "What changes the copies.", choices=AUGMENT)
    augment_strength: float = param(1.0, "Strength of affine and elastic changes.", above=0, most=4)
    label_smoothing: float = param(0.0, "Label smoothing of the cross-entropy.", least=0, most=0.9)
    precision: str = param("float32", "Precision of products and activations.", choices=["float32", "bfloat16"])
    device: str = param("cpu", "PyTorch device.")
    exact_epochs: int = exact_epochs()
    floats: bool = param(False, FLOATS)


@dataclass(frozen=True)
class Atl:
    """The parameters of Algorithm 1, in epochs. The paper takes k = j = 1 and 25 sets, without a warm-up."""

    warmup: int = param(1, "Epochs of the autoencoder before the first set.", least=0)
    k_ae: int = param(1, "Epochs of compressor + decompressor in a set.", least=0)
    j_class: int = param(1, "Epochs of the classifier alone in a set.", least=0)
    k_class: int = param(1, "Epochs of compressor + classifier in a set.", least=0)
    j_ae: int = param(1, "Epochs of the decompressor alone in a set.", least=0)
    sets: int = param(25, "Sets of alternating phases, at most.", least=1)
    patience: int = param(5, "Stop after this many sets without progress in PSNR or accuracy.", least=1)
    class_lr_scale: float = param(
        1.0, "Learning rate of compressor + classifier, relative to that of compressor + decompressor.", least=0
    )
    tune: int = param(10, "Epochs of each half alone at the end, behind the frozen compressor.", least=0)
    exact_epochs: int = exact_epochs()


@dataclass(frozen=True)
class Epochs:
    """The parameter of the recipes that train one phase after another."""

    epochs: int = param(50, "Epochs of each phase. The paper takes 50.", least=1)
    exact_epochs: int = exact_epochs()


@dataclass(frozen=True)
class Joint:
    """Both losses at once, then each half alone."""

    epochs: int = param(50, "Epochs with both losses.", least=1)
    tune: int = param(10, "Epochs of each half alone at the end, behind the frozen compressor.", least=0)
    warmup: int = param(1, "The first epochs, in which the learning rate rises.", least=0)
    tune_class: int = param(0, "Further epochs of the classifier alone at the end.", least=0)
    exact_epochs: int = exact_epochs()


@dataclass(frozen=True)
class Interleave:
    """ATL with mini-batches instead of epochs as phases, then each half alone."""

    epochs: int = param(50, "Epochs of alternating mini-batches.", least=1)
    tune: int = param(10, "Epochs of each half alone at the end, behind the frozen compressor.", least=0)
    interleave_steps: int = param(1, "Mini-batches of one task before the other takes over.", least=1)
    exact_epochs: int = exact_epochs()


@dataclass(frozen=True)
class Labels:
    """Labels anew for a codec that exists: its latents for labels, and a classifier of them."""

    teacher: int = param(0, "Epochs of a strong classifier of the images, from which the labels are learned.", least=0)
    teacher_size: str = param(
        "small", "Size of that classifier. large: for a GPU; it takes 20 times as long.", choices=["small", "large"]
    )
    epochs: int = param(50, "Epochs of the latents for labels and the classifier.", least=1)
    tune: int = param(10, "Epochs of the classifier alone at the end, behind the frozen compressor.", least=0)


@dataclass(frozen=True)
class Recipe:
    """A recipe as the command line sees it; recipes.py has its code."""

    help: str
    parameters: type[Any]
    # Epochs of the classifier behind a frozen compressor. Outliers are of use in these alone.
    classifier_epochs: Callable[[Any], int]
    head: bool = True  # whether its classifier reads the records of its compressor
    start: bool = False  # whether it needs the compressor of another model
    domains: bool = False  # whether it takes several data sets


RECIPES = {
    "atl": Recipe(
        "Alternating Transfer Learning, Algorithm 1 of the paper, best for images in a short time",
        Atl,
        lambda p: p.j_class + p.tune,
    ),
    "baseline": Recipe("autoencoder and classifier apart, two compressors", Epochs, lambda p: 0, head=False),
    "ae-driven": Recipe("autoencoder, then a classifier on its frozen compressor", Epochs, lambda p: p.epochs),
    "classifier-driven": Recipe("classifier, then a decompressor on its frozen compressor", Epochs, lambda p: 0),
    "transfer": Recipe("new halves on the frozen compressor of --start", Epochs, lambda p: p.epochs, start=True),
    "joint": Recipe("both losses at once, which may help hard labels", Joint, lambda p: p.tune + p.tune_class),
    "interleave": Recipe("ATL with mini-batches as phases", Interleave, lambda p: p.tune),
    "labels": Recipe("labels anew for the pca codec of --start, whose id stays", Labels, lambda p: p.tune, start=True),
    "multi-domain": Recipe(
        "ATL over several --data with one compressor", Atl, lambda p: p.j_class + p.tune, domains=True
    ),
}
