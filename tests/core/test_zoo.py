"""Which models are installed, and model folders that lie: each is refused in one line, and stands in no other's way."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import atlcodec
from atlcodec import graph, picture, zoo
from atlcodec.card import read_model
from atlcodec.codec import Codec
from atlcodec.errors import BadModel, UnknownModel
from conftest import PEAK, Cli, environment

Pixels = NDArray[np.uint8]
BLANK = np.zeros((3, 28, 28), np.uint8)
FILES = ("compressor.onnx", "decompressor.onnx", "heads/letters/classifier.onnx")


def use(folder: Path) -> None:
    codec = Codec.load(folder)
    assert codec.labels
    records = codec.encode(BLANK)
    codec.decode(records)
    codec.classify(records)


def refusal(folder: Path, cli: Cli) -> str:
    """What is said of a folder, whoever asks."""
    with pytest.raises(BadModel) as caught:
        use(folder)
    assert "\n" not in str(caught.value)
    complaint = cli("models", "add", folder).complaint
    assert folder.name in complaint
    assert len(complaint) < 1000
    assert not zoo.user_folder().exists() or not os.listdir(zoo.user_folder())
    return str(caught.value)


def change(folder: Path, **entries: object) -> None:
    """Change entries of a card; `...` takes one out."""
    card = json.loads((folder / "card.json").read_text()) | entries
    (folder / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not ...}))


def put(folder: Path, name: str, file: bytes) -> None:
    """A file in place of another, with all that the cards say of it made true."""
    (folder / name).write_bytes(file)
    card = json.loads((folder / "card.json").read_text())
    sha256 = hashlib.sha256(file).hexdigest()
    if name.startswith("heads"):
        change((folder / name).parent, sha256=sha256)
        return
    change(folder, sha256={**card["sha256"], name: sha256})
    if name == "decompressor.onnx":
        change(folder, id=sha256[:8])
        change(folder / "heads/letters", codec=sha256)


# -- finding -----------------------------------------------------------------------------------------------------------


def test_models_are_found_by_name_id_and_path(
    own_model: Path, user_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = read_model(own_model).id
    for which in ("mine", f"{id:08x}"):
        with pytest.raises(UnknownModel, match="no model"):
            zoo.find(which)
    assert zoo.find(own_model).id == zoo.find(str(own_model)).id == id
    monkeypatch.chdir(own_model.parent)
    with pytest.raises(UnknownModel, match=r"write \./mine"):
        zoo.find("mine")  # not from the current folder unasked
    here = Codec.load("./mine")
    monkeypatch.chdir(tmp_path)
    assert here.encode(BLANK).shape == (3, 200)
    monkeypatch.setenv("ATLC_MODELS", os.pathsep.join(["/nowhere", "", str(own_model.parent)]))
    assert zoo.find("mine").folder == own_model
    assert zoo.find(f"{id:08X}").folder == own_model
    shutil.copytree(own_model, user_folder / "again")
    assert [model.folder for model in zoo.models().values() if not model.bundled] == [own_model]


def test_a_user_cannot_shadow_a_bundled_model(mine: Path, user_folder: Path) -> None:
    bundled = zoo.default()[0]
    change(mine, name=bundled.name)
    shutil.copytree(mine, user_folder / bundled.name)
    assert zoo.find(bundled.name).bundled
    assert all(model.bundled for model in zoo.default())
    # The same id in a card, whatever is in the file.
    change(
        user_folder / bundled.name,
        id=f"{bundled.id:08x}",
        sha256=dict.fromkeys(bundled.card.digests, f"{bundled.id:08x}" + "0" * 56),
    )
    assert zoo.models()[bundled.id].bundled


def test_a_broken_model_does_not_stop_the_others(
    mine: Path, user_folder: Path, cli: Cli, tmp_path: Path, digit: Pixels
) -> None:
    bundled = zoo.default()[0]
    user_folder.mkdir(parents=True)
    for name, content in (("text", b"not JSON"), ("list", b"[]"), ("none", b"")):
        (user_folder / name).mkdir()
        (user_folder / name / "card.json").write_bytes(content)
    (user_folder / "folder" / "card.json").mkdir(parents=True)
    (user_folder / "link").symlink_to("link")
    (user_folder / "file").write_bytes(b"")
    os.mkfifo(user_folder / "pipe")
    (user_folder / "piped").mkdir()
    os.mkfifo(user_folder / "piped" / "card.json")
    shutil.copytree(mine, user_folder / "unpacking.part")
    (user_folder / "unpacking.part").rename(user_folder / ".mine.part")
    head = user_folder / "heads" / f"{bundled.id:08x}" / "extra"
    head.mkdir(parents=True)
    (head / "card.json").write_bytes(b"{}")
    (tmp_path / "seven.png").write_bytes(picture.png(digit))
    assert cli("encode", tmp_path / "seven.png").code == 0
    record = (tmp_path / "seven.atlc").read_bytes()
    assert atlcodec.decode(record).shape == (28, 28)
    assert atlcodec.classify(record).label
    ran = cli("models")
    assert ran.code == 0
    assert len(ran.lines) == sum(model.bundled for model in zoo.models().values()) == len(zoo.models())
    for name in ("text", "list", "none", "folder", "link", "piped", "extra"):
        assert f"/{name}" in ran.err
    assert len(ran.err.splitlines()) == 7
    with pytest.raises(BadModel, match=r"text: card\.json is not valid JSON"):
        zoo.find("text")
    with pytest.raises(BadModel, match="labels"):
        Codec.load(bundled.name, "extra")


# -- files that are not what the card says -----------------------------------------------------------------------------


def test_the_folder_as_it_was_made_is_accepted(mine: Path, cli: Cli) -> None:
    use(mine)
    for name in FILES:
        put(mine, name, (mine / name).read_bytes())
    use(mine)
    assert cli("models", "add", mine).code == 0


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_noticed(name: str, mine: Path, cli: Cli) -> None:
    file = bytearray((mine / name).read_bytes())
    file[len(file) // 2] ^= 1
    (mine / name).write_bytes(file)
    assert "is not the file that the card describes" in refusal(mine, cli)


@pytest.mark.parametrize("name", [*FILES, "card.json", "heads/letters/card.json"])
def test_only_regular_files_of_limited_size_are_read(name: str, mine: Path, cli: Cli, tmp_path: Path) -> None:
    path, kept = mine / name, tmp_path / "kept"
    path.rename(kept)
    if name == "heads/letters/card.json":
        assert "its folder is missing" in refusal(mine, cli)
    else:
        assert "No such file" in refusal(mine, cli)
    path.symlink_to(kept)
    assert "not a regular file" in refusal(mine, cli)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "not a regular file" in refusal(mine, cli)
    path.unlink()
    os.mkfifo(path)
    assert "not a regular file" in refusal(mine, cli)
    path.unlink()
    path.mkdir()
    assert "not a regular file" in refusal(mine, cli)
    path.rmdir()
    with path.open("wb") as file:
        file.truncate(65 << 20)
    assert "is larger than" in refusal(mine, cli)


@pytest.mark.parametrize("link", ["heads", "heads/letters"])
def test_a_link_out_of_the_folder_is_refused(link: str, mine: Path, cli: Cli, tmp_path: Path) -> None:
    (mine / link).rename(tmp_path / "elsewhere")
    (mine / link).symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refusal(mine, cli)


# -- cards -------------------------------------------------------------------------------------------------------------

NAMES = [
    "../mine",
    "/etc",
    "a/b",
    "..",
    ".",
    "",
    "heads",
    "x" * 65,
    "a\nb",
    "a\x00",
    "é",
    " ",
    None,
    7,
    ["mine"],
    {"a": 1},
    True,
    "0123abcd",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_that_could_lead_elsewhere(name: object, own_model: Path, tmp_path: Path, cli: Cli) -> None:
    for entry in ("name", "default_head"):
        if entry == "default_head" and name is None:
            continue  # a codec without a classifier
        folder = Path(shutil.copytree(own_model, tmp_path / entry))
        change(folder, **{entry: name})
        assert "name" in refusal(folder, cli)
    folder = Path(shutil.copytree(own_model, tmp_path / "head"))
    change(folder / "heads/letters", name=name)
    assert "name" in refusal(folder, cli)


WRONG: dict[str, list[Any]] = {
    "id": [..., None, 7, "", "00000000", "0000000g", ["x"], "41544c00"],
    "sha256": [
        ...,
        None,
        "x",
        [],
        {},
        {"compressor.onnx": "0" * 64},
        {"compressor.onnx": None, "decompressor.onnx": None},
        {"../x": "0" * 64},
    ],
    "figures": [
        None,
        [],
        "good",
        {"psnr": "24"},
        {"psnr": None},
        {"accuracy": [1]},
        {"psnr_low": {}},
        {"psnr": 10**400},
        {"psnr_low": -1e300},
    ],
    "default_head": [..., "digits"],
    "name": [...],
}
WRONG_HEAD: dict[str, list[Any]] = {
    "labels": [
        ...,
        None,
        "abc",
        [],
        ["a"],
        ["a", "b", 3],
        ["a", None, "c"],
        [["a"], "b", "c"],
        ["a", "b"],
        ["a"] * 20_000,
        ["a", "b", "c" * 300],
    ],
    "sha256": [..., None, 7, "", "0" * 64, "G" * 64, {"classifier.onnx": "0" * 64}],
    "codec": [..., None, "0" * 64, "x", 7, ["0" * 64]],
    "name": [..., "signs"],
}


@pytest.mark.parametrize("entry", WRONG)
def test_cards_with_missing_or_wrong_entries(entry: str, own_model: Path, tmp_path: Path, cli: Cli) -> None:
    for number, value in enumerate(WRONG[entry]):
        folder = Path(shutil.copytree(own_model, tmp_path / f"m{number}"))
        change(folder, **{entry: value})
        assert f"m{number}" in refusal(folder, cli)


@pytest.mark.parametrize("entry", WRONG_HEAD)
def test_cards_of_heads_with_missing_or_wrong_entries(entry: str, own_model: Path, tmp_path: Path, cli: Cli) -> None:
    for number, value in enumerate(WRONG_HEAD[entry]):
        folder = Path(shutil.copytree(own_model, tmp_path / f"m{number}"))
        change(folder / "heads/letters", **{entry: value})
        assert f"m{number}" in refusal(folder, cli)


CARDS: dict[str, bytes] = {
    "empty": b"",
    "text": b"a model\n",
    "half": b'{"name": "mine", ',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "zeros": bytes(100),
    "deep": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge": b'{"name": "' + b"x" * (2 << 20) + b'"}',
    "a huge number": b'{"id": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"figures": {"psnr": NaN}}',
    "infinite": b'{"figures": {"psnr": -Infinity}}',
    "too large a number": b'{"figures": {"psnr": 1e999}}',
}


@pytest.mark.parametrize("kind", CARDS)
@pytest.mark.parametrize("place", ["card.json", "heads/letters/card.json"])
def test_invalid_cards(kind: str, place: str, mine: Path, cli: Cli) -> None:
    (mine / place).write_bytes(CARDS[kind])
    assert "card" in refusal(mine, cli)


def test_a_card_spoilt_anywhere_is_read_or_refused(mine: Path) -> None:
    rng = np.random.default_rng(4)
    refused = 0
    for place in ("card.json", "heads/letters/card.json"):
        whole = (mine / place).read_bytes()
        for _ in range(300):
            card = bytearray(whole)
            card[rng.integers(len(card))] = rng.integers(256)
            (mine / place).write_bytes(card)
            try:
                use_cards(mine)
            except BadModel:
                refused += 1
        (mine / place).write_bytes(whole)
    assert 100 < refused < 600


def use_cards(folder: Path) -> None:
    model = read_model(folder)
    for part in ("compressor", "decompressor"):
        model.file(part)
    zoo.head(model).file()


# -- graphs ------------------------------------------------------------------------------------------------------------

Weights = dict[str, NDArray[Any]]
START = [
    helper.make_node("Slice", ["records", "zero", "side", "one"], ["some"]),
    helper.make_node("Concat", ["some"] * 4, ["most"], axis=1),
    helper.make_node("Reshape", ["most", "square"], ["plain"]),
]
END = [
    helper.make_node("ReduceMean", ["extra"], ["mean"], keepdims=0),
    helper.make_node("Cast", ["mean"], ["shade"], to=TensorProto.UINT8),
    helper.make_node("Add", ["plain", "shade"], ["images"]),
]
SHAPES: Weights = {
    "zero": np.array([0]),
    "one": np.array([1]),
    "side": np.array([196]),
    "square": np.array([-1, 28, 28]),
}
IN = helper.make_tensor_value_info("records", TensorProto.UINT8, ["N", 200])
OUT = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 28, 28])


def model(
    nodes: list[Any], weights: Weights, inputs: list[Any] | None = None, outputs: list[Any] | None = None
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(
        nodes, "g", [IN] if inputs is None else inputs, [OUT] if outputs is None else outputs, initializers
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def with_extra(*nodes: Any, **weights: NDArray[Any]) -> onnx.ModelProto:
    """A decompressor that adds the mean of "extra", a float tensor that the nodes make, to its pictures."""
    return model([*START, *nodes, *END], {**SHAPES, **weights})


def plain(last: str = "images") -> list[Any]:
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in START]
    nodes[-1].output[0] = last
    return nodes


def fine() -> onnx.ModelProto:
    return with_extra(helper.make_node("Relu", ["w"], ["extra"]), w=np.ones(3, np.float32))


def altered(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    altered = fine()
    change(altered)
    return altered


def external() -> onnx.ModelProto:
    file = fine()
    tensor = file.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    return file


def branch() -> onnx.ModelProto:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])], "i", [], [helper.make_tensor_value_info("y", 1, [3])]
    )
    node = helper.make_node("If", ["yes"], ["extra"], then_branch=inner, else_branch=inner)
    return with_extra(node, w=np.ones(3, np.float32), yes=np.array(True))


def loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["yes"], ["again"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("yes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [3]),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [3]),
        ],
    )
    return with_extra(
        helper.make_node("Loop", ["", "go", "w"], ["extra"], body=body), w=np.ones(3, np.float32), go=np.array(True)
    )


def hidden_loop() -> onnx.ModelProto:
    """The subgraph in an attribute of a node that has no use for one."""
    file, inner = fine(), helper.make_graph([], "i", [], [])
    file.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.CopyFrom(inner)
    return file


def function() -> onnx.ModelProto:
    file = fine()
    file.functions.append(
        helper.make_function(
            "own", "Relu", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])], [helper.make_opsetid("", 18)]
        )
    )
    return file


def sparse() -> onnx.ModelProto:
    file = fine()
    values, indices = (
        numpy_helper.from_array(np.ones(1, np.float32), "s"),
        numpy_helper.from_array(np.zeros(1, np.int64)),
    )
    file.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 40]))
    return file


NOT_ALLOWED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "external data": (external, "another file"),
    "a branch": (branch, "branches"),
    "a loop": (loop, "loops"),
    "a hidden loop": (hidden_loop, "loops"),
    "functions": (function, "functions"),
    "training data": (lambda: altered(lambda m: m.training_info.add()), "training"),
    "sparse weights": (sparse, "sparse"),
    "an operator of one's own": (
        lambda: with_extra(helper.make_node("Relu", ["w"], ["extra"], domain="own"), w=np.ones(3, np.float32)),
        "operator 'own.Relu'",
    ),
    "an operator of ONNX Runtime's own": (
        lambda: with_extra(
            helper.make_node("FusedGemm", ["w", "w"], ["extra"], domain="com.microsoft"), w=np.ones((3, 3), np.float32)
        ),
        "operator",
    ),
    "random numbers": (lambda: with_extra(helper.make_node("RandomNormal", [], ["extra"], shape=[3])), "operator"),
    "a division that kills": (
        lambda: with_extra(
            helper.make_node("Div", ["least", "minus"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["extra"], to=TensorProto.FLOAT),
            least=np.array([-(2**31)], np.int32),
            minus=np.array([-1], np.int32),
        ),
        "operator 'Div'",
    ),
    "text": (
        lambda: with_extra(helper.make_node("Cast", ["t"], ["extra"], to=1), t=np.array(["1"], np.object_)),
        "plain numbers",
    ),
    "text by a cast": (
        lambda: with_extra(
            helper.make_node("Cast", ["w"], ["t"], to=TensorProto.STRING),
            helper.make_node("Cast", ["t"], ["extra"], to=TensorProto.FLOAT),
            w=np.ones(3, np.float32),
        ),
        "text",
    ),
    "text in a node": (
        lambda: with_extra(
            helper.make_node("Constant", [], ["t"], value_string=b"1"), helper.make_node("Cast", ["t"], ["extra"], to=1)
        ),
        "text",
    ),
    "a million nodes": (
        lambda: altered(lambda m: m.graph.node.extend([helper.make_node("Relu", ["w"], [""])] * 60_000)),
        "fields",
    ),
    "long remarks": (lambda: altered(lambda m: setattr(m.graph, "doc_string", "x" * (5 << 20))), "remarks"),
    "no graph": (lambda: altered(lambda m: m.ClearField("graph")), "not an ONNX file"),
}


@pytest.mark.parametrize("what", NOT_ALLOWED)
def test_what_a_graph_may_not_hold(what: str, mine: Path, cli: Cli) -> None:
    make, word = NOT_ALLOWED[what]
    put(mine, "decompressor.onnx", make().SerializeToString())
    assert word in refusal(mine, cli)


def info(name: str, type: int, shape: list[Any] | None) -> Any:
    return helper.make_tensor_value_info(name, type, shape)


WIDE: Weights = {"square": np.array([-1, 14, 56])}
U8, F32 = TensorProto.UINT8, TensorProto.FLOAT
WRONG_GRAPHS: dict[str, Callable[[], onnx.ModelProto | bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"decompressor",
    "cut off": lambda: fine().SerializeToString()[:-20],
    "a picture": lambda: picture.png(BLANK[0]),
    "two graphs": lambda: fine().SerializeToString() * 2,
    "other names": lambda: model(
        [helper.make_node("Slice", ["x", "zero", "side", "one"], ["some"]), *plain()[1:]],
        SHAPES,
        [info("x", U8, ["N", 200])],
    ),
    "another output name": lambda: model(plain("y"), SHAPES, None, [info("y", U8, ["N", 28, 28])]),
    "pictures of floats": lambda: model(
        [*plain("u"), helper.make_node("Cast", ["u"], ["images"], to=F32)],
        SHAPES,
        None,
        [info("images", F32, ["N", 28, 28])],
    ),
    "records of floats": lambda: model(
        [*plain("u"), helper.make_node("Cast", ["u"], ["images"], to=U8)], SHAPES, [info("records", F32, ["N", 200])]
    ),
    "wider pictures": lambda: model(plain(), SHAPES | WIDE, None, [info("images", U8, ["N", 14, 56])]),
    "wider pictures than it says": lambda: model(plain(), SHAPES | WIDE),
    "longer records": lambda: model(plain(), SHAPES, [info("records", U8, ["N", 201])]),
    "records of any length": lambda: model(plain(), SHAPES, [info("records", U8, ["N", "M"])]),
    "one at a time": lambda: model(plain(), SHAPES, [info("records", U8, [1, 200])]),
    "one for all": lambda: model(
        [*plain("u"), helper.make_node("Slice", ["u", "zero", "one", "zero"], ["images"])], SHAPES
    ),
    "another input": lambda: model(plain(), SHAPES, [IN, info("more", U8, ["N"])]),
    "another output": lambda: model(plain(), SHAPES, None, [OUT, info("some", U8, ["N", 196])]),
    "no input": lambda: model([helper.make_node("Identity", ["w"], ["images"])], {"w": BLANK}, []),
    "no output": lambda: model(plain(), SHAPES, None, []),
    "a circle": lambda: with_extra(
        helper.make_node("Relu", ["q"], ["extra"]), helper.make_node("Relu", ["extra"], ["q"])
    ),
    "a name that is no text": lambda: fine().SerializeToString().replace(b"records", b"record\xff"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_GRAPHS)
def test_graphs_that_are_not_what_they_should_be(what: str, mine: Path, cli: Cli) -> None:
    made = WRONG_GRAPHS[what]()
    put(mine, "decompressor.onnx", made if isinstance(made, bytes) else made.SerializeToString())
    assert "decompressor.onnx" in refusal(mine, cli)


def test_the_graph_from_which_those_were_made_is_accepted(mine: Path) -> None:
    for file in (fine(), model(plain(), SHAPES)):
        put(mine, "decompressor.onnx", file.SerializeToString())
        use(mine)


def test_a_classifier_must_have_as_many_classes_as_labels(mine: Path, cli: Cli) -> None:
    change(mine / "heads/letters", labels=["a", "b", "c", "d"])
    assert "logits (4,)" in refusal(mine, cli)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("when", ["always", "only for some pictures"])
def test_infinite_values_and_nan(value: float, when: str, mine: Path) -> None:
    """A compressor that gives them, for black pictures or only for others."""
    nodes = [
        helper.make_node("Slice", ["images", "zero", "four", "one"], ["rows"]),
        helper.make_node("Slice", ["rows", "zero", "four", "two"], ["corner"]),
        helper.make_node("Cast", ["corner"], ["f"], to=F32),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("Concat", ["flat"] * 25, ["long"], axis=1),
        helper.make_node("Reshape", ["long", "shape"], ["x"]),
        helper.make_node("Clip", ["x", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["latents"]),
    ]
    usual = value if when == "always" else 1
    weights: Weights = {
        **{"zero": np.array([0]), "one": np.array([1]), "two": np.array([2]), "four": np.array([4])},
        **{"shape": np.array([-1, 16, 5, 5]), "low": np.array(0, np.float32), "high": np.array(15, np.float32)},
        "table": np.array([usual] + [value] * 15, np.float32),
    }
    graph = model(nodes, weights, [info("images", U8, ["N", 28, 28])], [info("latents", F32, ["N", 16, 5, 5])])
    put(mine, "compressor.onnx", graph.SerializeToString())
    codec = Codec.load(mine)
    if when != "always":
        assert codec.encode(BLANK).shape == (3, 200)
    with pytest.raises(BadModel, match="infinite values or NaN"):
        codec.encode(BLANK + np.uint8(200))


def test_a_field_that_other_readers_would_see_is_not_passed_over() -> None:
    """Protobuf drops the bits of a tag above 32: external data can be written so that a careless reader sees another
    field."""
    file = external().SerializeToString()
    at = file.index(b"\x0a\x08location") - 2
    assert file[at] == 13 << 3 | 2
    # Bit 32 of the tag set. The lengths around it are those of before: the tag takes four bytes of the file's name.
    name = file.index(b"/etc/hostname")
    assert at < name
    long = file[:at] + bytes([file[at] | 0x80, 0x80, 0x80, 0x80, 0x10, file[at + 1] - 4]) + file[at + 2 : name - 1]
    hidden = long + bytes([file[name - 1] - 4]) + file[name + 4 :]
    with pytest.raises(Exception, match="External data"):  # what ONNX Runtime sees there
        onnxruntime.InferenceSession(hidden, providers=["CPUExecutionProvider"], enable_fallback=0)
    with pytest.raises(BadModel, match="not an ONNX file"):
        graph.check(hidden, "x")


def test_a_file_spoilt_anywhere_is_refused_or_harmless(own_model: Path) -> None:
    """In a process of its own, because what it is about is a crash."""
    program = """
