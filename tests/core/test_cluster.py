"""The batch functions, called by a loop. In `make test-all` by Ray Data, too, with two workers, of which one is
killed."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec import cluster
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadImage, NotARecord, UnknownModel
from atlcodec.sets import parquet
from conftest import ROOT, environment, seven

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MNIST, FASHION = "mnist-lenet", "fashion-lenet"
PAGE = ROOT / "docs" / "cluster.md"
COUNT = 400
PATHS = [f"7/{number:03}.png" for number in range(COUNT)]
Array = NDArray[Any]


@pytest.fixture(scope="module")
def images() -> Array:
    """Sevens moved about: uint8 (400, 28, 28)."""
    rng = np.random.default_rng(0)
    some = [seven(slant) for slant in np.linspace(-2, 2, 20)]
    return np.stack([np.roll(some[n % 20], rng.integers(-3, 4, 2), (0, 1)) for n in range(COUNT)])


@pytest.fixture(scope="module")
def records(images: Array) -> Array:
    return Codec.load(MNIST).encode(images)


def tensors(images: Array) -> Any:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(images)


def packed(column: Any) -> Array:
    """A column of records as uint8 (N, 200)."""
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(-1, 200)


# -- called by a loop --------------------------------------------------------------------------------------------------


def test_batches_of_numpy_arrays(images: Array, records: Array) -> None:
    codec = Codec.load(MNIST)
    encoded = cluster.Encode(MNIST)({"number": np.arange(COUNT), "image": images})
    assert list(encoded) == ["number", "record", "problem"]
    assert np.array_equal(encoded["record"], records)
    assert not np.any(encoded["problem"] != "")
    answer = cluster.Classify()(encoded)
    scores = codec.classify(records)
    assert answer["label"].tolist() == [codec.labels[index] for index in scores.argmax(1)]
    assert np.array_equal(answer["probability"], scores.max(1))
    assert np.array_equal(answer["record"], records)
    decoded = cluster.Decode()(answer)
    assert np.array_equal(decoded["image"], codec.decode(records))
    assert np.array_equal(decoded["number"], np.arange(COUNT))
    assert cluster.Encode(MNIST)({"image": np.array([])})["record"].shape == (0, 200)


def test_the_encoders_effort_is_passed_on(images: Array, records: Array) -> None:
    function = cluster.Encode(MNIST, effort=3)
    for encode in (function, pickle.loads(pickle.dumps(function))):
        encoded = encode({"image": images[:20]})["record"]
        assert np.array_equal(encoded, Codec.load(MNIST).encode(images[:20], effort=3))
        assert not np.array_equal(encoded, records[:20])


def test_batches_of_arrow_are_what_parquet_should_hold(images: Array, records: Array, tmp_path: Path) -> None:
    codec = Codec.load(MNIST)
    table = pa.table({"number": range(COUNT), "image": tensors(images)}, metadata={"of": "ours"})
    pq.write_table(cluster.Encode(MNIST)(table), tmp_path / "x.parquet")
    encoded = pq.read_table(tmp_path / "x.parquet")
    assert encoded.schema.field("record").type == pa.binary(200)
    assert encoded.schema.metadata == {b"of": b"ours", b"atlc.ids": f"{codec.id:08x}".encode()}
    assert np.array_equal(packed(encoded["record"]), records)
    answer = cluster.Classify()(encoded)
    assert answer["label"].to_pylist() == [codec.labels[index] for index in codec.classify(records).argmax(1)]
    assert answer["problem"].null_count == COUNT
    decoded = cluster.Decode()(answer)
    assert np.array_equal(decoded["image"].combine_chunks().to_numpy_ndarray(), codec.decode(records))
    assert decoded.schema.metadata == {b"of": b"ours"}
    assert cluster.Classify()(encoded.slice(0, 0)).schema == answer.schema


@pytest.mark.parametrize(
    "kind", ["binary", "large_binary", "fixed_size_binary[784]", "list", "fixed_size_list", "tensor"]
)
def test_columns_that_other_programs_write(kind: str, images: Array, records: Array) -> None:
    flat = list(images.reshape(COUNT, -1))
    cells = [row.tobytes() for row in flat]
    column = {
        "binary": pa.array(cells, pa.binary()),
        "large_binary": pa.array(cells, pa.large_binary()),
        "fixed_size_binary[784]": pa.array(cells, pa.binary(784)),
        "list": pa.array(flat, pa.list_(pa.uint8())),
        "fixed_size_list": pa.array(flat, pa.list_(pa.uint8(), 784)),
        "tensor": tensors(images),
    }[kind]
    table = pa.table({"image": pa.chunked_array([column[:7], column[7:]])}).slice(3)
    assert np.array_equal(packed(cluster.Encode(MNIST)(table)["record"]), records[3:])


def test_a_bad_row_stops_only_itself_and_says_why(images: Array, records: Array) -> None:
    rows: list[Any] = [row.tobytes() for row in records[:7]]
    rows[1:5] = [None, b"short", bytes([rows[3][0] ^ 1]) + rows[3][1:], bytes(200)]
    rows[5] = Codec.load(FASHION).encode(images[5:6]).tobytes()
    table = pa.table({"record": pa.array(rows, pa.binary()), "path": list("abcdefg")})
    for batch in (table, {"record": np.array(rows, object), "path": np.array(list("abcdefg"))}):
        answer = pa.table(dict(cluster.Classify()(batch))) if isinstance(batch, dict) else cluster.Classify()(batch)
        why = [problem or None for problem in answer["problem"].to_pylist()]
        assert [problem is None for problem in why] == [True, False, False, False, False, True, True]
        assert [bool(label) for label in answer["label"].to_pylist()] == [problem is None for problem in why]
        assert why[1:3] == ["the record is null", "the record has 5 bytes, not 200"]
        assert "bit 0 of byte 0 of a record of mnist-lenet is flipped" in str(why[3])
        assert "no installed codec has the id" in str(why[4])
    assert answer["probability"].to_numpy()[[1, 2, 3, 4]].tolist() == pytest.approx([np.nan] * 4, nan_ok=True)
    # What could not be decoded is no picture, and still says why when it could not be encoded either.
    again = cluster.Encode(MNIST)(cluster.Decode()(table))
    assert again["record"].is_null().to_pylist() == [problem is not None for problem in why]
    assert again["problem"].to_pylist() == why
    nothing = cluster.Classify()(pa.table({"record": pa.nulls(2)}))
    assert nothing["problem"].to_pylist() == ["the record is null"] * 2
    only = cluster.Classify(model=MNIST)(table)["problem"].to_pylist()
    assert "written by fashion-lenet, not by mnist-lenet" in only[5]
    with pytest.raises(NotARecord, match=r"row 1 of the batch \(b\): the record is null"):
        cluster.Classify(strict=True)(table)
    odd = np.array([images[0], images[0].tobytes(), images[0][1:], "seven"], object)
    encoded = cluster.Encode(MNIST)({"image": odd})
    assert np.array_equal(encoded["record"], [records[0], records[0], np.zeros(200), np.zeros(200)])
    assert encoded["problem"].tolist() == [
        "",
        "",
        "the image is uint8 (27, 28), not uint8 (28, 28)",
        "the image is a str, not uint8 (28, 28)",
    ]


def test_what_is_wrong_with_the_job_is_an_error(images: Array, records: Array, own_model: Path) -> None:
    encode, classify = cluster.Encode(MNIST), cluster.Classify()
    with pytest.raises(
        BadImage, match=r"column 'image' is uint8 \(400, 27, 28\); it must be uint8 \(N, 28, 28\), or 784"
    ):
        encode({"image": images[:, 1:]})
    with pytest.raises(BadImage, match="column 'image' is string; it must"):
        encode(pa.table({"image": ["seven"]}))
    with pytest.raises(NotARecord, match="no column 'record'; rename one of its columns: image"):
        classify({"image": images})
    with pytest.raises(AtlcError, match="a batch must be a dict of NumPy arrays or a pyarrow Table, not a RecordBatch"):
        encode(pa.record_batch({"image": tensors(images)}))
    with pytest.raises(AtlcError, match="a column 'label' already"):
        classify({"record": records, "label": records[:, 0]})
    renamed = cluster.Classify(label="predicted")({"record": records, "label": records[:, 0]})
    assert set(renamed["predicted"]) <= set(Codec.load(MNIST).labels)
    for make in (
        cluster.Encode,
        lambda model: cluster.Decode(model=model),
        lambda model: cluster.Classify(model=model),
    ):
        with pytest.raises(UnknownModel, match="no model 'another' is installed"):
            make("another")
    with pytest.raises(UnknownModel, match="has no classifier 'another'"):
        cluster.Classify("another", model=MNIST)
    assert "has no classifier 'another'" in cluster.Classify("another")({"record": records[:1]})["problem"][0]
    mine = cluster.Encode(own_model)({"image": images[:3]})
    assert cluster.Classify("letters", model=own_model)(mine)["problem"].tolist() == ["", "", ""]


def test_they_are_pickled_as_their_arguments(images: Array, records: Array) -> None:
    encode, decode, classify = (
        cluster.Encode(MNIST, strict=True),
        cluster.Decode(model=MNIST),
        cluster.Classify(label="digit"),
    )
    encoded = encode({"image": images})
    done = classify(decode(encoded) | encoded)
    sent = [pickle.dumps(function) for function in (encode, decode, classify)]
    assert max(map(len, sent)) < 300
    encode, decode, classify = map(pickle.loads, sent)
    assert (encode.strict, decode.model, classify.label) == (True, MNIST, "digit")
    again = encode({"image": images})
    again = classify(decode(again) | again)
    assert again.keys() == done.keys()
    assert all(np.array_equal(again[name], done[name]) for name in done)


def test_no_cluster_is_imported() -> None:
    code = (
        "import sys; from atlcodec import cluster; "
        "print(sorted({'ray', 'pyspark', 'pyarrow', 'pandas'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    ).stdout
    assert printed == "[]\n"


# -- called by Ray Data ------------------------------------------------------------------------------------------------


def cluster_only(test: Callable[..., None]) -> Any:
    """A test that waits for a cluster to start, whose own code is not free of warnings."""
    for warning in [
        r":DeprecationWarning:ray\.data\.context",  # of its own settings
        r"The minimum number of concurrent actors:UserWarning",  # there are more than the work of a test needs
    ]:
        test = pytest.mark.filterwarnings(f"ignore:{warning}")(test)
    return pytest.mark.skipif(not os.environ.get("ATLC_TEST_ALL"), reason="starts a cluster: make test-all")(test)


@pytest.fixture
def pictures(images: Array, tmp_path: Path) -> Path:
    """A folder of Parquet files."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for start in range(0, COUNT, 50):
        rows = slice(start, start + 50)
        table = pa.table({"path": PATHS[rows], "label": ["7"] * 50, "image": tensors(images[rows])})
        pq.write_table(table, folder / f"{start}.parquet")
    return folder


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Ray Data on a cluster of its own, with two CPUs."""
    pytest.importorskip("ray.data")
    ray = sys.modules["ray"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        folder = tempfile.mkdtemp(prefix="ray-")  # short: it has to hold the names of sockets
        try:
            ray.init(
                num_cpus=2,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                object_store_memory=300 << 20,
                _temp_dir=folder,
                runtime_env={"env_vars": {"ATLC_THREADS": "1"}},
            )
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield ray
        finally:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(eq=False)
class Mortal(cluster.Encode):
    """As soon as two workers are at work one dies, with a batch done and not yet handed over."""

    folder: Path = field(kw_only=True)

    def __call__(self, batch: Any) -> Any:
        done = super().__call__(batch)
        (self.folder / f"{os.getpid()}.worker").touch()
        patience = time.monotonic() + 60
        while len(list(self.folder.glob("*.worker"))) < 2 and time.monotonic() < patience:
            time.sleep(0.05)
        with contextlib.suppress(FileExistsError), (self.folder / "killed").open("x") as file:
            file.write(str(os.getpid()))
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return done.append_column("worker", pa.array([os.getpid()] * len(done)))


@cluster_only
def test_a_killed_worker_costs_no_row_and_doubles_none(
    ray: Any, pictures: Path, records: Array, tmp_path: Path
) -> None:
    ray.data.from_arrow([pq.read_table(file) for file in pictures.iterdir()]).map_batches(
        Mortal,
        fn_constructor_args=[MNIST],
        fn_constructor_kwargs={"folder": tmp_path},
        batch_format="pyarrow",
        batch_size=10,
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=0.5,
    ).write_parquet(str(tmp_path / "records"))
    killed = int((tmp_path / "killed").read_text())
    made = pq.read_table(tmp_path / "records").sort_by("path")
    assert made["path"].to_pylist() == PATHS
    assert np.array_equal(packed(made["record"]), records)
    workers = set(made["worker"].to_pylist())
    assert killed not in workers
    assert len(workers) == 2


@cluster_only
def test_the_page_shows_what_works(
    ray: Any, pictures: Path, records: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin, *blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8").split("## Spark")[0], re.S)
    assert "ray.init(" in begin  # done, see above
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block.replace("/data", str(tmp_path)), names)
    assert capsys.readouterr().out.splitlines()[-1:] == ["0 rows could not be done"]
    codec = Codec.load(MNIST)
    made = pq.read_table(tmp_path / "records").sort_by("path")
    assert np.array_equal(packed(made["record"]), records)
    assert {parquet.open(file).ids for file in (tmp_path / "records").iterdir()} == {(codec.id,)}
    answers = pq.read_table(tmp_path / "answers").sort_by("path")
    scores = codec.classify(records)
    assert answers["path"].to_pylist() == PATHS
    assert answers["predicted"].to_pylist() == [codec.labels[index] for index in scores.argmax(1)]
    assert np.array_equal(answers["probability"].to_numpy(), scores.max(1))


SPARK = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
"""


