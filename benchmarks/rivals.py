"""What records are measured against: picture codecs that Pillow knows, and classifiers that read pixels.

Everything here can be sent to another process and be run there, on arrays of pictures.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atlcodec import metrics, sets
from atlcodec.sets.dataset import Split

Images = NDArray[np.uint8]

# -- codecs ------------------------------------------------------------------------------------------------------------

AROUND = range(
    -5, 7
)  # qualities tried around the one that a bisection finds: neither size nor loss is monotone in the quality


@dataclass(frozen=True, eq=False)  # each is only itself, and a key of dictionaries
class Rival:
    """A codec of Pillow's. A quality of None means lossless."""

    name: str
    format: str
    qualities: range
    settings: Mapping[str, Any]
    exact: Mapping[str, Any] | None = None

    def encode(self, image: Images, quality: int | None) -> bytes:
        settings = (self.exact or {}) if quality is None else {**self.settings, "quality": quality}
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, self.format, **settings)
        return buffer.getvalue()

    def decode(self, file: bytes) -> Images:
        return np.asarray(Image.open(io.BytesIO(file), formats=[self.format]).convert("L"))

    def fitted(self, image: Images, limit: int, *, thorough: bool = True) -> tuple[bytes, int | None]:
        """The file of at most `limit` bytes that loses least, and its quality; if there is none, that of the lowest
        quality.

        Not thorough: the highest quality that fits, as a bisection finds it, and never lossless."""
        if thorough and self.exact:
            file = self.encode(image, None)
            if len(file) <= limit:
                return file, None
        files: dict[int, bytes] = {}

        def fits(quality: int) -> bool:
            if quality not in files:
                files[quality] = self.encode(image, quality)
            return len(files[quality]) <= limit

        low, high = self.qualities.start, self.qualities.stop
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        tried = [low + step for step in AROUND if low + step in self.qualities] if thorough else [low]
        fitting = [quality for quality in tried if fits(quality)]
        if not fitting:
            return files.get(self.qualities.start) or self.encode(image, self.qualities.start), self.qualities.start
        if len(fitting) == 1:
            return files[fitting[0]], fitting[0]
        best = min(
            fitting, key=lambda quality: metrics.squared_error(image[None], self.decode(files[quality])[None])[0]
        )
        return files[best], best


# One thread each: pictures this small leave nothing to share. WebP's slowest method is its best; libjxl's 7 is its
# default, and its higher efforts make these pictures no smaller.
WEBP = Rival("WebP", "WEBP", range(101), {"method": 6}, {"method": 6, "lossless": True, "quality": 100})
JXL = Rival(
    "JPEG XL", "JXL", range(100), {"effort": 7, "num_threads": 0}, {"effort": 7, "num_threads": 0, "lossless": True}
)
JPEG = Rival("JPEG", "JPEG", range(1, 96), {"optimize": True})
RIVALS = (WEBP, JXL, JPEG)


def prepare() -> None:
    """For every process that uses JPEG XL: Pillow learns of it, and it starts no threads of its own to decode a
    picture."""
    import pillow_jxl.JpegXLImagePlugin

    pillow_jxl.JpegXLImagePlugin.DECODE_THREADS = 0


def squeezed(rival: Rival, images: Images, limit: int, thorough: bool) -> tuple[Images, list[int], list[bool]]:
    """Each picture in the best file of at most `limit` bytes: decoded again, the sizes, and whether it was lossless."""
    files, qualities = zip(*(rival.fitted(image, limit, thorough=thorough) for image in images), strict=True)
    return (
        np.stack([rival.decode(file) for file in files]),
        [*map(len, files)],
        [quality is None for quality in qualities],
    )


def saved(rival: Rival, images: Images, quality: int | None) -> tuple[Images, list[int]]:
    """All pictures at one quality: decoded again, and the sizes."""
    files = [rival.encode(image, quality) for image in images]
    return np.stack([rival.decode(file) for file in files]), [*map(len, files)]


# -- classifiers of pixels ---------------------------------------------------------------------------------------------

RATE, BATCH, SMOOTHING, VALIDATION = 2e-3, 128, 0.1, 5000
SECOND = 64  # width of the second layer of the MLP, as in the classifiers of records


