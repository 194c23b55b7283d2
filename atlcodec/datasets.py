"""Data sets: IDX files or labelled image folders -> uint8 arrays. NumPy alone, so that `evaluate` needs no PyTorch.

A data set is a folder of IDX files under their usual names (gzip-compressed or not; test files and labels may be
missing), or a folder of pictures `LABEL/*.png`, or `train/LABEL/*.png` with `test/LABEL/*.png`. The official sets can
be fetched by name."""

from __future__ import annotations

import gzip
import hashlib
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec import picture
from atlcodec.errors import AtlcError, BadData

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
LARGEST_IDX = 1 << 30  # bytes; a gzip bomb stops here


@dataclass(frozen=True)
class Official:
    """A published data set: where it is, under which licence, and the digests of its four *decompressed* IDX files."""

    url: str
    source: str
    licence: str
    labels: tuple[str, ...]
    digests: tuple[str, str, str, str]  # in the order of IDX_FILES; SHA-256, or MD5 where the owners publish no more


OFFICIAL = {
    "MNIST": Official(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "LeCun, Cortes, Burges",
        "CC BY-SA 3.0",
        DIGITS,
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "FashionMNIST": Official(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "Zalando Research (Xiao et al. 2017)",
        "MIT",
        CLOTHES,
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    "KMNIST": Official(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "CODH (Clanuwat et al. 2018)",
        "CC BY-SA 4.0",
        KANA,
        (
            "92be26ec9822e900ac425d0a0aa84ced",
            "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
            "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
            "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
        ),
    ),
}

# Digest of a training file (labels, or images where there are no labels) -> name, source, licence, what the labels
# stand for.
_KNOWN = {o.digests[1]: (name, o.source, o.licence, o.labels) for name, o in OFFICIAL.items()} | {
    # 8,000 + 1,000 of KMNIST's 10,000 official test images, for places where its 60,000 training images are not at hand
    "1d6cba4f208bd6bb5759f19b722d70759c9a4f7daaa463eb30ea9c6dce5fb477": (
        "KMNIST-part",
        "CODH (Clanuwat et al. 2018), images 0..8999 of KMNIST's test images",
        "CC BY-SA 4.0",
        KANA,
    ),
    "be5e712c65a71b49cb164aa697d7b53422bd6aacdacccce725f6d0b9304ca204": (
        "KuzushijiKanji28",
        "CODH, Kuzushiji-Kanji resized to 28 x 28",
        "CC BY-SA 4.0",
        (),
    ),
}


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, 28, 28) and, where there are any, labels int64 (N,)."""

    images: Images
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Split:
        return Split(self.images[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class Dataset:
    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    source: str = "the user's own"
    licence: str = "the user's own"
    sha256: dict[str, str] = field(
        default_factory=dict
    )  # of each decompressed IDX file, or of the picture paths and pixels

    def limited(self, count: int) -> Dataset:
        """The same with only the first so many training images."""
        return replace(self, train=self.train[:count])

    def describe(self) -> dict[str, object]:
        """What a model card says of its data."""
        return {
            "name": self.name,
            "train": len(self.train),
            "test": 0 if self.test is None else len(self.test),
            "source": self.source,
            "licence": self.licence,
            "sha256": self.sha256,
        }


def load(where: str | Path, *, say: Callable[[str], None] = lambda _: None) -> Dataset:
    """The data set in a folder, or one known by name.

    A name is looked up as a path first, then below `$ATLC_DATA`, then among the official sets, which are downloaded
    once into the user's cache. Raises `BadData` with what is wrong and what to do."""
    folder = Path(where)
    if not folder.is_dir() and len(folder.parts) == 1:
        below = Path(os.environ.get("ATLC_DATA", "")) / folder
        if os.environ.get("ATLC_DATA") and below.is_dir():
            folder = below
        else:
            official = {name.lower(): name for name in OFFICIAL}.get(str(where).lower())
            if official is not None:
                folder = download(official, say=say)
    if not folder.is_dir():
        raise BadData(
            f"{where}: no such folder. Give a folder of IDX files or of labelled pictures, or one of: "
            f"{', '.join(OFFICIAL)}"
        )
    if any(_find(folder, name) for name in IDX_FILES):
        return _load_idx(folder)
    return _load_pictures(folder)


def _find(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def read_idx(path: Path) -> tuple[NDArray[np.uint8], str]:
    """An IDX file of bytes, gzip-compressed if its name ends so: the array, and the SHA-256 of the decompressed
    file."""
    try:
        with _opened(path) as file:
            raw = file.read(LARGEST_IDX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path}: cannot be read ({error}); fetch it again") from error
    if len(raw) > LARGEST_IDX:
        raise BadData(f"{path}: larger than {LARGEST_IDX} bytes")
    if len(raw) < 4 or raw[:3] != b"\0\0\x08" or len(raw) < 4 + 4 * raw[3]:
        raise BadData(f"{path}: not an IDX file of bytes")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", raw[3], 4))
    start = 4 + 4 * raw[3]
    if len(raw) - start != int(np.prod(shape, dtype=np.uint64)):
        raise BadData(f"{path}: its header promises {' x '.join(map(str, shape))} bytes, it holds {len(raw) - start}")
    return np.frombuffer(raw, np.uint8, -1, start).reshape(shape), hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True)
class IdxHalf:
    """One half of a folder of IDX files, its images not yet read: they may be too many for memory."""

    name: str  # "train" or "test"
    path: Path
    count: int
    labels: tuple[str, ...] | None  # one for each image, in words

    def images(self, size: int, start: int = 0) -> Iterator[Images]:
        """The images from number `start` on, uint8 (up to `size`, 28, 28) at a time. Raises `BadData` where the file is
        broken."""
        try:
            with _opened(self.path) as file:
                file.seek(16 + start * 784)
                for first in range(start, self.count, size):
                    wanted = min(size, self.count - first) * 784
                    chunk = file.read(wanted)
                    if len(chunk) != wanted:
                        raise BadData(f"{self.path}: its header promises {self.count} images, it holds fewer")
                    yield np.frombuffer(chunk, np.uint8).reshape(-1, 28, 28)
                if file.read(1):  # this also reads the checksum at the end of a compressed file
                    raise BadData(f"{self.path}: its header promises {self.count} images, it holds more")
        except (OSError, EOFError, zlib.error) as error:
            raise BadData(f"{self.path}: cannot be read ({error}); fetch it again") from error


def idx_halves(folder: Path) -> list[IdxHalf]:
    """The halves of a folder of IDX files, train before test, with the labels that `load` gives; none if it is no such
    folder.

    Raises `BadData` where a header or the labels are not in order."""
    halves: list[IdxHalf] = []
    classes: tuple[str, ...] | None = None
    for name, images_name, labels_name in (("train", *IDX_FILES[:2]), ("test", *IDX_FILES[2:])):
        path = _find(folder, images_name)
        if path is None:
            continue
        try:
            with _opened(path) as file:
                header = file.read(16)
        except (OSError, EOFError, zlib.error) as error:
            raise BadData(f"{path}: cannot be read ({error}); fetch it again") from error
        if len(header) < 16 or header[:4] != b"\0\0\x08\x03" or header[8:] != b"\0\0\0\x1c" * 2:
            raise BadData(f"{path}: not an IDX file of pictures of 28 x 28")
        count = int.from_bytes(header[4:8])
        labels_path = _find(folder, labels_name)
        labels: tuple[str, ...] | None = None
        if labels_path is not None:
            numbers, digest = read_idx(labels_path)
            if numbers.shape != (count,):
                raise BadData(f"{folder}: {count} images but {numbers.shape} labels in {labels_name}")
            if classes is None:
                classes = _KNOWN[digest][3] if digest in _KNOWN else _label_names(folder, 256)
            if numbers.max(initial=0) >= len(classes):
                raise BadData(f"{folder}: a label {numbers.max()}, but only {len(classes)} names in labels.txt")
            labels = tuple(classes[number] for number in numbers.tolist())
        halves.append(IdxHalf(name, path, count, labels))
    return halves


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _load_idx(folder: Path) -> Dataset:
    digests: dict[str, str] = {}

    def read(name: str, *, must: bool = False) -> NDArray[np.uint8] | None:
        path = _find(folder, name)
        if path is None:
            if must:
                raise BadData(f"{folder}: {name} (or {name}.gz) is missing")
            return None
        array, digests[name] = read_idx(path)
        return array

    def split(images_name: str, labels_name: str, *, must: bool) -> Split | None:
        images, labels = read(images_name, must=must), read(labels_name)
        if images is None:
            return None
        if images.ndim != 3 or images.shape[1:] != (28, 28):
            raise BadData(f"{folder}: {images_name} holds {images.shape[1:]}, not pictures of 28 x 28")
        if labels is not None and labels.shape != images.shape[:1]:
            raise BadData(f"{folder}: {len(images)} images but {labels.shape} labels in {labels_name}")
        return Split(images, None if labels is None else labels.astype(np.int64))

    train = split(IDX_FILES[0], IDX_FILES[1], must=True)
    assert train is not None
    test = split(IDX_FILES[2], IDX_FILES[3], must=False)
    known = _KNOWN.get(digests.get(IDX_FILES[1], digests[IDX_FILES[0]]))
    highest = max((int(s.labels.max(initial=-1)) for s in (train, test) if s and s.labels is not None), default=-1)
    classes = known[3] if known else _label_names(folder, highest + 1)
    if highest >= len(classes):
        raise BadData(f"{folder}: a label {highest}, but only {len(classes)} names in labels.txt")
    if known is None:
        return Dataset(Path(os.path.abspath(folder)).name, train, test, classes, sha256=digests)
    name, source, licence, _ = known
    return Dataset(name, train, test, classes, source, licence, digests)


def _label_names(folder: Path, count: int) -> tuple[str, ...]:
    """One name a line in labels.txt; without it, the numbers."""
    path = folder / "labels.txt"
    if path.is_file():
        return tuple(path.read_text("utf-8").split("\n")[: max(count, 1)]) if count else ()
    return tuple(str(n) for n in range(count))


def _load_pictures(folder: Path) -> Dataset:
    """`train/LABEL/*` and `test/LABEL/*`, or `LABEL/*` alone, of which every tenth picture is then kept for the
    test."""
    halves = (folder / "train").is_dir()
    root = folder / "train" if halves else folder
    classes = tuple(sorted(d.name for d in root.iterdir() if d.is_dir() and not d.name.startswith(".")))
    if len(classes) < 2:
        raise BadData(
            f"{folder}: neither IDX files (train-images-idx3-ubyte.gz ...) nor two or more folders of pictures, one "
            "per label"
        )
    train, digest = _pictures(root, classes)
    if halves:
        test = _pictures(folder / "test", classes)[0] if (folder / "test").is_dir() else None
        return Dataset(Path(os.path.abspath(folder)).name, train, test, classes, sha256={"pictures": digest})
    kept = np.arange(len(train)) % 10 == 9
    assert train.labels is not None
    return Dataset(
        Path(os.path.abspath(folder)).name,
        Split(train.images[~kept], train.labels[~kept]),
        Split(train.images[kept], train.labels[kept]),
        classes,
        sha256={"pictures": digest},
    )


def _pictures(root: Path, classes: tuple[str, ...]) -> tuple[Split, str]:
    digest = hashlib.sha256()
    images, labels = [], []
    for index, label in enumerate(classes):
        for path in sorted((root / label).rglob("*")):
            if not path.is_file() or path.name.startswith(".") or path.suffix == ".atlc":
                continue  # records may lie beside the pictures they were made of
            try:
                image = picture.read(path)
            except AtlcError as error:
                raise BadData(f"{error} (in a data set every picture must be 28 x 28 grey)") from error
            digest.update(f"{label}/{path.name}\0".encode("utf-8", "surrogateescape") + image.tobytes())
            images.append(image)
            labels.append(index)
    if not images:
        raise BadData(f"{root}: no pictures in its folders")
    # Folders come sorted by label; a split "the last 5,000" must see every label, so the order is a fixed shuffle.
    order = np.random.default_rng(0).permutation(len(images))
    return Split(np.stack(images)[order], np.array(labels, np.int64)[order]), digest.hexdigest()


def download(name: str, *, into: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Path:
    """Fetch the four files of an official data set, check what they decompress to, and return their folder.

    `$ATLC_MIRROR` names another place to fetch from: `$ATLC_MIRROR/NAME/train-images-idx3-ubyte.gz` and so on."""
    official = OFFICIAL[name]
    if into is None:
        import platformdirs

        into = Path(platformdirs.user_cache_dir("atlcodec", appauthor=False))
    folder = into / name
    mirror = os.environ.get("ATLC_MIRROR")
    base = f"{mirror.rstrip('/')}/{name}/" if mirror else official.url
    for file, expected in zip(IDX_FILES, official.digests, strict=True):
        target = folder / f"{file}.gz"
        if target.is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        say(f"fetching {base}{file}.gz")
        part = target.with_suffix(".part")
        try:
            with urllib.request.urlopen(f"{base}{file}.gz", timeout=60) as answer:
                part.write_bytes(answer.read(LARGEST_IDX))
            with gzip.open(part) as opened:
                raw = opened.read(LARGEST_IDX)
        except (OSError, EOFError, urllib.error.URLError) as error:
            part.unlink(missing_ok=True)
            raise BadData(
                f"{base}{file}.gz: {error}; put the four files into {folder} by hand, or set ATLC_MIRROR"
            ) from error
        # SHA-256 has 64 hex digits; the one MD5 (KMNIST's training images) is all that their owners publish.
        digest = hashlib.sha256(raw) if len(expected) == 64 else hashlib.md5(raw, usedforsecurity=False)
        if digest.hexdigest() != expected:
            part.unlink()
            raise BadData(f"{base}{file}.gz: not the published file (digest {digest.hexdigest()}, expected {expected})")
        part.replace(target)
    return folder
