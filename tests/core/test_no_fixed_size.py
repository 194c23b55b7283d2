"""The size of images is the codec's: 28 stands where the bundled models and their training are described, only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What may name it: the networks of the bundled models, and the training of these.
MAY = {
    "atlcodec/__init__.py": "an example with a bundled model",
    "atlcodec/codec.py": "an example with a bundled model",
    "atlcodec/sets/encoder.py": "how many images of this size are encoded together",
    "atlcodec/sets/finding.py": "what grey images of different sizes become, if the user names no shape",
    "atlcodec/training/augment.py": "how far images move, in pixels of this size",
    "atlcodec/training/exact_lenet.py": "the paper's decompressor in whole numbers, layer by layer",
    "atlcodec/training/heads.py": "an architecture of classifiers for this size",
    "atlcodec/training/layout.py": "the size that most architectures take",
    "atlcodec/training/lenet.py": "the paper's networks, layer by layer",
    "atlcodec/training/networks.py": "what goes through the networks of this size",
    "atlcodec/training/pca.py": "the layers for this size, as an example",
    "atlcodec/training/settings.py": "the help of --architecture",
    "atlcodec/training/teacher.py": "what it costs for this size",
}
FILES = [
    path
    for path in sorted((ROOT / "atlcodec").rglob("*"))
    if path.suffix in (".py", ".json") and not path.is_relative_to(ROOT / "atlcodec/models")
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_assumes_the_size_of_the_bundled_models(path: Path) -> None:
    text = path.read_text("utf-8")
    found = [number for number, line in enumerate(text.splitlines(), 1) if re.search(r"\b28\b", line)]
    assert not found or path.relative_to(ROOT).as_posix() in MAY, found


def test_the_files_that_may_name_it_exist() -> None:
    assert set(MAY) <= {path.relative_to(ROOT).as_posix() for path in FILES}