@dataclass(frozen=True)
class Course:
    """One training: a network of about `budget` multiplications a picture (LeNet-5 has its own), on the pictures of a
    data set, or on what became of them (`pixels`, an .npz with `train` and `test`)."""

    network: str
    budget: int
    data: Path
    pixels: Path | None
    train: int | None  # only the first so many, for a quick look
    test: int | None
    augment: str
    epochs: int


def learn(course: Course) -> dict[str, Any]:
    """Train, keep the epoch that was best on the last training pictures, and try that one on the test pictures:
    accuracies in percent. One thread; the same result each time."""
    import torch
    from torch.nn import functional

    from atlcodec.training import augment
    from atlcodec.training.loop import cosine, split_validation

    torch.set_num_threads(1)
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    train, test, classes = pictures(course)
    learnt, held_out = split_validation(train, VALIDATION)
    images, labels = torch.from_numpy(learnt.images.copy()), torch.from_numpy(learnt.labels)
    net = network(course.network, course.budget, classes)

    def scores(pixels: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(net(pixels.unsqueeze(1).float() / 128))

    def accuracy(split: Split) -> float:
        net.eval()
        with torch.no_grad():
            each = [scores(part).argmax(1) for part in torch.split(torch.from_numpy(split.images.copy()), 1000)]
        return 100 * float((torch.cat(each).numpy() == split.labels).mean())

    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
    best, chosen, weights = -1.0, 0, copy.deepcopy(net.state_dict())
    for epoch in range(course.epochs):
        net.train()
        for group in optimizer.param_groups:
            group["lr"] = cosine(RATE, RATE / 50, epoch / course.epochs)
        order = torch.randperm(len(images), generator=generator)
        for rows in torch.split(order[: len(images) // BATCH * BATCH], BATCH):
            batch = augment.some(images[rows], course.augment, generator) if course.augment else images[rows]
            loss = functional.cross_entropy(scores(batch), labels[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        reached = accuracy(held_out)
        if reached > best:
            best, chosen, weights = reached, epoch + 1, copy.deepcopy(net.state_dict())
    net.load_state_dict(weights)
    return {"accuracy": accuracy(test), "validation": best, "epoch": chosen, "multiplications": multiplications(net)}


def pictures(course: Course) -> tuple[Split, Split, int]:
    data = sets.load(course.data)
    assert data.test is not None
    train, test = data.train[: course.train], data.test[: course.test]
    if course.pixels:
        with np.load(course.pixels) as held:
            train, test = Split(held["train"], train.labels), Split(held["test"], test.labels)
    return train, test, len(data.classes)


def network(name: str, budget: int, classes: int) -> Any:
    """A `torch.nn.Sequential`, (N, 1, 28, 28) -> logits (N, classes)."""
    from torch import nn

    if name == "MLP":
        width = round((budget - SECOND * classes) / (784 + SECOND))
        return nn.Sequential(
            *(nn.Flatten(), nn.Linear(784, width), nn.ReLU()),
            *(nn.Linear(width, SECOND), nn.ReLU()),
            nn.Linear(SECOND, classes),
        )
    if name == "CNN":  # strides in place of pooling, so that most of the budget goes into what is kept
        spent, channels = max(
            (14 * 14 * 25 * c + 7 * 7 * 9 * c * 2 * c, c)
            for c in range(1, 100)
            if 4900 * c + 882 * c * c < 0.6 * budget
        )
        width = max(1, round((budget - spent) / (98 * channels + classes)))
        return nn.Sequential(
            *(
                nn.Conv2d(1, channels, 5, 2, 2),
                nn.ReLU(),
                nn.Conv2d(channels, 2 * channels, 3, 2, 1),
                nn.ReLU(),
                nn.Flatten(),
            ),
            *(nn.Linear(98 * channels, width), nn.ReLU(), nn.Linear(width, classes)),
        )
    assert name == "LeNet-5"
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )


def multiplications(net: Any) -> int:
    """Of the dense and convolution layers, for one picture."""
    import torch

    total, x = 0, torch.zeros(1, 1, 28, 28)
    for layer in net:
        x = layer(x)
        if hasattr(layer, "weight"):
            total += x.numel() * layer.weight[0].numel()
    return total
