"""`atlc classify` and `atlc info`: what they print of each record."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import record, zoo
from atlcodec.card_writer import update_card
from atlcodec.codec import Codec
from kit import FASHION, MNIST, Cli, json_lines, records


def test_classify_in_json_and_the_likeliest_few(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(3).tobytes() + records(2, FASHION).tobytes())
    lines = json_lines(cli("classify", "--json", "x.atlc"))
    assert [line["record"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["model"] for line in lines] == [MNIST] * 3 + [FASHION] * 2
    for line, packed in zip(lines, np.concatenate([records(3), records(2, FASHION)]), strict=True):
        expected = atlcodec.classify(packed)
        assert (line["label"], line["index"], line["head"]) == (expected.label, expected.index, expected.head)
        assert line["probability"] == pytest.approx(expected.probability, abs=1e-5)
    for line in json_lines(cli("classify", "--json", "--top", "3", "x.atlc")):
        chances = [entry["probability"] for entry in line["top"]]
        assert len(chances) == 3
        assert chances == sorted(chances, reverse=True)
        assert line["top"][0]["label"] == line["label"]
    every = json_lines(cli("classify", "--json", "--top", "99", "x.atlc"))[0]["top"]
    assert {entry["label"] for entry in every} == set(Codec.load(MNIST).labels)
    assert sum(entry["probability"] for entry in every) == pytest.approx(1, abs=1e-4)
    assert cli("classify", "--top", "2", "x.atlc").lines[0].count("%") == 2


def test_info(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(3).tobytes() + records(2, FASHION).tobytes())
    ran = cli("info", "x.atlc")
    assert ran.code == 0
    assert len(ran.lines) == 6
    assert ran.lines[0].startswith(f"x.atlc[0]: {MNIST}, id {zoo.find(MNIST).id:08x}, symbols 0..15: ")
    assert ran.lines[-1] == f"x.atlc: 1000 bytes, 5 records (3 of {MNIST}, 2 of {FASHION})"
    lines = json_lines(cli("info", "--json", "x.atlc"))
    assert [line["model"] for line in lines] == [MNIST] * 3 + [FASHION] * 2
    assert [line["id"] for line in lines] == [f"{zoo.find(line['model']).id:08x}" for line in lines]
    for line, symbols in zip(lines, record.unpack((here / "x.atlc").read_bytes()), strict=True):
        assert line["histogram"] == [int((symbols == level).sum()) for level in range(16)]


def with_unsure_below(value: object, model: Path, folder: Path) -> Path:
    """A copy of a model whose head's card has this entry."""
    shutil.copytree(model, folder)
    update_card(folder / "heads" / "letters", {"unsure_below": value})
    return folder


def test_a_weak_label_is_unsure(cli: Cli, here: Path, mine: Path) -> None:
    """The head's card says below which probability, and an option overrides it."""
    packed = Codec.load(mine).encode(np.zeros((2, 28, 28), np.uint8), 0)
    (here / "x.atlc").write_bytes(packed.tobytes())
    plain = cli("classify", "-m", mine, "x.atlc").lines
    assert not any("unsure" in line for line in plain)
    model = with_unsure_below(0.9999, mine, here / "doubting")
    weak = cli("classify", "-m", model, "x.atlc").lines
    assert weak == [line.replace(": ", ": unsure, perhaps ") for line in plain]
    assert [line["unsure"] for line in json_lines(cli("classify", "-m", model, "--json", "x.atlc"))] == [True, True]
    assert cli("classify", "-m", model, "--min-probability", "0", "x.atlc").lines == plain
    assert atlcodec.classify(packed[0], model=model).unsure


@pytest.mark.parametrize("bad", [-0.1, 1.5, "0.5", True])
def test_a_bad_card_of_a_head(bad: object, cli: Cli, here: Path, mine: Path) -> None:
    (here / "x.atlc").write_bytes(Codec.load(mine).encode(np.zeros((1, 28, 28), np.uint8), 0).tobytes())
    model = with_unsure_below(bad, mine, here / "bad")
    assert "unsure_below must be a number from 0 to 1" in cli("classify", "-m", model, "x.atlc").complaint
