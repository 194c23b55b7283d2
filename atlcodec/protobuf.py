"""The wire format of protobuf, in which ONNX files are written: a message is a row of fields, each a number and an
integer or bytes. All raise `ValueError` or `IndexError` for what is not protobuf."""

from __future__ import annotations

from collections.abc import Iterator

Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Value, memoryview]]:
    """Each field's number, its value, and all bytes of the field."""
    at = 0
    while at < len(message):
        start = at
        tag, at = varint(message, at)
        if tag >> 32 or not tag >> 3:  # other readers would drop the high bits and see another field
            raise ValueError("not protobuf")
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(message, at)
            yield number, value, message[start:at]
            continue
        if wire == 2:
            size, at = varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError("not protobuf")
        if at + size > len(message):
            raise ValueError("not protobuf")
        yield number, message[at : at + size], message[start : at + size]
        at += size


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """The integer that begins at a byte, in 0..2^64 - 1, and where the next value begins."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 63:
            raise ValueError("not protobuf")
    if value >> 64:
        raise ValueError("not protobuf")
    return value, at


def field(number: int, value: bytes) -> bytes:
    """A field of bytes."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def content(value: Value) -> memoryview:
    """The value of a field that must hold bytes."""
    if isinstance(value, int):
        raise ValueError("not protobuf")
    return value


def as_text(value: Value) -> str:
    """The value of a field that must hold text."""
    return bytes(content(value)).decode()


def as_integers(value: Value) -> list[int]:
    """A field of a list of signed integers: one of them, or many packed together."""
    if isinstance(value, int):
        return [signed(value)]
    found, at = [], 0
    while at < len(value):
        integer, at = varint(value, at)
        found.append(signed(integer))
    return found


def signed(value: int) -> int:
    """An integer of 64 bits in two's complement."""
    return value - (1 << 64) if value >> 63 else value
