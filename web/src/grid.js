// Images of any size: a description, and behind it the tiles. docs/format.md says how they are joined.

import { BadRecord } from "./errors.js";
import { crc32, hexadecimal } from "./hashes.js";
import { RECORD } from "./plan.js";

const [ID, MAGIC, VERSION] = [0x41544c01, 0x41544c43, 1];
const [BLENDED, FILTERED, SMOOTHED] = [1, 2, 3]; // how seams are treated; the last ones are blended, too
const LARGEST = 2 ** 26; // pixels
const [EDGE, SHARP, UNKNOWN] = [32, 64, 128];

/** What the description of a grid says, or null for another record. Throws `BadRecord` for one of a later version. */
export function describe(record) {
  if (record?.length !== RECORD || crc32(record) !== ID) return null;
  const view = new DataView(record.buffer, record.byteOffset, RECORD);
  const [channels, seams, height, width] = [record[5], record[6], view.getUint32(8), view.getUint32(12)];
  const [tile, overlap] = [[view.getUint16(20), view.getUint16(22)], view.getUint16(24)];
  const zeros = [record[7], ...record.subarray(26, 28), ...record.subarray(44, 196)].every((byte) => byte === 0);
  const kind = (overlap ? [BLENDED, SMOOTHED] : [0, FILTERED]).includes(seams);
  const sizes = height && width && tile.every((side) => side >= 8 && side <= 256 && overlap <= side / 2);
  if (view.getUint32(0) !== MAGIC || record[4] !== VERSION || !zeros || !kind || !sizes || ![1, 3].includes(channels)) {
    throw new BadRecord("a description that is damaged, or of a later version");
  }
  const [rows, columns] = [height, width].map((side, at) =>
    Math.max(1, Math.ceil((side - overlap) / (tile[at] - overlap))),
  );
  return { height, width, channels, id: hexadecimal(view.getUint32(16)), tile, overlap, seams, rows, columns };
}

/** The pixels of a grid: Uint8Array, rows from the top. `tiles` are all of them, as `decode` gives them, with anything
 *  where `there`, an array, says that a tile is missing: it gets the mean of its neighbours. */
export function join(described, tiles, there) {
  const { height, width, channels, tile, overlap, rows, columns } = described;
  if (!(height * width <= LARGEST)) throw new BadRecord(`${width} x ${height} pixels are more than ${LARGEST}`);
  const area = tile[0] * tile[1] * rows * columns;
  if (tiles.length !== area * channels && !(channels === 1 && tiles.length === 3 * area)) {
    throw new BadRecord("the tiles do not fit their description");
  }
  const own = tiles.length > area * channels ? grey(tiles) : tiles.slice();
  fill(described, own, there);
  const [tall, wide] = [rows * (tile[0] - overlap) + overlap, columns * (tile[1] - overlap) + overlap];
  const whole = overlap ? blended(described, own, tall, wide) : sideBySide(described, own, tall, wide);
  const made = new Uint8Array(height * width * channels);
  for (let row = 0; row < height; row += 1) {
    const from = row * wide * channels;
    made.set(whole.subarray(from, from + width * channels), row * width * channels);
  }
  if (described.seams === SMOOTHED) soften(described, made);
  return made;
}

/** Tiles of a codec in colour as those of a grey image. */
function grey(tiles) {
  const sum = (at) => tiles[3 * at] + tiles[3 * at + 1] + tiles[3 * at + 2];
  return Uint8Array.from({ length: tiles.length / 3 }, (_, at) => Math.floor((sum(at) + 1) / 3));
}

function fill({ rows, columns, tile, channels }, tiles, there) {
  const [length, pixels] = [tile[0] * tile[1] * channels, tile[0] * tile[1]];
  for (let number = 0; number < rows * columns; number += 1) {
    if (there[number]) continue;
    const [row, column] = [Math.floor(number / columns), number % columns];
    const near = [
      [row, column - 1],
      [row, column + 1],
      [row - 1, column],
      [row + 1, column],
    ]
      .filter(([y, x]) => y >= 0 && y < rows && x >= 0 && x < columns)
      .map(([y, x]) => y * columns + x)
      .filter((other) => there[other]);
    const totals = new Float64Array(channels);
    for (const other of near) {
      for (let at = 0; at < length; at += 1) totals[at % channels] += tiles[other * length + at];
    }
    const count = near.length * pixels;
    const colour = totals.map((total) => (count ? Math.floor((total + Math.floor(count / 2)) / count) : UNKNOWN));
    for (let at = 0; at < length; at += 1) tiles[number * length + at] = colour[at % channels];
  }
}

