"""The arrays in files of NumPy, read in bounded memory: one in a `.npy` file, several in a `.npz` file, which is a ZIP.

    \\x93NUMPY  version  length  {'descr': '|u1', 'fortran_order': False, 'shape': (60000, 32, 32)}  values

Python objects are never read: their pickles can run any program."""

from __future__ import annotations

import dataclasses
import io
import lzma
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from atlcodec.errors import BadData

LARGEST = 1 << 30  # bytes of an array that is read whole
MOST = 1000  # arrays in one file
_ZIP = b"PK\x03\x04"
_NO_HEADER = "has no valid header of NumPy; fetch it again, or save it with np.save or np.savez"
_HEADER = 1 << 14  # bytes: NumPy takes headers of up to 10,000
_PIECE = 1 << 20  # bytes that are decompressed at a time
# What zipfile raises for a damaged, an encrypted or a strange file.
_BROKEN = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, KeyError, struct.error)
_STRANGE = (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError, OverflowError)


@dataclass(frozen=True)
class Array:
    """An array whose header was read, and found to promise as many bytes as there are."""

    path: Path
    member: str  # of a `.npz` file, with .npy; "" for a `.npy` file
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int  # of the values, in the file or the member

    @property
    def name(self) -> str:
        """As users know it: "x_train" in a `.npz` file, else the name of the file."""
        return _printable(self.member) or self.path.name

    def wrong(self, what: str) -> BadData:
        """An error about this array: "is cut off"."""
        return BadData(f"{self.path}: {f'{self.name[:100]} ' if self.member else ''}{what}")

    def rows(self, size: int, start: int = 0) -> Iterator[NDArray[Any]]:
        """The parts along the first axis from number `start` on, up to `size` at a time. Raises `BadData` if it is cut
        off, too long or damaged."""
        if self.fortran and len(self.shape) > 1:
            columns = self._columns()
            for first in range(start, self.shape[0], size):
                yield np.ascontiguousarray(columns[first : first + size])
            return
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        with self._opened() as file:
            file.seek(self.start + start * row)
            for first in range(start, self.shape[0], size):
                count = min(size, self.shape[0] - first)
                yield np.frombuffer(self._filled(file, count * row), self.dtype).reshape(count, *self.shape[1:])
            if file.read(1):  # this also checks the checksum of a member
                raise self.wrong("is too long: it has more values than its header says; save it again")

    def whole(self) -> NDArray[Any]:
        """All of it: only for arrays that are known to be small. Raises `BadData`."""
        if not math.prod(self.shape):
            return np.empty(self.shape, self.dtype)
        (one,) = dataclasses.replace(self, shape=(1, *self.shape)).rows(1)
        values: NDArray[Any] = one[0]
        return values

    def _columns(self) -> NDArray[Any]:
        """An array in the order of Fortran, whose parts along the first axis are spread over all of the file."""
        if not self.member:
            try:
                return np.memmap(self.path, self.dtype, "r", self.start, self.shape, "F")
            except (OSError, ValueError) as error:
                raise self.wrong(f"cannot be read ({error}); fetch it again") from error
        size = math.prod(self.shape) * self.dtype.itemsize
        if size > LARGEST:
            raise self.wrong(
                f"is in the order of Fortran and has {size} bytes, more than {LARGEST}; save it with "
                "np.ascontiguousarray, or as a .npy file"
            )
        with self._opened() as file:
            file.seek(self.start)
            values = np.frombuffer(self._filled(file, size), self.dtype)
            file.read(1)
        return values.reshape(self.shape[::-1]).transpose()

    def _filled(self, file: IO[bytes], size: int) -> bytearray:
        raw = bytearray(size)
        for start in range(0, size, _PIECE):
            piece = file.read(min(_PIECE, size - start))
            raw[start : start + len(piece)] = piece
            if len(piece) < min(_PIECE, size - start):
                raise self.wrong("is cut off: it has fewer values than its header says; fetch it again")
        return raw

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            if not self.member:
                with self.path.open("rb") as file:
                    yield file
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as member:
                    yield member
        except _BROKEN as error:
            raise self.wrong(f"cannot be read ({_said(error)}); fetch it again") from error


def holds(path: Path) -> bool:
    """Whether a file has arrays of NumPy, told by what is in it: its header, or a ZIP whose members are for the most
    part `.npy` files. A ZIP that is cut off counts if its first member is one."""
    try:
        with path.open("rb") as file:
            begin = file.read(1 << 10)
    except OSError:
        return False
    if begin.startswith(npy.MAGIC_PREFIX):
        return True
    if not begin.startswith(_ZIP):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (*_BROKEN, ValueError):
        length = int.from_bytes(begin[26:][:2], "little")  # of the name of its first member
        return begin[30 : 30 + length].endswith(b".npy")
    count = sum(name.endswith(".npy") for name in names)
    return 0 < len(names) <= 2 * count


def read(path: Path) -> list[Array]:
    """The arrays of a file, in its order. Raises `BadData`."""
    try:
        with path.open("rb") as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                file.seek(0)
                return [_array(path, "", file, os.fstat(file.fileno()).st_size)]
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist() if info.filename.endswith(".npy")}
            if len(members) > MOST:
                raise BadData(f"{path}: has {len(members)} arrays; save all images in one, with np.stack")
            found = []
            for name, info in members.items():
                with archive.open(info) as member:
                    found.append(_array(path, name, member, info.file_size))
            return found
    except BadData:
        raise
    except (*_BROKEN, ValueError) as error:
        raise BadData(f"{path}: cannot be read ({_said(error)}); it is cut off or damaged: fetch it again") from error


def _array(path: Path, member: str, file: IO[bytes], size: int) -> Array:
    """An array by its header, and by the bytes of the header and the values."""
    begin = io.BytesIO(file.read(_HEADER))  # a header that promises more bytes is not read
    about = f"{path}: {_printable(member)[:100]} " if member else f"{path}: "
    try:
        version = npy.read_magic(begin)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 2 wrote numbers as 28L: NumPy warns that this is slow
            # Version 3 has other names of columns only, and tables are not read.
            header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = header(begin)
    except _STRANGE as error:
        raise BadData(f"{about}{_NO_HEADER}") from error
    array = Array(path, member, tuple(map(int, shape)), dtype, fortran, begin.tell())
    if any(side < 0 for side in array.shape) or (not dtype.itemsize and not dtype.hasobject):
        raise BadData(f"{about}{_NO_HEADER}")
    promised = math.prod(array.shape) * dtype.itemsize
    if not dtype.hasobject and promised != size - array.start:
        what = "cut off" if promised > size - array.start else "too long"
        raise array.wrong(
            f"is {what}: its header says {promised} bytes of values, it has {size - array.start}; fetch it again"
        )
    return array


def _said(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _printable(member: str) -> str:
    """The name of an array, in one line: a ZIP may have any characters in it."""
    return "".join(c if c.isprintable() else "?" for c in member.removesuffix(".npy"))
