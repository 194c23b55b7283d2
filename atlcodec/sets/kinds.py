"""What a file is, from its first bytes: an image, a data set, or something that atlcodec does not read."""

from __future__ import annotations

import gzip
import os
import stat
import zlib

from atlcodec.sets import idx

HEAD = 4096  # bytes that are looked at
_GZIP = b"\x1f\x8b"
_SETS = (b"PK\x03\x04", b"\x93NUMPY", b"PAR1")
# What people have data sets in that are not read, and what to do.
_OTHERS = (
    (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    (b"\x89HDF\r\n",),
    (b"MATLAB 5.0 MAT-file",),
    (b"ustar",),
    (b"7z\xbc\xaf'\x1c", b"Rar!", b"BZh", b"\xfd7zXZ"),
)
_ADVICE = (
    "is a pickle of Python, which is not safe to read; save its arrays with numpy.savez",
    "is an HDF5 file; save its arrays with numpy.savez",
    "is a MATLAB file; save its arrays with numpy.savez (scipy.io.loadmat reads them)",
    "is a tar archive; unpack it, and name the folder",
    "is an archive; unpack it, and name the folder",
)


def head(path: str | os.PathLike[str]) -> bytes:
    """The first bytes of a file, decompressed if it is compressed with gzip; b"" for a pipe, a device, or what cannot
    be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            raw = file.read(HEAD)
        if raw[:2] == _GZIP:
            with gzip.open(path) as file:
                raw = file.read(HEAD)
    except (OSError, EOFError, zlib.error, ValueError):
        return b""
    return raw


def is_set(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a data set, or looks like one that cannot be read, and so is no image."""
    raw = head(path)
    return bool(raw) and (raw.startswith(_SETS) or idx.is_idx(raw) or bool(_advice(raw)) or is_table(raw))


def is_table(raw: bytes) -> bool:
    """Whether a file that begins like this can be a table in text: a first line of several columns."""
    line = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    if line[:2] in (b"P1", b"P2", b"P3") or b"\0" in line or max(map(line.count, (b",", b";", b"\t"))) < 2:
        return False
    try:
        line.rstrip(b"\r").decode("utf-8", "strict" if b"\n" in raw else "ignore")
    except UnicodeDecodeError:
        return False
    return True


def why_no_set(path: str | os.PathLike[str]) -> str:
    """Why a file is no data set, and what to do."""
    raw = head(path)
    return _advice(raw) or (
        "is no data set: none of IDX, .npz, .npy, a CSV of pixels, Parquet; a folder may hold image files, too"
    )


def _advice(raw: bytes) -> str:
    for starts, advice in zip(_OTHERS, _ADVICE, strict=True):
        if raw.startswith(starts) or (b"ustar" in starts and raw[257:262] == b"ustar"):
            return advice
    return ""
