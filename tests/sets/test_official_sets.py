"""The official sets, fetched by name from a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atlcodec import sets
from atlcodec.errors import BadData
from atlcodec.sets import official
from atlcodec.sets.formats import idx as idx_files
from sets_kit import write_idx


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A mirror of the official sets on 127.0.0.1: files put into the folder are what it serves."""
    root = tmp_path / "served"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(root))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        monkeypatch.setenv("ATLC_MIRROR", f"http://127.0.0.1:{running.server_address[1]}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.delenv("ATLC_DATA", raising=False)
        monkeypatch.chdir(tmp_path)
        yield root
        running.shutdown()
        thread.join()


def pin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the files of a folder are the official MNIST."""
    digests = [hashlib.sha256(gzip.decompress((folder / f"{n}.gz").read_bytes())).hexdigest() for n in idx_files.FILES]
    mnist = official.OFFICIAL["MNIST"]
    monkeypatch.setitem(
        official.OFFICIAL,
        "MNIST",
        official.Official(
            mnist.url, mnist.source, mnist.licence, mnist.labels, (digests[0], digests[1], digests[2], digests[3])
        ),
    )


def test_an_official_set_is_fetched_once_and_checked(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(server / "MNIST")
    pin(server / "MNIST", monkeypatch)
    said: list[str] = []
    assert len(sets.load("mnist", log=said.append).train) == 30
    assert len(said) == 4
    assert len(sets.load("MNIST", log=said.append).train) == 30
    assert len(said) == 4


def test_a_file_in_the_cache_that_was_damaged_is_fetched_again(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(server / "MNIST")
    pin(server / "MNIST", monkeypatch)
    before = sets.load("mnist")
    for damage in (b"", b"not gzip"):
        (file,) = Path(os.environ["XDG_CACHE_HOME"]).rglob("t10k-images-idx3-ubyte.gz")
        file.write_bytes(damage)
        said: list[str] = []
        again = sets.load("mnist", log=said.append)
        assert "is damaged; fetching" in said[0]
        assert len(said) == 1
        assert again.test is not None
        assert before.test is not None
        assert np.array_equal(again.test.images, before.test.images)


def test_a_download_with_another_digest_is_refused_and_not_kept(server: Path, tmp_path: Path) -> None:
    write_idx(server / "MNIST")
    with pytest.raises(BadData, match="not the published file"):
        sets.load("MNIST")
    assert not list((tmp_path / "cache").rglob("*.gz"))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_failed_download_says_what_to_do_and_continues_later(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(server / "MNIST")
    pin(server / "MNIST", monkeypatch)
    last = server / "MNIST/t10k-labels-idx1-ubyte.gz"
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(BadData, match=r"404.*ATLC_MIRROR"):
        sets.load("MNIST")
    last.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadData, match="ATLC_MIRROR"):
        sets.load("MNIST")
    last.write_bytes(content)
    said: list[str] = []
    assert sets.load("MNIST", log=said.append).test is not None
    assert len(said) == 1


REAL = Path(os.environ.get("ATLC_DATA", ""))


@pytest.mark.skipif(
    not (os.environ.get("ATLC_DATA") and (REAL / "MNIST").is_dir()), reason="needs MNIST below $ATLC_DATA"
)
def test_the_pinned_digests_are_those_of_the_real_files(server: Path) -> None:
    for name in ("MNIST", "FashionMNIST"):
        (server / name).symlink_to((REAL / name).resolve())
        data = sets.load(name)
        assert data.name == name
        assert data.test is not None
        assert (len(data.train), len(data.test)) == (60000, 10000)
