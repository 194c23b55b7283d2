"""The conformance set is that of the bundled models, and all implementations give its answers."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlcodec import card, description, exact, grid_file, grid_finder, record, zoo
from atlcodec.card import Model
from atlcodec.codec import Codec
from atlcodec.errors import NotARecord
from atlcodec.files import RecordFile
from atlcodec.reader import Reader
from conformance import make
from kit import ROOT

SET: dict[str, Any] = json.loads(make.CASES.read_text())
CODECS = pytest.mark.parametrize("case", SET["codecs"], ids=lambda case: case["name"])
MODELS = [model for model in zoo.models().values() if model.bundled]


def rows(case: dict[str, Any]) -> record.Records:
    found = [bytes.fromhex(each["record"]) for each in case["records"]]
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, record.RECORD_BYTES)


def out_of_date(found: dict[str, Any]) -> str:
    """What a set lacks; "" for one that is complete."""
    wanted = make.made()
    if found == wanted:
        return ""
    parts = [part for part in wanted if found.get(part) != wanted[part]] or sorted(found.keys() - wanted.keys())
    return f"{', '.join(parts)}: run python tests/conformance/make.py"


def test_the_set_is_up_to_date() -> None:
    """If this fails after a model was added: python tests/conformance/make.py."""
    assert out_of_date(SET) == ""


def without_one(found: Any) -> Iterator[Any]:
    """The same without one thing, for each thing at any depth."""
    for key in list(found) if isinstance(found, dict) else range(len(found)):
        inner = found[key]
        less = copy.copy(found)
        del less[key]
        yield less
        if isinstance(inner, dict | list):
            for each in without_one(inner):
                less = copy.copy(found)
                less[key] = each
                yield less


def test_no_answer_can_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = make.made()
    monkeypatch.setattr(make, "made", lambda: wanted)
    count = 0
    for less in without_one(SET):
        count += 1
        assert out_of_date(less)
    assert count > 500


def test_a_changed_weight_is_noticed_though_its_card_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A decompressor with another weight, and a card with its hash and its id."""
    for model in MODELS:
        shutil.copytree(model.folder, tmp_path / model.name)
    folder = tmp_path / "mnist-lenet"
    about = json.loads((folder / "card.json").read_text())
    file = bytearray((folder / "decompressor.onnx").read_bytes())
    at = len(file) // 2
    file[at] = file[at] - 1 if file[at] < 128 and file[at] else file[at] + 1
    (folder / "decompressor.onnx").write_bytes(file)
    sha256 = hashlib.sha256(file).hexdigest()
    about |= {"id": sha256[:8], "sha256": about["sha256"] | {"decompressor.onnx": sha256}}
    (folder / "card.json").write_text(json.dumps(about))
    changed = card.read_model(folder)
    case = next(case for case in SET["codecs"] if case["name"] == "mnist-lenet")
    assert f"{changed.id:08x}" != case["id"]
    pixels = exact.Network(changed.file("decompressor"), "x")(rows(case))
    assert [make.digest(image) for image in pixels] != [each["pixels"] for each in case["records"]]


# -- Python ------------------------------------------------------------------------------------------------------------


@CODECS
def test_python_and_numpy(case: dict[str, Any]) -> None:
    """ONNX Runtime by the library, and the reference in NumPy."""
    codec, records = Codec.load(case["id"]), rows(case)
    model: Model = codec.model
    assert [codec.name, codec.shape, model.sha256] == [case["name"], tuple(case["shape"]), case["sha256"]]
    assert set(record.ids(records).tolist()) == {codec.id}
    assert [make.symbols(row) for row in records] == [each["symbols"] for each in case["records"]]
    wanted = [each["pixels"] for each in case["records"]]
    assert [make.digest(image) for image in codec.decode(records)] == wanted
    assert [make.digest(image) for image in exact.Network(model.file("decompressor"), "x")(records)] == wanted
    for head in case["heads"]:
        found = Codec.load(case["id"], head["name"])
        best = found.classify(records).argmax(axis=1)
        assert [found.labels[index] for index in best] == head["labels"]
        logits = exact.Network(found.head.file(), "x")(records)
        assert logits.astype(int).tolist() == head["logits"]