function sideBySide({ rows, columns, tile, channels, seams }, tiles, tall, wide) {
  const made = new Uint8Array(tall * wide * channels);
  const line = tile[1] * channels;
  for (let at = 0, from = 0; at < rows * columns; at += 1) {
    for (let row = 0; row < tile[0]; row += 1, from += line) {
      const top = Math.floor(at / columns) * tile[0] + row;
      made.set(tiles.subarray(from, from + line), top * wide * channels + (at % columns) * line);
    }
  }
  if (seams !== FILTERED) return made;
  for (let seam = line; seam < wide * channels; seam += line) {
    for (let at = seam; at < made.length; at += wide * channels) {
      for (let channel = 0; channel < channels; channel += 1) smooth(made, at - channels + channel, at + channel);
    }
  }
  for (let seam = tile[0]; seam < tall; seam += tile[0]) {
    const start = seam * wide * channels;
    for (let at = start; at < start + wide * channels; at += 1) smooth(made, at - wide * channels, at);
  }
  return made;
}

/** The pixels on both sides of a seam, half as far apart, unless there is an edge. */
function smooth(pixels, before, after) {
  const step = pixels[after] - pixels[before];
  if (Math.abs(step) >= EDGE) return;
  const move = Math.floor((step + 2) / 4);
  pixels[before] += move;
  pixels[after] -= move;
}

/** Each pixel is the sum of the tiles over it, weighted along both axes; the weights are whole numbers. */
function blended({ rows, columns, tile, overlap, channels }, tiles, tall, wide) {
  const sums = new Int32Array(tall * wide * channels);
  const weights = tile.map((side, axis) => {
    const last = [rows, columns][axis] - 1;
    return (index, at) => {
      if (at < overlap && index > 0) return 2 * at + 1;
      if (at >= side - overlap && index < last) return 2 * overlap - (2 * (at - side + overlap) + 1);
      return 2 * overlap;
    };
  });
  for (let number = 0, from = 0; number < rows * columns; number += 1) {
    const [down, across] = [Math.floor(number / columns), number % columns];
    for (let row = 0; row < tile[0]; row += 1) {
      const vertical = weights[0](down, row);
      let to = ((down * (tile[0] - overlap) + row) * wide + across * (tile[1] - overlap)) * channels;
      for (let column = 0; column < tile[1]; column += 1) {
        const weight = vertical * weights[1](across, column);
        for (let channel = 0; channel < channels; channel += 1) sums[to++] += weight * tiles[from++];
      }
    }
  }
  const [half, divisor] = [2 * overlap ** 2, 4 * overlap ** 2];
  return Uint8Array.from(sums, (sum) => Math.floor((sum + half) / divisor));
}

/** Smooths an image where its tiles overlap: along its rows, then, with the result, along its columns. */
function soften({ height, width, channels, tile, overlap, rows, columns }, made) {
  const line = width * channels;
  const starts = (count, stride) =>
    Array.from({ length: count * channels }, (_, at) => Math.floor(at / channels) * stride + (at % channels));
  pass(made, overlaps(columns, tile[1], overlap, width), channels, starts(height, line));
  pass(made, overlaps(rows, tile[0], overlap, height), line, starts(width, channels));
}

/** The columns, or the rows, where tiles overlap, and the one behind each overlap, if they have two neighbours. */
function overlaps(count, side, overlap, end) {
  const found = new Set();
  for (let tile = 1; tile < count; tile += 1) {
    for (let at = 0; at <= overlap; at += 1) found.add(tile * (side - overlap) + at);
  }
  return [...found].filter((at) => at < end - 1);
}

/** The values at these places of all lines become means with their neighbours, unless there is an edge. */
function pass(made, places, step, lines) {
  const before = made.slice();
  for (const place of places) {
    for (const start of lines) {
      const at = start + place * step;
      const [p, q, r] = [before[at - step], before[at], before[at + step]];
      if (Math.max(p, q, r) - Math.min(p, q, r) < SHARP) made[at] = (p + 2 * q + r + 2) >> 2;
    }
  }
}
