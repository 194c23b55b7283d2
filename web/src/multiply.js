// Products of bytes and weights: where nearly all of the time goes.
//
// A double holds whole numbers of 53 bits, and a sum of an exact network has 24 and a sign. So two weights are packed
// into one double, w + 2^26 w', and each multiplication and addition works for two outputs at once. The sums are taken
// apart again at the end.

import { take } from "./arrays.js";

const PART = 2 ** 26;
const ROUND = 1.5 * 2 ** 52; // added and taken away again, it leaves a whole number
const ROWS = 32; // that are computed together: they stay in the second cache, a panel of weights in the first

let panel = new Float64Array(0); // rows in fours: the first number of four rows, then the second, and so on
const sums = new Float64Array(8);

/** Weights ready for `multiply`: Float64Array, four outputs after the other, the last ones filled with zeros.
 *  `weight(output, term)` gives a whole number. */
export function pack(outputs, terms, weight) {
  const packed = new Float64Array(2 * terms * Math.ceil(outputs / 4));
  let at = 0;
  for (let output = 0; output < outputs; output += 4) {
    const get = (next, term) => (output + next < outputs ? weight(output + next, term) : 0);
    for (let term = 0; term < terms; term += 1) {
      packed[at] = get(0, term) + PART * get(1, term);
      packed[at + 1] = get(2, term) + PART * get(3, term);
      at += 2;
    }
  }
  return packed;
}

/** How the rows of a product lie in its operand. Row (group, y, x) begins at group * size + y * down + x * right, and
 *  its terms are at `table` from there. The results of a group lie output by output.
 *
 *  @typedef {{groups: number, height: number, width: number, size: number, down: number, right: number,
 *             table: Int32Array}} Layout */

/** Rows of whole numbers, bytes minus `zero`, times packed weights, each sum times `scales[output]` plus
 *  `biases[output]`: Float32Array. */
export function multiply(bytes, zero, layout, packed, scales, biases) {
  const { groups, height, width, table } = layout;
  const [outputs, terms, each] = [scales.length, table.length, height * width];
  const rows = groups * each;
  const result = take(Float32Array, rows * outputs);
  if (panel.length < ROWS * terms) panel = new Float64Array(ROWS * terms);
  for (let first = 0; first < rows; first += ROWS) {
    const count = Math.min(ROWS, rows - first);
    gather(bytes, zero, layout, first, count);
    for (let output = 0; output < outputs; output += 4) {
      for (let four = 0; four < count; four += 4) {
        fourRows(panel, four * terms, packed, (output / 2) * terms, terms);
        const end = Math.min(four + 4, count);
        for (let row = four; row < end; row += 1) {
          const index = first + row;
          const at = each === 1 ? index * outputs : Math.floor(index / each) * each * outputs + (index % each);
          separate(2 * (row - four), result, at, each, scales, biases, output);
        }
      }
    }
  }
  return result;
}

/** The sums of a row, of four outputs, as results. */
function separate(from, result, at, each, scales, biases, output) {
  const end = Math.min(output + 4, scales.length);
  for (let next = output; next < end; next += 1) {
    const both = sums[from + ((next - output) >> 1)];
    const high = both / PART + ROUND - ROUND;
    const sum = (next - output) & 1 ? high : both - high * PART;
    result[at + next * each] = sum * scales[next] + biases[next];
  }
}

/** Some rows of an operand into the panel. */
function gather(bytes, zero, { height, width, size, down, right, table }, first, count) {
  for (let row = 0; row < count; row += 1) {
    const line = Math.floor((first + row) / width);
    const x = (first + row) % width;
    const start = Math.floor(line / height) * size + (line % height) * down + x * right;
    let at = (row - (row % 4)) * table.length + (row % 4);
    for (let term = 0; term < table.length; term += 1) {
      panel[at] = bytes[start + table[term]] - zero;
      at += 4;
    }
  }
}

/** Four rows of the panel times four outputs: eight sums, each of two outputs. */
function fourRows(rows, at, packed, from, terms) {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let e = 0;
  let f = 0;
  let g = 0;
  let h = 0;
  for (const end = at + 4 * terms; at < end; at += 4, from += 2) {
    const left = packed[from];
    const right = packed[from + 1];
    const first = rows[at];
    const second = rows[at + 1];
    const third = rows[at + 2];
    const fourth = rows[at + 3];
    a += first * left;
    b += first * right;
    c += second * left;
    d += second * right;
    e += third * left;
    f += third * right;
    g += fourth * left;
    h += fourth * right;
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  sums[4] = e;
  sums[5] = f;
  sums[6] = g;
  sums[7] = h;
}