@cluster_only
def test_the_page_shows_what_works_in_spark(images: Array, records: Array, tmp_path: Path) -> None:
    """Where PySpark and Java are installed, by hand: they are no part of what the tests set up."""
    pytest.importorskip("pyspark")
    for name, rows in (("image", images), ("record", records)):
        (tmp_path / f"{name}s").mkdir()
        table = {"path": PATHS, "label": ["7"] * COUNT, name: [row.tobytes() for row in rows]}
        pq.write_table(pa.table(table), tmp_path / f"{name}s" / "0.parquet")
    (tmp_path / "images").rename(tmp_path / "pictures")
    page = PAGE.read_text("utf-8").replace("/data", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", page.split("## Spark")[1], re.S)
    run = [sys.executable, "-c", "\n".join([SPARK, *blocks])]
    subprocess.run(run, env=environment(PYSPARK_PYTHON=sys.executable), check=True)
    assert [row.tobytes() for row in records] == pq.read_table(tmp_path / "records-of-spark").sort_by("path")[
        "record"
    ].to_pylist()
    answers = pq.read_table(tmp_path / "answers-of-spark").sort_by("path")["answer"].to_pylist()
    codec = Codec.load(MNIST)
    scores = codec.classify(records)
    assert [answer["label"] for answer in answers] == [codec.labels[index] for index in scores.argmax(1)]
    assert [answer["probability"] for answer in answers] == scores.max(1).tolist()
    assert {answer["problem"] for answer in answers} == {""}
