"""A head from records alone: trained, installed and used; and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import install, metrics, sets
from atlcodec.card import read_head
from atlcodec.codec import Codec
from atlcodec.sets import manifest
from atlcodec.training import heads, publish
from atlcodec.training.settings import HeadSettings
from drawings import Pixels
from kit import Cli
from training_kit import Killed, same, weights


def bars(n: int, seed: int = 0) -> tuple[Pixels, list[str]]:
    """Vertical and horizontal bars, sorted by label, as a folder of labelled images gives them."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 28, 28), np.uint8)
    for index, at in enumerate(rng.integers(4, 20, n)):
        (images[index].T if index < n // 2 else images[index])[at : at + 4, 4:24] = 220
    return images, ["upright" if index < n // 2 else "lying" for index in range(n)]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.load("mnist-lenet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, codec: Codec) -> Path:
    """bars.atlc with its list; the same damaged, torn, with other lists; digits in IDX format."""
    root = tmp_path_factory.mktemp("sets")
    images, labels = bars(300)
    records = codec.encode(images)

    def put(name: str, records: Pixels, labels: list[str] | None) -> None:
        atlcodec.write(root / f"{name}.atlc", records)
        if labels is not None:
            manifest.write(
                root / f"{name}.csv", [manifest.Entry(k, f"{k}.png", t or None) for k, t in enumerate(labels)]
            )

    put("bars", records, labels)
    put("some", records, [label if k % 3 else "" for k, label in enumerate(labels)])
    put("same", records, ["upright"] * 300)
    put("few", records[:12], labels[:6] + labels[-6:])
    put("short", records, labels[:-1])
    put("bare", records, None)
    damaged = records.copy()
    damaged[250, 7] ^= 1
    put("damaged", damaged, labels)
    (root / "torn.atlc").write_bytes(records.tobytes()[:-1])
    digits = np.arange(300, dtype=np.uint8) % 3
    (root / "numbers-idx1-ubyte").write_bytes(np.array([0x801, 300], ">u4").tobytes() + digits.tobytes())
    (root / "data").mkdir()
    return root


TRAIN = ("train-head", "--records")


def test_a_head_is_trained_installed_and_used(cli: Cli, codec: Codec, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "heads/bars"
    done = cli(*TRAIN, folder / "bars.atlc", "-m", "mnist-lenet", "-o", out, "--epochs", "30", "--batch-size", "64")
    assert done.code == 0, done.err
    assert {file.name for file in out.iterdir()} == {"card.json", "classifier.onnx"}
    card = json.loads((out / "card.json").read_text())
    assert card["labels"] == ["lying", "upright"]
    assert card["codec"] == codec.model.sha256
    assert card["command"] == (
        "atlc train-head --records bars.atlc --model mnist-lenet --output bars --batch-size 64 --epochs 30"
    )
    assert card["recipe"]["architecture"] == "lenet"
    assert card["data"][0]["labelled"] == 300
    assert card["figures"]["records"] == 30

    assert cli("models", "add", out).code == 0
    images, labels = bars(100, seed=1)
    atlcodec.write(tmp_path / "new.atlc", codec.encode(images))
    answers = [json.loads(line) for line in cli("classify", "--head", "bars", "--json", tmp_path / "new.atlc").lines]
    assert {answer["head"] for answer in answers} == {"bars"}
    assert np.mean([answer["label"] == label for answer, label in zip(answers, labels, strict=True)]) >= 0.95


def test_records_without_a_label_are_left_out_and_numbers_come_from_idx(cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert cli(*TRAIN, folder / "some.atlc", "-o", tmp_path / "some", "--epochs", "1").code == 0
    assert json.loads((tmp_path / "some/card.json").read_text())["data"][0]["labelled"] == 200
    idx = folder / "numbers-idx1-ubyte"
    done = cli(*TRAIN, folder / "bare.atlc", "--labels", idx, "-o", tmp_path / "x", "--name", "thirds", "--epochs", "1")
    assert done.code == 0, done.err
    assert read_head(tmp_path / "x").labels == ("0", "1", "2")
    assert read_head(tmp_path / "x").name == "thirds"


def test_a_sorted_file_gives_both_parts_all_labels(codec: Codec, folder: Path) -> None:
    examples = heads.load(folder / "bars.atlc", folder / "bars.csv", codec.model)
    learning, held_out = heads.split(examples, HeadSettings())
    assert sorted([*learning, *held_out]) == list(range(300))
    for rows in (learning, held_out):
        assert set(examples.labels[rows].tolist()) == {0, 1}


def test_a_run_that_was_stopped_ends_as_an_unbroken_one(cli: Cli, codec: Codec, folder: Path, tmp_path: Path) -> None:
    examples, settings = (
        heads.load(folder / "bars.atlc", folder / "bars.csv", codec.model),
        HeadSettings(epochs=5, batch_size=64),
    )
    whole = heads.train(examples, settings, tmp_path / "whole")

    def kill(line: str) -> None:
        if line.startswith("    4"):
            raise Killed

    with pytest.raises(Killed):
        heads.train(examples, settings, tmp_path / "broken", kill)
    resumed = heads.train(examples, settings, tmp_path / "broken")
    assert same(weights(whole), weights(resumed))
    assert [step.value for step in whole.steps] == [step.value for step in resumed.steps]

    other = cli(*TRAIN, folder / "bars.atlc", "-o", tmp_path / "x", "--run", tmp_path / "whole", "--epochs", "6")
    assert "holds a run with other settings or data" in other.err


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("bars.atlc", ["-m", "fashion-lenet"], "record 0: written by mnist-lenet"),
        ("damaged.atlc", [], "record 250: damaged"),
        ("torn.atlc", ["--labels", "bars.csv"], "the last record is cut off (199 of 200 bytes)"),
        ("short.atlc", [], "holds 299 labels, and the file of records 300"),
        ("same.atlc", [], "all records have the same label"),
        ("few.atlc", [], "12 labelled records are too few"),
        ("bare.atlc", [], "bare.csv: no such file"),
        ("bars.csv", ["--labels", "bars.csv"], "record 0: no installed codec has the id"),
        ("bars.atlc", ["-o", "data", "-f"], "is not a model folder"),
        ("bars.atlc", ["--learning-rate", "1e30"], "diverged"),
        ("bars.atlc", ["--device", "abacus"], "'abacus' is not available"),
    ],
)
def test_bad_records_and_labels_are_refused_in_one_line(
    name: str, more: list[str], message: str, cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    done = cli(*TRAIN, name, "-o", "made", "--run", tmp_path / "run", *more)
    assert done.code == 1
    assert message in done.err.splitlines()[-1]
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name records with --records, or images with --data"),
        (["--records", "bars.atlc", "--shift", "1"], "No such option"),
        (["--records", "bars.atlc", "--data", "data", "-m", "mnist"], "takes neither --records nor --labels"),
        (["--data", "data"], "--data needs -m MODEL"),
        (["--records", "bars.atlc", "--copies", "2"], "--copies needs --data"),
    ],
)
def test_options_of_another_command_are_usage_errors(
    arguments: list[str], message: str, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert message in cli("train-head", "-o", "made", *arguments).misuse


def test_a_head_of_real_records_is_nearly_as_good_as_the_bundled_one(codec: Codec, tmp_path: Path) -> None:
    where = Path(os.environ.get("ATLC_DATA", ""), "MNIST")
    if not os.environ.get("ATLC_DATA") or not where.is_dir():
        pytest.skip("$ATLC_DATA names no folder with MNIST in it")
    data = sets.load(where)
    assert data.train.labels is not None
    assert data.test is not None
    assert data.test.labels is not None
    records = codec.encode(data.train.images[:6000])
    examples = heads.Examples(codec.model, records, data.train.labels[:6000], data.classes, {"name": "MNIST"})
    trainer = heads.train(examples, HeadSettings(epochs=30), tmp_path / "run")
    publish.head(tmp_path / "head", trainer, examples, {"name": "head"})
    install.add(tmp_path / "head")
    test, labels = codec.encode(data.test.images[:2000]), data.test.labels[:2000]
    bundled = metrics.accuracy(codec.classify(test), labels)
    assert metrics.accuracy(Codec.load("mnist-lenet", "head").classify(test), labels) >= bundled - 0.03
