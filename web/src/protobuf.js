// The wire format of protobuf, in which ONNX files are written: a message is a row of fields, each a number and an
// integer or bytes.

const FIELDS = 100_000; // of a whole file: a network of a thousand layers has a tenth of that
const DECODER = new TextDecoder("utf-8", { fatal: true });

/** What is not protobuf. */
export class NotProtobuf extends Error {}

/** Reads the messages of one file, and counts their fields: a file of small fields takes far more memory than bytes. */
export class Fields {
  #left = FIELDS;

  /** The fields of a message, Uint8Array, as [number, value]; a value is a number or a Uint8Array. */
  *of(message) {
    let at = 0;
    while (at < message.length) {
      this.#count();
      let tag, value, size;
      [tag, at] = varint(message, at);
      const [number, wire] = [Math.floor(tag / 8), tag % 8];
      // Other readers would drop the high bits of a tag, and see another field.
      if (tag < 8 || tag >= 2 ** 32 || ![0, 1, 2, 5].includes(wire)) throw new NotProtobuf();
      if (wire === 0) {
        [value, at] = varint(message, at);
        yield [number, value];
        continue;
      }
      if (wire === 2) [size, at] = varint(message, at);
      else size = wire === 1 ? 8 : 4;
      if (!(size >= 0 && size <= message.length - at)) throw new NotProtobuf();
      yield [number, message.subarray(at, at + size)];
      at += size;
    }
  }

  /** A field of a list of integers: one of them, or many packed together. */
  list(value) {
    if (typeof value === "number") return [value];
    const integers = [];
    let at = 0;
    while (at < value.length) {
      this.#count();
      let integer;
      [integer, at] = varint(value, at);
      integers.push(integer);
    }
    return integers;
  }

  #count() {
    this.#left -= 1;
    if (this.#left < 0) throw new NotProtobuf();
  }
}

/** The signed integer that begins at a byte, and where the next value begins. Beyond 2^53 it is not precise. */
export function varint(message, at) {
  let value = 0n;
  let small = 0;
  for (let place = 0; place < 10; place += 1) {
    const byte = message[at + place];
    if (byte === undefined) break;
    if (place < 7) small += (byte & 127) * 2 ** (7 * place);
    else value |= BigInt(byte & 127) << BigInt(7 * place);
    if (byte > 127) continue;
    if (place < 7) return [small, at + place + 1];
    value |= BigInt(small);
    if (value >> 64n) break;
    return [Number(BigInt.asIntN(64, value)), at + place + 1];
  }
  throw new NotProtobuf();
}

/** The value of a field that must hold bytes. */
export function content(value) {
  if (typeof value === "number") throw new NotProtobuf();
  return value;
}

/** The value of a field that must hold text. */
export function text(value) {
  try {
    return DECODER.decode(content(value));
  } catch {
    throw new NotProtobuf();
  }
}
