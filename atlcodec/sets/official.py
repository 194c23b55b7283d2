"""The official data sets: where they are, their licences, and the digests by which their files are known. Download
them."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlcodec.errors import BadData
from atlcodec.sets.formats import idx

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


@dataclass(frozen=True)
class Official:
    """A published data set: where it is, under which licence, and the digests of its four *decompressed* IDX files."""

    url: str
    source: str
    licence: str
    labels: tuple[str, ...]
    digests: tuple[str, str, str, str]  # SHA-256, in the order of idx.FILES


@dataclass(frozen=True)
class Known:
    """What is known of a data set with certain training files."""

    name: str
    source: str
    licence: str
    labels: tuple[str, ...]  # the names of the labels 0, 1, ...


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
            "7112ba9ec422d98de4885262d4a4dff14cc4fefb81c11ace8bf563a8255df5c3",
            "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
            "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
            "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
        ),
    ),
}


def known(digests: Mapping[str, str]) -> Known | None:
    """The data set whose labels have these SHA-256, by the names of `idx.FILES`; others do not count."""
    for name, official in OFFICIAL.items():
        own = dict(zip(idx.FILES, official.digests, strict=True))
        labels = [file for file in idx.FILES[1::2] if file in digests]
        if labels and all(digests[file] == own[file] for file in labels):
            return Known(name, official.source, official.licence, official.labels)
    return None


def label_names(digest: str) -> tuple[str, ...]:
    """What the labels in an official file stand for, by the SHA-256 of the file; () if it is not an official one."""
    return next((official.labels for official in OFFICIAL.values() if digest in official.digests), ())


def download(name: str, *, into: Path | None = None, log: Callable[[str], None] = lambda _: None) -> Path:
    """Fetch the four files of an official data set, check what they decompress to, and return their folder.

    `$ATLC_MIRROR` names another place to fetch from: `$ATLC_MIRROR/NAME/train-images-idx3-ubyte.gz` and so on. Raises
    `BadData`."""
    official = OFFICIAL[name]
    if into is None:
        import platformdirs

        into = Path(platformdirs.user_cache_dir("atlcodec", appauthor=False))
    folder = into / name
    mirror = os.environ.get("ATLC_MIRROR")
    base = f"{mirror.rstrip('/')}/{name}/" if mirror else official.url
    for file, digest in zip(idx.FILES, official.digests, strict=True):
        target = folder / f"{file}.gz"
        if not (exists := target.is_file()) or not _is_whole(target, digest):
            folder.mkdir(parents=True, exist_ok=True)
            log(f"{target}: is damaged; fetching {base}{file}.gz again" if exists else f"fetching {base}{file}.gz")
            _fetch(f"{base}{file}.gz", digest, target)
    return folder


def _is_whole(file: Path, digest: str) -> bool:
    """Whether a file that was fetched before is still what it was: a disk may have been full, or lost some of it."""
    found = hashlib.sha256()
    try:
        with gzip.open(file) as opened:
            while part := opened.read(1 << 20):
                found.update(part)
    except (OSError, EOFError, zlib.error):
        return False
    return found.hexdigest() == digest


def _fetch(url: str, expected: str, target: Path) -> None:
    import urllib.request  # slow to import, and rarely needed

    part = target.with_suffix(".part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            part.write_bytes(answer.read(idx.LARGEST))
        with gzip.open(part) as opened:
            raw = opened.read(idx.LARGEST)
    except (OSError, EOFError) as error:
        part.unlink(missing_ok=True)
        raise BadData(
            f"{url}: cannot download ({error}); copy the four .gz files into {target.parent}, or set ATLC_MIRROR to "
            "the URL of a copy"
        ) from error
    digest = hashlib.sha256(raw).hexdigest()
    if digest != expected:
        part.unlink()
        raise BadData(f"{url}: not the published file (SHA-256 {digest}, expected {expected})")
    part.replace(target)
