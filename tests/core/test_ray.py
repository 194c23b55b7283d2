"""The batch functions, called by Ray Data and by Spark: only in `make test-all`. One of Ray's two workers is killed."""

from __future__ import annotations

import contextlib
import os
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

from atlcodec import cluster
from atlcodec.codec import Codec
from atlcodec.sets import parquet
from cluster_kit import COUNT, MNIST, PAGE, PATHS, Array, moved_sevens, pa, packed, pq, tensors
from kit import ROOT, environment


@pytest.fixture(scope="module")
def images() -> Array:
    return moved_sevens()


@pytest.fixture(scope="module")
def records(images: Array) -> Array:
    return Codec.load(MNIST).encode(images)


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
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent))))
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
    """Where PySpark and Java are installed, by hand: the tests do not set them up."""
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
