"""Adding a folder to a set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from atlcodec.sets import manifest
from atlcodec.sets.manifest import Entry
from drawings import Pixels
from kit import FASHION, MNIST, Cli, json_lines, put
from sets_kit import ORDER, Draw, encoded


@pytest.mark.parametrize("output", ["set.atlc", "set.parquet"])
def test_a_folder_is_added(output: str, cli: Cli, folder: Path, images: dict[str, Pixels], draw: Draw) -> None:
    pytest.importorskip("pyarrow")
    put(Path("more/1/new.png"), draw(9))
    put(Path("more/3/new.png"), draw(8))
    assert cli("encode", folder, "-o", output, "-m", FASHION, "--append").code == 0  # there was nothing to add to
    ran = cli("encode", "more", "-o", output, "--append")
    assert ran.code == 0
    assert f"{FASHION} (as before)" in ran.err
    from atlcodec.sets import parquet

    expected = encoded([*(images[path] for path in ORDER), draw(9), draw(8)], FASHION)
    entries = [*parquet.open(output).entries()] if output == "set.parquet" else manifest.read("set.csv")
    held = parquet.open(output).array.tobytes() if output == "set.parquet" else Path(output).read_bytes()
    assert held == expected
    assert entries[-2:] == [Entry(7, "1/new.png", "1"), Entry(8, "3/new.png", "3")]
    before = {path: Path(path).read_bytes() for path in os.listdir() if Path(path).is_file()}
    for again, word in (
        ("more", "more: 2 images are in the set already (1/new.png, ...); nothing was added"),
        ("in", "in: 7 images are in the set already (1/b.png, ...); nothing was added"),
    ):
        assert word in cli("encode", again, "-o", output, "--append").complaint
        assert {path: Path(path).read_bytes() for path in before} == before
    put(Path("other/1/new.png"), draw(9))
    assert (
        "1 image is in the set already (1/new.png); nothing was added"
        in cli("encode", "other", "-o", output, "--append").complaint
    )
    Path("other/1/new.png").rename("other/1/newer.png")
    ran = cli("encode", "other", "-o", output, "--append", "-m", MNIST)
    assert ran.code == 0
    assert f"warning: {output}: has records of {FASHION}; adding records of {MNIST}" in ran.err
    Path("other/1/newer.png").rename("other/1/newest.png")
    assert f"records of {MNIST}, {FASHION}; name the model for the new ones with -m" in cli(
        "encode", "other", "-o", output, "--append"
    ).complaint.replace(f"{FASHION}, {MNIST}", f"{MNIST}, {FASHION}")


def test_append_refuses_a_set_that_does_not_belong_together(cli: Cli, folder: Path, digit: Pixels) -> None:
    put(Path("more/new.png"), digit)
    assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST).code == 0
    records, listed = Path("set.atlc").read_bytes(), Path("set.csv").read_bytes()
    for content, names, word in (
        (records[:-200], listed, "lists 7 records, but set.atlc has 6"),
        (records, listed[: listed.rindex(b"6,")], "lists 6 records, but set.atlc has 7"),
        (records[:-50], listed, "torn record"),
        (records, None, "no list of their paths (set.csv)"),
        (records, b"name,age\n", "is not the list of a record file"),
        (None, listed, "lists 7 records, but set.atlc has 0"),
    ):
        for path, data in (("set.atlc", content), ("set.csv", names)):
            Path(path).unlink(missing_ok=True)
            if data is not None:
                Path(path).write_bytes(data)
        before = sorted(os.listdir())
        assert word in cli("encode", "more", "-o", "set.atlc", "--append").complaint
        assert sorted(os.listdir()) == before
        assert content is None or Path("set.atlc").read_bytes() == content
    Path("set.atlc").write_bytes(records)
    Path("set.csv").write_bytes(listed.rstrip(b"\n"))  # as some editors save it
    assert cli("encode", "more", "-o", "set.atlc", "--append").code == 0
    assert [entry.record for entry in manifest.read("set.csv")] == list(range(8))


def test_the_only_folder_is_a_label_if_the_set_has_labels(cli: Cli, folder: Path, draw: Draw) -> None:
    put(Path("more/3/new.png"), draw(9))
    put(Path("more/3/newer.png"), draw(8))
    assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST).code == 0
    assert "more: 2 images, 1 label: 3\n" in cli("encode", "more", "-o", "set.atlc", "--append").err
    assert [entry.label for entry in manifest.read("set.csv")][7:] == ["3", "3"]
    summary = cli("info", "set.atlc", "--summary")
    assert summary.lines[1] == "set.atlc: labels: 3 of 1, 1 of 10, 1 of 2, 1 of 2-x, 2 of 3, 1 without a label"
    (counts,) = json_lines(cli("info", "set.atlc", "--summary", "--json"))
    assert (counts["labels"]["3"], counts["unlabelled"]) == (2, 1)


def test_the_only_folder_is_not_a_label_in_a_set_without_labels(cli: Cli, workplace: Path, draw: Draw) -> None:
    put(Path("flat/a.png"), draw(1))
    put(Path("more/3/new.png"), draw(9))
    put(Path("more/3/newer.png"), draw(8))
    assert "flat: 1 image, no labels\n" in cli("encode", "flat", "-o", "set.atlc", "-m", MNIST).err
    ran = cli("encode", "more", "-o", "set.atlc", "--append")
    assert "more: 2 images have no label (it has only one folder)\n" in ran.err
    assert [entry.label for entry in manifest.read("set.csv")] == [None] * 3
    assert "more: 2 images have no label" in cli("encode", "more", "-o", "new.atlc", "-m", MNIST).err
