// Latents to a sealed record: 400 symbols whose CRC-32 is the id of the codec. The rules are those of docs/format.md.

import { BadRecord } from "./errors.js";
import { crc32 } from "./hashes.js";
import { RECORD } from "./plan.js";

const [SYMBOLS, NEVER] = [400, 1e30]; // the cost of a move that changes the image much

/** The record of a compressor's latents, Float32Array. `widths` are [bits, how many] in their order; the last `labels`
 *  of them serve the classifier, and stay as they are. `id` is the codec's, a whole number. */
export function sealed(latents, widths, labels, id) {
  const bits = widths.flatMap(([width, count]) => Array(count).fill(width));
  if (bits.length !== latents.length) throw new BadRecord(`${latents.length} latents, not ${bits.length}`);
  const levels = latents.map((latent, at) => Math.max(0, Math.min(2 ** bits[at] - 1, rint(latent))));
  const symbols = packed(levels, bits);
  const uniform = widths.length === 1 && widths[0][0] === 4;
  const moves = uniform ? steps(latents, levels) : flips(latents, levels, bits, labels);
  const order = moves.map((_, at) => at).sort((one, two) => before(moves[one].cost, moves[two].cost) || one - two);
  return closed(symbols, moves, order, id);
}

/** The order of costs: that of their bits, in which -0 is less than 0. */
function before(one, two) {
  return one - two || Object.is(two, -0) - Object.is(one, -0);
}

/** Half to even. */
function rint(number) {
  const floor = Math.floor(number);
  return number - floor === 0.5 ? floor + (floor % 2) : Math.round(number);
}

/** The symbols of latents, the highest bit of each first. */
function packed(levels, bits) {
  const symbols = new Uint8Array(SYMBOLS);
  let place = 0;
  levels.forEach((level, at) => {
    for (let bit = bits[at] - 1; bit >= 0; bit -= 1, place += 1) {
      if ((level >> bit) & 1) symbols[place >> 2] |= 8 >> (place & 3);
    }
  });
  return symbols;
}

/** For latents that are the symbols: one step towards the latent, or inwards at the ends. */
function steps(latents, levels) {
  return Array.from(levels, (level, at) => {
    const above = Math.fround(Math.max(0, Math.min(15, latents[at])) - level);
    const other = level + (above < 0 ? -1 : level === 15 ? -1 : 1);
    return { change: level ^ other, cost: Math.fround(1 - 2 * Math.abs(above)) };
  });
}

/** For latents of other widths: the lowest bit of one of those in a symbol, the cheapest. */
function flips(latents, levels, bits, labels) {
  const moves = Array.from({ length: SYMBOLS }, () => ({ change: 1, cost: NEVER }));
  let end = 0;
  const first = new Set();
  bits.forEach((width, at) => {
    end += width;
    if (at >= bits.length - labels) return;
    const [symbol, mask] = [(end - 1) >> 2, 8 >> ((end - 1) & 3)];
    const gradient = Math.fround(2 * Math.fround(levels[at] - latents[at]));
    const cost = gradient * (levels[at] & 1 ? -1 : 1);
    if (first.has(symbol) && cost >= moves[symbol].cost) return;
    first.add(symbol);
    moves[symbol] = { change: mask, cost };
  });
  return moves;
}

let syndromes = null; // how a changed symbol changes the CRC-32, by its place and the change

function syndrome(place, change) {
  if (!syndromes) {
    const record = new Uint8Array(RECORD);
    const zero = crc32(record);
    syndromes = Array.from({ length: SYMBOLS }, (_, at) => {
      const single = [1, 2, 4, 8].map((bit) => {
        record[at >> 1] = at & 1 ? bit : bit << 4;
        const found = (crc32(record) ^ zero) >>> 0;
        record[at >> 1] = 0;
        return found;
      });
      return single;
    });
  }
  return syndromes[place].reduce((sum, one, bit) => ((change >> bit) & 1 ? sum ^ one : sum), 0) >>> 0;
}

/** Moves in their order until 32 are independent; the combination of them that gives the id. */
function closed(symbols, moves, order, id) {
  const [basis, chosen] = [new Map(), []]; // by their highest bit: a vector, and which of the chosen add up to it
  const reduced = (vector, parts) => {
    while (vector) {
      const found = basis.get(Math.clz32(vector));
      if (!found) break;
      [vector, parts] = [(vector ^ found.vector) >>> 0, (parts ^ found.parts) >>> 0];
    }
    return { vector, parts };
  };
  for (const place of order) {
    if (chosen.length === 32) break;
    const found = reduced(syndrome(place, moves[place].change), 0);
    if (!found.vector) continue;
    basis.set(Math.clz32(found.vector), { vector: found.vector, parts: (found.parts ^ (1 << chosen.length)) >>> 0 });
    chosen.push(place);
  }
  const { vector, parts } = reduced((crc32(bytesOf(symbols)) ^ id) >>> 0, 0);
  if (vector) throw new BadRecord("the moves do not reach the id");
  chosen.forEach((place, at) => ((parts >>> at) & 1 ? (symbols[place] ^= moves[place].change) : null));
  return bytesOf(symbols);
}

function bytesOf(symbols) {
  return Uint8Array.from({ length: RECORD }, (_, at) => (symbols[2 * at] << 4) | symbols[2 * at + 1]);
}
