// How far records are from each other: the Euclidean distance of their latents, as similarity search computes it.
//
// The squared distance is a sum over the latents. A table for each byte has what its latents add, by the value of the
// byte; latents of 3 and 6 bits fill 12 bits together, so that three bytes have two tables.

import { BadRecord } from "./errors.js";
import { RECORD } from "./plan.js";

const SYMBOLS = [[4, 400]]; // what a codec has whose card says nothing of its latents
const HALF = 4096; // values of 12 bits

/** The distance of each record from one of the same codec: Float32Array. `latents` is that of the codec's card. */
export function distances(records, query, latents = SYMBOLS) {
  if (query?.length !== RECORD) throw new BadRecord(`a record has ${RECORD} bytes, not ${query?.length}`);
  if (records.length % RECORD) throw new BadRecord(`${records.length} is not a multiple of ${RECORD} bytes`);
  const { single, triple, other } = tables(query, latents);
  const found = new Float32Array(records.length / RECORD);
  for (let record = 0; record < found.length; record += 1) {
    const start = record * RECORD;
    let sum = 0;
    for (let at = 0; at < single.places.length; at += 1) {
      sum += single.table[(at << 8) | records[start + single.places[at]]];
    }
    for (let at = 0; at < triple.places.length; at += 1) {
      const place = start + triple.places[at];
      const middle = records[place + 1];
      sum += triple.table[(at << 13) | (records[place] << 4) | (middle >> 4)];
      sum += triple.table[(at << 13) | HALF | ((middle & 15) << 8) | records[place + 2]];
    }
    for (const { bit, bits, wanted } of other) sum += (level(records, 8 * start + bit, bits) - wanted) ** 2;
    found[record] = Math.sqrt(sum);
  }
  return found;
}

/** What the latents of a record add to the squared distance. `latents` are [bits, how many], in their order. */
function tables(query, latents) {
  const [single, triple, other] = [[], [], []]; // bytes, with the widths of their latents; threes of bytes; latents
  let start = 0;
  for (const [bits, count] of latents) {
    const bytes = (bits * count) / 8;
    if (!Number.isInteger(bytes) || bits < 1 || bits > 8) throw new BadRecord("latents of a width that no codec has");
    const places = (step) => Array.from({ length: bytes / step }, (_, at) => ({ place: start + at * step, bits }));
    if (8 % bits === 0) single.push(...places(1));
    else if (12 % bits === 0 && bytes % 3 === 0) triple.push(...places(3));
    else for (let at = 0; at < count; at += 1) other.push({ bit: 8 * start + at * bits, bits });
    start += bytes;
  }
  if (start !== RECORD) throw new BadRecord(`latents must fill ${RECORD} bytes`);
  return {
    single: { places: column(single), table: joined(single.map(({ place, bits }) => table(8, bits, query[place]))) },
    triple: {
      places: column(triple),
      table: joined(
        triple.flatMap(({ place, bits }) => [
          table(12, bits, (query[place] << 4) | (query[place + 1] >> 4)),
          table(12, bits, ((query[place + 1] & 15) << 8) | query[place + 2]),
        ]),
      ),
    },
    other: other.map(({ bit, bits }) => ({ bit, bits, wanted: level(query, bit, bits) })),
  };
}

const column = (list) => Int32Array.from(list, ({ place }) => place);

function joined(parts) {
  const whole = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

/** The squared distance of the latents in a word of `size` bits from those in another, for each value of the word. */
function table(size, bits, wanted) {
  const [mask, sums] = [2 ** bits - 1, new Int32Array(2 ** size)];
  for (let shift = 0; shift < size; shift += bits) {
    const level_ = (wanted >> shift) & mask;
    for (let word = 0; word < sums.length; word += 1) sums[word] += (((word >> shift) & mask) - level_) ** 2;
  }
  return sums;
}

/** The latent that begins at a bit. */
function level(records, bit, bits) {
  const byte = bit >> 3;
  return (((records[byte] << 8) | (records[byte + 1] ?? 0)) >> (16 - (bit & 7) - bits)) & (2 ** bits - 1);
}
