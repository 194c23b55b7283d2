"""What a file is, from its first bytes: an image, a data set, or something that atlcodec does not read."""

from __future__ import annotations

import gzip
import os
import stat
import zlib

from atlcodec.sets.formats import idx

HEAD = 4096  # bytes that are looked at
_GZIP = b"\x1f\x8b"
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_SETS = (b"PK\x03\x04", b"\x93NUMPY", b"PAR1")
# What people have data sets in that are not read, and what to do.
_OTHERS = (
    (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    (b"\x89HDF\r\n",),
    (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"),
    (b"ustar",),
    (b"7z\xbc\xaf'\x1c", b"Rar!", b"BZh", b"\xfd7zXZ"),
    (b"ARROW1", b"FEA1"),
    (b"SQLite format 3",),
    (b"PK\x03\x04",),
)
_ADVICE = (
    "is a pickle of Python, which is not safe to read; save its arrays with numpy.savez",
    "is an HDF5 file; save its arrays with numpy.savez",
    "is a MATLAB file; save its arrays with numpy.savez (scipy.io.loadmat reads them)",
    "is a tar archive; unpack it, and name the folder",
    "is an archive; unpack it, and name the folder",
    "is an Arrow file; write it as Parquet (pyarrow.parquet.write_table)",
    "is a database of SQLite; save its images as files, or with numpy.savez",
    "is a ZIP archive without arrays of NumPy; unpack it, and name the folder",
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
    """Whether a file is a data set, or looks like one that cannot be read: not an image."""
    raw = head(path)
    return bool(raw) and (raw.startswith(_SETS) or idx.is_idx(raw) or bool(_advice(raw)) or is_table(raw))


def is_table(raw: bytes, fewest: int = 2) -> bool:
    """Whether a file that begins like this can be a table in text: a first line with so many marks between columns."""
    line = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    if line[:2] in (b"P1", b"P2", b"P3") or b"\0" in line or max(map(line.count, (b",", b";", b"\t"))) < fewest:
        return False
    try:
        line.rstrip(b"\r").decode("utf-8", "strict" if b"\n" in raw else "ignore")
    except UnicodeDecodeError:
        return False
    return True


def why_no_set(path: str | os.PathLike[str]) -> str:
    """Why a file is not a data set, and what to do."""
    return advice(path) or (
        "is not a data set: not IDX, .npz, .npy, a CSV of pixels or Parquet; a folder may hold image files, too"
    )


def advice(path: str | os.PathLike[str]) -> str:
    """What a file is that is not read, and what to do; "" for one of an unknown kind."""
    raw, name = head(path), os.path.basename(path).lower()
    if not raw:
        return "is empty; get another copy" if os.path.isfile(path) and not os.path.getsize(path) else ""
    if raw.startswith(_IMAGES) or raw[4:8] == b"ftyp" or (raw[:4] == b"RIFF" and raw[8:12] == b"WEBP"):
        ending = "" if os.path.splitext(name)[1] else ", though its name has no ending such as .png"
        return f"is one image{ending}; a data set is a folder of image files with such endings"
    if raw.startswith(b"PK") and (name.endswith((".pt", ".pth")) or b"data.pkl" in raw):
        return "is a file of PyTorch, which is not safe to read; save its arrays with numpy.savez"
    if name.endswith(".atlc"):
        return "holds records already; `atlc decode` makes images of them"
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16 text; save it as UTF-8"
    if raw.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not data; download it again"
    if b"\r" in raw and b"\n" not in raw and b"," in raw and b"\0" not in raw:
        return "has the line ends of old Macs; save it with those of Windows or Unix"
    return _advice(raw)


def _advice(raw: bytes) -> str:
    for starts, advice in zip(_OTHERS, _ADVICE, strict=True):
        if raw.startswith(starts) or (b"ustar" in starts and raw[257:262] == b"ustar"):
            return advice
    return ""