import sys
import numpy as np
from pathlib import Path
from atlcodec import engine
from atlcodec.errors import BadModel
rng = np.random.default_rng(8)
whole = Path(sys.argv[1]).read_bytes()
refused = 0
for _ in range(400):
    file = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        file[rng.integers(len(file)) if rng.integers(2) else rng.integers(3000)] = rng.integers(256)
    try:
        engine.Graph(bytes(file), engine.DECOMPRESSOR, "x")
    except BadModel:
        refused += 1
print(refused)
"""
    file = own_model / "decompressor.onnx"
    ran = subprocess.run(
        [sys.executable, "-c", program, file],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert 0 < int(ran.stdout) < 400


# -- memory ------------------------------------------------------------------------------------------------------------


def doubling(start: str, axis: int, times: int, **weights: NDArray[Any]) -> onnx.ModelProto:
    names = [start, *(f"d{n}" for n in range(times - 1)), "extra"]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=axis) for a, b in itertools.pairwise(names)]
    return with_extra(helper.make_node("Cast", ["records"], ["run"], to=F32), *nodes, **weights)


def padded(start: str, rank: int, by: int) -> onnx.ModelProto:
    return with_extra(
        helper.make_node("Cast", ["records"], ["run"], to=F32),
        helper.make_node("Pad", [start, "pads"], ["extra"]),
        w=np.ones((1,) * rank, np.float32),
        pads=np.array([0] * rank + [by] * rank),
    )


def many_constants(count: int) -> onnx.ModelProto:
    """Each is made when the last is no longer needed; whoever folds constants keeps them all."""
    nodes = []
    for number in range(count):
        nodes.append(helper.make_node("Add", [f"s{number - 1}" if number else "w", "w"], [f"w{number}"]))
        nodes.append(helper.make_node("Pad", [f"w{number}", "pads"], [f"p{number}"]))
        nodes.append(helper.make_node("ReduceMean", [f"p{number}"], [f"s{number}"]))
    nodes.append(helper.make_node("Identity", [f"s{count - 1}"], ["extra"]))
    return with_extra(*nodes, w=np.ones((1, 1), np.float32), pads=np.array([0, 0, 3000, 3000]))


HUNGRY: dict[str, tuple[Callable[[], onnx.ModelProto], bool]] = {  # and whether it is refused
    "terabytes of padding": (lambda: padded("w", 2, 1 << 20), True),
    "terabytes of padding at run time": (lambda: padded("run", 2, 1 << 20), True),
    "more than there are addresses": (lambda: padded("w", 2, 1 << 62), True),
    "doubled constants": (lambda: doubling("w", 0, 45, w=np.ones(64, np.float32)), True),
    "doubled at run time": (lambda: doubling("run", 1, 40), True),
    "many large constants": (lambda: many_constants(30), False),
}

MEASURE = f"""
import sys
import numpy as np
from pathlib import Path
from atlcodec import engine
from atlcodec.errors import BadModel
engine.MEMORY = 128 << 20  # less than it is, so that this test is quick
for path in sys.argv[1:]:
    try:
        engine.Graph(Path(path).read_bytes(), engine.DECOMPRESSOR, "x")
        print("accepted")
    except BadModel as error:
        print("refused")
{PEAK}
print(peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_what_a_graph_asks_for_is_bounded(tmp_path: Path) -> None:
    for number, (make, _) in enumerate(HUNGRY.values()):
        (tmp_path / str(number)).write_bytes(make().SerializeToString())
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *(tmp_path / str(number) for number in range(len(HUNGRY)))],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    *said, peak = ran.stdout.splitlines()
    assert dict(zip(HUNGRY, said, strict=True)) == {
        name: "refused" if no else "accepted" for name, (_, no) in HUNGRY.items()
    }
    assert int(peak) < 300_000  # kilobytes
