"""Images in Parquet files: all forms of columns, labels and folders, and what is refused."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from atlcodec import arrow
from atlcodec.errors import AtlcError, BadData
from atlcodec.sets.formats import parquet_file, parquet_images
from atlcodec.sets.formats.parts import Found, Part

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COUNT, SIDE = 10, 12
PIXELS: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE), np.uint8)
FLAT = PIXELS.reshape(COUNT, -1)
COLOURS: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


FILES = [png(pixels) for pixels in PIXELS]
IMAGE = [{"bytes": file, "path": f"{n}.png"} for n, file in enumerate(FILES)]
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def hugging_face(names: object) -> dict[str, str]:
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def put(path: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, **options)
    return path


def found(path: Path) -> Found:
    result = parquet_images.find(path)
    assert result is not None
    return result


def only(path: Path) -> Part:
    (part,) = found(path).parts
    return part


def all_of(part: Part, size: int = 3, start: int = 0) -> list[Any]:
    return [image for images in part.images(size, start) for image in images]


def test_the_form_of_hugging_face(tmp_path: Path) -> None:
    labels = [n % 2 * 2 for n in range(COUNT - 1)] + [-1]
    columns = {"id": range(COUNT), "image": IMAGE, "label": labels}
    path = put(tmp_path / "x", columns, hugging_face(["cat", "dog", "emu"]), row_group_size=4)
    whole = found(path)
    assert (whole.classes, whole.left_out) == (("cat", "dog", "emu"), ("column id",))
    (part,) = whole.parts
    assert part.labels is not None
    assert (part.split, part.labels.tolist(), len(part)) == ("", labels, COUNT)
    assert all_of(part) == FILES
    for size, start in ((1, 0), (3, 5), (4, 4), (100, 9), (3, 10)):
        assert [len(images) for images in part.images(size, start)] == [
            min(size, COUNT - at) for at in range(start, COUNT, size)
        ]
        assert all_of(part, size, start) == FILES[start:]
    put(path, columns)
    assert found(path).classes == ("-1", "0", "2")
    put(path, columns, hugging_face(["cat", "dog"]))
    with pytest.raises(BadData, match="has the label 2, but 2 names of labels"):
        found(path)
    strange: tuple[object, ...] = [1, 2, 3], ["a", "a", "b"], None, {}
    for wrong in strange:
        put(path, columns, hugging_face(wrong))
        assert found(path).classes == ("-1", "0", "2")
    put(path, columns, {"huggingface": "[" * 100_000})
    assert found(path).classes == ("-1", "0", "2")


def flat_lists(kind: Any) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(FLAT.ravel(), kind), SIDE * SIDE)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (FILES, FILES),
        (pa.array(FILES, pa.large_binary()), FILES),
        ([row.tobytes() for row in FLAT], PIXELS),
        (pa.array([row.tobytes() for row in FLAT], pa.binary(SIDE * SIDE)), PIXELS),
        ([row.tobytes() for row in COLOURS], COLOURS),
        (FLAT.tolist(), PIXELS),
        (pa.array(FLAT.tolist(), pa.large_list(pa.uint8())), PIXELS),
        (flat_lists(pa.uint8()), PIXELS),
        (flat_lists(pa.float64()), PIXELS.astype(np.float32)),
        (PIXELS.tolist(), PIXELS),
        (COLOURS.tolist(), COLOURS),
        (COLOURS.reshape(COUNT, -1).tolist(), COLOURS),
        (COLOURS.transpose(0, 3, 1, 2).tolist(), COLOURS),
        ((PIXELS.astype(int) - 7).tolist(), PIXELS.astype(np.int32) - 7),
        ((PIXELS.astype(int) * 9).tolist(), PIXELS.astype(np.int32) * 9),
        ((PIXELS / 256).tolist(), (PIXELS / 256).astype(np.float32)),
        ((PIXELS > 99).tolist(), (PIXELS > 99).astype(np.uint8)),
    ],
)
def test_all_forms_of_images(column: Any, expected: Any, tmp_path: Path) -> None:
    for name in ("image", "img", "pixels", "a name of your own"):
        part = only(put(tmp_path / "x.pq", {"index": range(COUNT), name: column}, row_group_size=4))
        assert part.labels is None
        images = all_of(part)
        if isinstance(expected, list):
            assert images == expected
        else:
            assert {image.dtype for image in images} == {expected.dtype}
            assert np.array_equal(np.stack(images), expected)


def test_images_of_several_shapes(tmp_path: Path) -> None:
    column = [PIXELS[0].tolist(), PIXELS[1, :5].tolist(), PIXELS[2, :, :9].tolist()]
    images = all_of(only(put(tmp_path / "x", {"image": column})))
    for image, expected in zip(images, (PIXELS[0], PIXELS[1, :5], PIXELS[2, :, :9]), strict=True):
        assert image.dtype == np.uint8
        assert np.array_equal(image, expected)


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        ([10, 9, None, 2, 2], ("2", "9", "10"), [2, 1, -1, 0, 0]),
        ([10.0, 9.0, float("nan"), None, 2.0], ("2", "9", "10"), [2, 1, -1, -1, 0]),
        (["b", "", None, "a", "10"], ("10", "a", "b"), [2, -1, -1, 1, 0]),
        (pa.array(["b", "x", None, "a", "b"]).dictionary_encode(), ("a", "b", "x"), [1, 2, -1, 0, 1]),
        (pa.array([7, 7, None, 3, 12]).dictionary_encode(), ("3", "7", "12"), [1, 1, -1, 0, 2]),
        (pa.DictionaryArray.from_arrays([1, 1, 0, 0, 1], ["b", "a", "unused"]), ("a", "b"), [0, 0, 1, 1, 0]),
        ([True, False, None, True, True], ("0", "1"), [1, 0, -1, 1, 1]),
        (pa.array([1, 0, 1, 0, 1], pa.uint8()), ("0", "1"), [1, 0, 1, 0, 1]),
    ],
)
@pytest.mark.parametrize("name", ["label", "fine_label", "Class"])
def test_all_forms_of_labels(
    labels: Any, classes: tuple[str, ...], numbers: list[int], name: str, tmp_path: Path
) -> None:
    whole = found(put(tmp_path / "x", {name: labels, "img": FILES[:5], "coarse_label": [1] * 5}, row_group_size=2))
    assert (whole.classes, whole.left_out) == (classes, ("column coarse_label",))
    assert whole.parts[0].labels is not None
    assert whole.parts[0].labels.tolist() == numbers


@pytest.mark.parametrize("labels", [pa.nulls(5), [-1] * 5, [""] * 5, [[1]] * 5])
def test_what_has_no_labels(labels: Any, tmp_path: Path) -> None:
    whole = found(put(tmp_path / "x", {"label": labels, "image": FILES[:5]}))
    assert (whole.classes, whole.parts[0].labels) == ((), None)


@pytest.mark.parametrize("below", [".", "data", "plain/mnist"])
def test_a_folder_of_parts(below: str, tmp_path: Path) -> None:
    for name, rows, label in (
        ("train-00000-of-00002", slice(0, 4), [5] * 4),
        ("train-00001-of-00002", slice(4, 7), [6] * 3),
        ("test-00000-of-00001", slice(7, 10), [9, 5, 9]),
    ):
        put(tmp_path / below / f"{name}.parquet", {"image": IMAGE[rows], "label": label})
    (tmp_path / "README.md").write_text("a set")
    whole = found(tmp_path)
    assert whole.classes == ("5", "6", "9")
    assert [(part.split, None if part.labels is None else part.labels.tolist()) for part in whole.parts] == [
        ("train", [0, 0, 0, 0, 1, 1, 1]),
        ("test", [2, 0, 2]),
    ]
    assert [image for part in whole.parts for image in all_of(part)] == FILES
    assert all_of(whole.parts[0], 2, 3) == FILES[3:7]


def test_folders_of_spark_and_of_splits(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path / "spark" / f"part-0000{number}-f3d.c000.snappy.parquet", {"image": FILES[number : number + 1]})
        put(tmp_path / "split" / ("val", "train")[number] / "0.parquet", {"image": FILES[number : number + 1]})
    for name in ("_SUCCESS", "._SUCCESS.crc"):
        (tmp_path / "spark" / name).touch()
    put(tmp_path / "spark" / "_metadata", {"other": [1]})
    assert all_of(only(tmp_path / "spark")) == FILES[:2]
    assert [(part.split, all_of(part)) for part in found(tmp_path / "split").parts] == [
        ("train", FILES[1:2]),
        ("validation", FILES[:1]),
    ]


def test_several_sets_in_one_folder_are_named(tmp_path: Path) -> None:
    for name in ("mnist", "fashion"):
        put(tmp_path / name / "train-00000-of-00001.parquet", {"image": FILES})
    with pytest.raises(BadData, match="has several sets: fashion, mnist; name the folder or the file of one"):
        found(tmp_path)
    assert only(tmp_path / "mnist").split == "train"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [{"path": "a.png"}]}, "its column image has only the paths of images"),
        ({"image": pa.array([{"bytes": None, "path": "a.png"}], IMAGE_TYPE)}, "image has only the paths of images"),
        ({"image": ["a.png"], "label": [1]}, "image has only the paths of images"),
        ({"record": pa.array([bytes(200)], pa.binary(200)), "label": ["a"]}, "holds records already"),
        ({"record": [bytes(200)]}, "holds records already"),
        ({"a": [1], "b": ["x"]}, "has no column of images; its columns are: a, b; the images are in a column `image`"),
        ({"a": FILES[:1], "b": FILES[:1]}, "has no column of images; its columns are: a, b"),
        ({"image": [[0] * 143]}, "row 0: has 143 values, which is not"),
        ({"image": [[0] * 144, [0] * 143]}, "row 1: has 143 values"),
        ({"image": [[0] * 144, None]}, "row 1: has no image"),
        ({"image": [[0] * 144, [None] * 144]}, "row 1: has a pixel that is null"),
        ({"image": [[[0, 1], [2]]]}, "row 0: has lists of different lengths"),
        ({"image": pa.array([[]], pa.list_(pa.uint8()))}, "row 0: has lists of different lengths: 0"),
        ({"image": [bytes(144), None]}, "row 1: has no image"),
        ({"image": [bytes(144), bytes(100)]}, "row 1: has 100 bytes, not 144"),
    ],
)
def test_other_columns_are_refused(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = put(tmp_path / "x.parquet", columns)
    with pytest.raises(BadData) as caught:
        all_of(only(path))
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert message in said
    assert said.isprintable()


def test_an_image_that_is_missing_is_an_empty_file(tmp_path: Path) -> None:
    part = only(put(tmp_path / "x", {"image": [IMAGE[0], None, {"bytes": None, "path": "x"}, IMAGE[3]]}))
    assert all_of(part) == [FILES[0], b"", b"", FILES[3]]


def test_what_is_not_parquet_is_left_to_others(tmp_path: Path) -> None:
    assert parquet_images.find(tmp_path) is None
    (tmp_path / "x.parquet").write_bytes(b"label,pixel0\n")
    assert parquet_images.find(tmp_path) is None
    assert parquet_images.find(tmp_path / "x.parquet") is None
    assert parquet_images.find(tmp_path / "missing") is None


def test_a_long_image_that_many_rows_share_is_kept_once(tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3000), pa.array([b"x" * 1_000_001]))  # 3 GB
    path = put(tmp_path / "x", {"image": column}, compression="zstd", store_schema=False)
    assert path.stat().st_size < 10**5
    images = all_of(only(path), 3000)
    assert len(images) == 3000
    assert len({id(image) for image in images}) == 1


def test_a_large_row_group_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "LARGEST_GROUP", 1000)
    with pytest.raises(BadData, match="row group has more than 1000 bytes; write the file again with smaller ones"):
        found(put(tmp_path / "x", {"image": IMAGE}))


def test_damaged_files_raise_errors_of_this_package(tmp_path: Path) -> None:
    path = put(tmp_path / "x", {"image": IMAGE, "label": ["a"] * COUNT}, write_page_checksum=True)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for at in (*rng.integers(4, len(whole), 60).tolist(), *range(len(whole) - 300, len(whole))):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :])
        try:
            images = all_of(only(path))
        except AtlcError:
            continue
        assert len(images) == len(only(path))
    for content in (whole[:-1], whole[:500], b"PAR1", b"PAR1" + os.urandom(500) + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(BadData, match="cannot be read as Parquet"):
            found(path)


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "x", {"image": IMAGE})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arrow.require_pyarrow.cache_clear()
    with pytest.raises(AtlcError, match=r"pip install 'atlcodec\[arrow\]'"):
        found(path)
