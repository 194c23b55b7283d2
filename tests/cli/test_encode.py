"""`atlc encode`: several images in one file, the choice of a model, and effort."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import picture, zoo
from atlcodec.card import BUNDLED
from atlcodec.codec import Codec
from atlcodec.sets.formats import idx_sets
from drawings import Pixels
from kit import FASHION, MNIST, Cli, files_in, json_lines, put, shown


def test_several_images_become_one_file_and_numbered_images_again(
    cli: Cli, here: Path, draw: Callable[[float], Pixels]
) -> None:
    pictures = np.stack([draw(slant) for slant in (-3, 0, 3, 5)])
    for name, pixels in zip("abcd", pictures, strict=True):
        (here / f"{name}.png").write_bytes(picture.png(pixels))
    ran = cli("encode", "d.png", "a.png", "c.png", "b.png", "-o", "set.atlc", "-m", MNIST)
    assert ran.code == 0
    assert "4 images -> set.atlc, set.csv  800 bytes" in ran.err
    expected = Codec.load(MNIST).encode(pictures[[3, 0, 2, 1]])
    assert (here / "set.atlc").read_bytes() == expected.tobytes()
    assert "-o DIR/" in cli("decode", "set.atlc").complaint
    assert "-o DIR/" in cli("decode", "set.atlc", "-o", "-").complaint
    assert "-o DIR/" in cli("decode", "set.atlc", "-o", "x.png").complaint
    assert cli("decode", "set.atlc", "-o", "named").code == 0
    assert files_in(here / "named") == ["a.png", "b.png", "c.png", "d.png"]
    (here / "set.csv").unlink()
    ran = cli("decode", "set.atlc", "-o", "frames")
    assert ran.code == 0
    assert files_in(here / "frames") == [f"set.atlc.{n:06d}.png" for n in range(4)]
    decoded = np.stack([shown(here / "frames" / name) for name in files_in(here / "frames")])
    assert np.array_equal(decoded, Codec.load(MNIST).decode(expected))
    assert cli("classify", "set.atlc").lines[2].startswith("set.atlc[2]: ")


def test_the_choice_of_model_is_one_for_all_and_is_said(cli: Cli, here: Path, digit: Pixels) -> None:
    said = cli("encode", "seven.png").err
    assert " (chosen)" in said
    assert "(chosen)" not in cli("encode", "seven.png", "-f", "-m", FASHION).err
    assert atlcodec.classify((here / "seven.atlc").read_bytes()).model == FASHION
    id = f"{zoo.find(FASHION).id:08x}"
    for which in (id, id.upper(), str(BUNDLED / FASHION)):
        assert cli("encode", "seven.png", "-m", which, "-o", "-").out == (here / "seven.atlc").read_bytes()


def test_effort(cli: Cli, here: Path, digit: Pixels) -> None:
    packed = {
        effort: cli("encode", "seven.png", "-m", MNIST, "--effort", str(effort), "-o", "-").out for effort in (0, 3)
    }
    assert packed[0] != packed[3]
    assert packed[3] == Codec.load(MNIST).encode(digit[None], effort=3).tobytes()
    assert "10 is not in the range 0<=x<=9" in cli("encode", "seven.png", "--effort", "10").misuse


def test_a_warning_names_images_of_poor_quality(cli: Cli, here: Path) -> None:
    (here / "noise.png").write_bytes(picture.png(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)))
    ran = cli("encode", "noise.png", "seven.png")
    assert ran.code == 0
    (warning,) = [line for line in ran.err.splitlines() if "warning" in line]
    assert re.fullmatch(
        r"atlc: warning: noise\.png: [\d.]+ dB is poor: images like those of \w+ reach [\d.]+ dB; "
        r"is it dark on white \(--invert\), or another kind of image\?",
        warning,
    )


def test_an_unknown_model_is_refused_with_a_list(cli: Cli, here: Path, mine: Path) -> None:
    complaint = cli("encode", "-m", "nonesuch", "seven.png").complaint
    assert MNIST in complaint
    assert "write ./mine" in cli("encode", "-m", "mine", "seven.png").complaint
    assert "no model '00000000'" in cli("classify", "-m", "00000000", "seven.png").complaint
    assert (
        "./nonesuch: is not a model folder (no card.json)" in cli("encode", "-m", "./nonesuch", "seven.png").complaint
    )
    assert files_in(here) == ["mine", "seven.png"]
    assert cli("encode", "-m", "./mine", "seven.png").code == 0


@pytest.mark.parametrize("threads", ["1", "0", "many", "-1", "5000", "9" * 30])
def test_any_number_of_threads_may_be_asked_for(
    threads: str, cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLC_THREADS", threads)
    assert cli("encode", "seven.png").code == 0


def test_each_of_several_outputs_has_its_own_model(cli: Cli, workplace: Path, digit: Pixels) -> None:
    """A set has one model, and a warning says which of its images suit another."""
    names = []
    for number in range(3):
        coat = np.zeros((28, 28), np.uint8)
        coat[2:27, 6:22] = np.random.default_rng(number).integers(120, 180, (25, 16))
        for kind, image in (("coat", coat), ("digit", np.roll(digit, number, axis=1))):
            names.append(f"{kind}{number}.png")
            (workplace / names[-1]).write_bytes(picture.png(image))
    ran = cli("encode", *names)
    lines = ran.err.splitlines()
    assert [line.split(" -> ")[0] for line in lines if " -> " in line] == names
    assert [("fashion (chosen)" in line, "mnist (chosen)" in line) for line in lines if " -> " in line] == [
        (True, False),
        (False, True),
    ] * 3
    together = cli("encode", "coat0.png", "digit0.png", "coat1.png", "-o", "set.atlc").err
    assert "fashion (chosen)" in together
    assert "fashion encodes them all, but of 3 images some suit another model: 1 mnist" in together


@pytest.mark.parametrize("options", [[], ["--each", "-o", "set.atlc"]], ids=["nine files", "one set"])
def test_nine_images_of_three_kinds_in_one_call_have_nine_right_models(
    options: list[str], cli: Cli, workplace: Path
) -> None:
    kinds = {"MNIST": "mnist", "FashionMNIST": "fashion", "KMNIST": "kmnist"}
    data = Path(os.environ.get("ATLC_DATA", "nowhere"))
    if missing := [kind for kind in kinds if not list((data / kind).glob("t10k-images*"))]:
        pytest.skip(f"$ATLC_DATA names no folder with the test images of {', '.join(missing)} in it")
    found = {kind: idx_sets.find(data / kind) for kind in kinds}
    tests = {kind: next(part for part in one.parts if part.split == "test") for kind, one in found.items() if one}
    names, expected = [], []
    for number in (7, 100, 500):
        for kind, model in kinds.items():
            names.append(f"{kind}-{number}.png")
            put(workplace / names[-1], np.asarray(next(tests[kind].images(1, number))[0]))
            expected.append(model)
    ran = cli("encode", *names, *options)
    assert ran.code == 0
    packed = ["set.atlc"] if options else [name.replace(".png", ".atlc") for name in names]
    assert [answer["model"] for answer in json_lines(cli("classify", "--json", *packed))] == expected
