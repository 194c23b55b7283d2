"""`encode_folder`, called from Python."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import sets
from atlcodec.codec import Codec
from atlcodec.sets import manifest
from drawings import Pixels
from kit import MNIST, put
from sets_kit import ORDER, encoded


def test_encode_folder_from_python(folder: Path, images: dict[str, Pixels]) -> None:
    (folder / "1/bad.png").write_text("not an image")
    (folder / "notes.txt").write_text("not an image")
    notes: list[str] = []
    seen: list[str] = []
    steps: list[tuple[int, int]] = []
    result = atlcodec.encode_folder(
        folder,
        "set.atlc",
        model=MNIST,
        effort=0,
        log=notes.append,
        problem=seen.append,
        progress=lambda done, count: steps.append((done, count)),
    )
    records = Codec.load(MNIST).encode(np.stack([images[path] for path in ORDER]), effort=0)
    assert Path("set.atlc").read_bytes() == records.tobytes()
    assert [entry.path for entry in manifest.read("set.csv")] == ORDER
    assert (result.images, result.records, result.bytes, result.model, result.choice) == (7, 7, 1400, MNIST, "")
    assert result.paths == (Path("set.atlc"), Path("set.csv"))
    assert result.psnr is not None
    assert 25 < result.psnr < 60
    assert result.warning == ""
    assert [problem.split(": ")[0] for problem in result.problems] == ["in/1/bad.png"]
    assert seen == list(result.problems)
    assert notes == []
    assert result.contents.left_out == ("notes.txt",)
    assert (steps[0], steps[-1]) == ((0, 8), (8, 8))
    put(Path("more/new.png"), images[ORDER[0]])
    more = atlcodec.encode_folder("more", "set.atlc", append=True)
    assert (more.images, more.records, more.choice) == (1, 8, "as before")


def test_encode_folder_to_an_open_file(folder: Path, images: dict[str, Pixels]) -> None:
    with Path("x").open("wb") as file:
        result = sets.encode_folder(folder, file)
    assert Path("x").read_bytes() == encoded([images[path] for path in ORDER], result.model)
    assert (result.images, result.paths, result.choice) == (7, (), "chosen")


def test_encode_folder_refuses_what_it_cannot_do(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        sets.encode_folder("nowhere", "set.atlc")
    with pytest.raises(atlcodec.AtlcError, match=r"flat\.png: is one image; a data set is a folder"):
        sets.encode_folder(folder / "flat.png", "set.atlc")
    for output, overwrite in (("set.atlc", True), ("/dev/null", False)):
        with pytest.raises(ValueError, match="append"):
            sets.encode_folder(folder, output, append=True, overwrite=overwrite)
    Path("set.atlc").write_text("mine")
    with pytest.raises(atlcodec.AtlcError, match="overwrite=True"):
        sets.encode_folder(folder, "set.atlc")
    assert sorted(os.listdir()) == ["in", "set.atlc"]