@pytest.mark.parametrize("case", SET["grids"], ids=lambda case: case["name"])
def test_grids(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.atlc"
    path.write_bytes(bytes.fromhex(case["file"]))
    found, _ = grid_finder.only(Reader(), RecordFile(np.fromfile(path, np.uint8), "x"), complete=False)
    pixels = grid_file.pixels(found)
    assert [list(pixels.shape), make.digest(pixels)] == [case["shape"], case["pixels"]]


@pytest.mark.parametrize("case", SET["descriptions"], ids=lambda case: case["name"])
def test_descriptions(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["record"])
    assert record.ids(data).tolist() == [description.ID]
    if case["valid"]:
        assert description.unpack(data).pack() == data
    else:
        with pytest.raises(NotARecord):
            description.unpack(data)


@pytest.mark.parametrize("case", SET["files"], ids=lambda case: case["name"])
def test_damaged_files(case: dict[str, Any]) -> None:
    """All bytes are either records or reported, in order."""
    data = bytes.fromhex(case["file"])
    spans = list(RecordFile(np.frombuffer(data, np.uint8), "x").spans({model.id for model in MODELS}))
    assert [(span.start, span.count, span.skipped) for span in spans] == [
        (each["at"], each.get("records", 0), each.get("skipped", 0)) for each in case["spans"]
    ]
    at = 0
    for each in case["spans"]:
        assert each["at"] == at
        at += 200 * each.get("records", 0) + each.get("skipped", 0)
    assert at == len(data)


# -- others ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
def test_javascript() -> None:
    command: list[str | Path] = ["node", ROOT / "tests/conformance/check.mjs", make.CASES, card.BUNDLED]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    heads = sum(len(case["heads"]) for case in SET["codecs"])
    count = sum(2 + 2 * len(case["records"]) for case in SET["codecs"]) + 2 * heads
    assert (ran.stdout, ran.stderr) == (f"{count} compared, 0 wrong\n", "")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The decoder in C."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    made = tmp_path_factory.mktemp("c") / "atlc"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, "-O2", "-fwrapv", *warnings, ROOT / "examples/c/atlc.c", "-o", made], check=True)
    return made


def lines(program: Path, network: Path, records: bytes) -> list[list[str]]:
    ran = subprocess.run([program, network], input=records, capture_output=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    return [line.split() for line in ran.stdout.decode().splitlines()]


@CODECS
def test_c(case: dict[str, Any], program: Path) -> None:
    data = rows(case).tobytes()
    found = lines(program, card.BUNDLED / case["decompressor"], data)
    assert [id for id, _ in found] == [case["id"]] * len(case["records"])
    digests = [hashlib.sha256(bytes.fromhex(pixels)).hexdigest() for _, pixels in found]
    assert digests == [each["pixels"] for each in case["records"]]
    for head in case["heads"]:
        found = lines(program, card.BUNDLED / head["classifier"], data)
        assert [[int(logit) for logit in logits] for _, *logits in found] == head["logits"]


def test_c_refuses_damaged_networks(program: Path, tmp_path: Path) -> None:
    """Cut off, or with bytes changed: one line, or an answer; no crash."""
    whole, rng = (card.BUNDLED / "mnist-lenet/decompressor.onnx").read_bytes(), np.random.default_rng(3)
    refused = 0
    for turn in range(60):
        file = bytearray(whole[: rng.integers(len(whole))] if turn % 3 == 0 else whole)
        for _ in range(3):
            file[rng.integers(len(file))] = rng.integers(256)
        (tmp_path / "x.onnx").write_bytes(file)
        ran = subprocess.run(
            [program, tmp_path / "x.onnx"], input=bytes(200), capture_output=True, timeout=20, check=False
        )
        assert ran.returncode in (0, 1)
        assert ran.stderr.count(b"\n") == ran.returncode
        refused += ran.returncode
    assert 20 <= refused < 60
