// How far records are from each other: the Euclidean distance of their latents, as similarity search computes it.

import { BadRecord } from "./errors.js";
import { RECORD } from "./plan.js";

const SYMBOLS = [[4, 400]]; // what a codec has whose card says nothing of its latents

/** Where each latent lies: the first of two bytes, how far their word must be moved to the right, and what is left of
 *  it. `latents` are the widths of a card: [bits, how many], in their order. */
function places(latents) {
  const [bytes, shifts, masks] = [[], [], []];
  let start = 0;
  for (const [bits, count] of latents) {
    for (let latent = 0; latent < count; latent += 1, start += bits) {
      const byte = Math.min(Math.floor(start / 8), RECORD - 2);
      bytes.push(byte);
      shifts.push(16 - (start - 8 * byte) - bits);
      masks.push(2 ** bits - 1);
    }
  }
  if (start !== 8 * RECORD || Math.max(...masks) > 255) throw new BadRecord(`latents must fill ${RECORD} bytes`);
  return [bytes, shifts, masks].map((list) => Int32Array.from(list));
}

/** The distance of each record from one of the same codec: Float32Array. `latents` is that of the codec's card. */
export function distances(records, query, latents = SYMBOLS) {
  if (query?.length !== RECORD) throw new BadRecord(`a record has ${RECORD} bytes, not ${query?.length}`);
  if (records.length % RECORD) throw new BadRecord(`${records.length} is not a multiple of ${RECORD} bytes`);
  const [bytes, shifts, masks] = places(latents);
  const wanted = bytes.map((byte, at) => (((query[byte] << 8) | query[byte + 1]) >> shifts[at]) & masks[at]);
  const found = new Float32Array(records.length / RECORD);
  for (let record = 0; record < found.length; record += 1) {
    const start = record * RECORD;
    let sum = 0;
    for (let at = 0; at < wanted.length; at += 1) {
      const byte = start + bytes[at];
      const step = ((((records[byte] << 8) | records[byte + 1]) >> shifts[at]) & masks[at]) - wanted[at];
      sum += step * step;
    }
    found[record] = Math.sqrt(sum);
  }
  return found;
}
