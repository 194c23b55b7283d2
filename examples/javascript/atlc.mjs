// Reads .atlc files in JavaScript. docs/format.md describes the format; the models are the ONNX files in models/.
//
//   npm ci --ignore-scripts                 once, in this folder; a package script would download CUDA
//   node atlc.mjs FILE [MODELS] [OUT.pgm]   prints the label of every record; OUT.pgm gets the images, one below the other:
//                                           grey ones of one size; in colour they are a PPM file
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";

process.env.ORT_DISABLE_TELEMETRY ??= "1"; // ONNX Runtime reads it when it is loaded: hence no static import
const { default: ort } = await import("onnxruntime-node");

const RECORD = 200; // bytes: 400 symbols of four bits, which the networks unpack themselves
const json = (...path) => JSON.parse(readFileSync(join(...path), "utf8"));
const network = (...path) => ort.InferenceSession.create(join(...path), { intraOpNumThreads: 1 });

/** The models in a folder, by id. */
export function models(folder) {
  const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => existsSync(join(folder, entry.name, "card.json")));
  return new Map(folders.map(({ name }) => [parseInt(json(folder, name, "card.json").id, 16), { folder: join(folder, name) }]));
}

async function load(model) {
  const head = join(model.folder, "heads", json(model.folder, "card.json").default_head);
  model.decompressor = await network(model.folder, "decompressor.onnx");
  model.classifier = await network(head, "classifier.onnx");
  const { labels, scale = 1 } = json(head, "card.json");
  Object.assign(model, { labels, scale });
}

/** One record, Uint8Array(200), to its label and pixels: Uint8Array, rows from the top, 0 black and 255 white. Their shape
 *  is [rows, columns], or [rows, columns, 3] for red, green and blue. */
export async function read(record, installed) {
  const id = crc32(record); // the seal: the CRC-32 of a whole record is the id of the model that wrote it
  const model = installed.get(id);
  if (!model) throw new Error(`damaged, or its model is not installed (id ${id.toString(16).padStart(8, "0")})`);
  if (!model.labels) await load(model);
  const records = new ort.Tensor("uint8", record, [1, RECORD]);
  const logits = (await model.classifier.run({ records })).logits.data; // straight from the record, without decoding it
  const best = logits.indexOf(Math.max(...logits));
  const probability = 1 / logits.reduce((sum, logit) => sum + Math.exp((logit - logits[best]) * model.scale), 0);
  const { images } = await model.decompressor.run({ records });
  return { label: model.labels[best], probability, pixels: images.data, shape: images.dims.slice(1) };
}

const DESCRIPTION = 0x41544c01; // the CRC-32 of a record that makes those behind it the tiles of one image, a grid
const MISSING = 16; // times as many tiles as there are: a description that promises more is not believed

/** The fields of a description; undefined for other records. Throws for one of a later version. */
export function describe(record) {
  if (record.length !== RECORD || crc32(record) !== DESCRIPTION) return undefined;
  const bytes = new DataView(record.buffer, record.byteOffset, RECORD);
  const [channels, seams, rows, columns] = [bytes.getUint8(5), bytes.getUint8(6), bytes.getUint32(8), bytes.getUint32(12)];
  const [tile, overlap] = [[bytes.getUint16(20), bytes.getUint16(22)], bytes.getUint16(24)];
  const zero = ![7, 26, 27].some((at) => record[at]) && !record.subarray(44, 196).some(Boolean);
  const sides = tile.every((side) => side >= 8 && side <= 256 && 2 * overlap <= side) && rows && columns;
  const known = record[4] === 1 && zero && sides && [1, 3].includes(channels) && (overlap ? [1, 3] : [0, 2]).includes(seams);
  if (bytes.getUint32(0) !== 0x41544c43 || !known) throw new Error("a description of a later version, or a damaged one");
  const count = (side, size) => Math.max(1, Math.ceil((side - overlap) / (size - overlap)));
  return { rows, columns, channels, seams, id: bytes.getUint32(16), tile, overlap, down: count(rows, tile[0]), across: count(columns, tile[1]) };
}

/** The image of a grid from its tiles, the results of `read`, row by row; undefined for those that are missing. */
export function assemble(grid, tiles) {
  const { rows, columns, channels, tile, overlap, down, across } = grid;
  const [height, width] = [tile[0] - overlap, tile[1] - overlap]; // from one tile to the next
  const values = filled(grid, tiles.map((one) => one && asChannels(one, channels)));
  const sums = new Int32Array(rows * columns * channels);
  const weigh = (i, size, first, last) => (i < overlap && !first ? 2 * i + 1 : i >= size - overlap && !last ? 2 * (size - i) - 1 : 2 * overlap || 1);
  values.forEach((pixels, n) => {
    const [row, column] = [Math.floor(n / across), n % across];
    for (let i = 0; i < tile[0] && row * height + i < rows; i++)
      for (let j = 0; j < tile[1] && column * width + j < columns; j++) {
        const weight = weigh(i, tile[0], !row, row === down - 1) * weigh(j, tile[1], !column, column === across - 1);
        const [at, from] = [(row * height + i) * columns + column * width + j, i * tile[1] + j];
        for (let c = 0; c < channels; c++) sums[at * channels + c] += weight * pixels[from * channels + c];
      }
  });
  const half = 2 * overlap * overlap;
  if (overlap) sums.forEach((sum, at) => (sums[at] = Math.floor((sum + half) / (2 * half))));
  if (grid.seams === 2) smooth(grid, sums);
  if (grid.seams === 3) soften(grid, sums);
  return { pixels: Uint8Array.from(sums), shape: channels === 3 ? [rows, columns, 3] : [rows, columns] };
}

/** Pixels of a tile in as many channels as the image has. */
function asChannels({ pixels, shape }, channels) {
  if (channels === 3 && shape.length === 2) throw new Error("a codec of grey images has no tiles of an image in colour");
  if (channels === 3 || shape.length === 2) return pixels;
  return Uint8Array.from({ length: pixels.length / 3 }, (_, k) => Math.floor((pixels[3 * k] + pixels[3 * k + 1] + pixels[3 * k + 2] + 1) / 3));
}

/** The tiles; those that are missing have the mean of their neighbours. */
function filled({ tile, channels, across }, tiles) {
  return tiles.map((pixels, n) => {
    if (pixels) return pixels;
    const near = [n % across ? n - 1 : -1, (n + 1) % across ? n + 1 : -1, n - across, n + across].map((k) => tiles[k]).filter(Boolean);
    const count = near.length * tile[0] * tile[1];
    const means = Array.from({ length: channels }, (_, c) => {
      const sum = near.reduce((total, one) => one.reduce((part, value, k) => (k % channels === c ? part + value : part), total), 0);
      return count ? Math.floor((sum + Math.floor(count / 2)) / count) : 128;
    });
    return Uint8Array.from({ length: tile[0] * tile[1] * channels }, (_, k) => means[k % channels]);
  });
}

/** Filter the borders between tiles: first those between columns, then those between rows. */
function smooth({ rows, columns, channels, tile }, values) {
  const both = (p, q) => {
    const step = values[q] - values[p];
    const move = Math.abs(step) < 32 ? Math.floor((step + 2) / 4) : 0;
    values[p] += move;
    values[q] -= move;
  };
  for (let x = tile[1]; x < columns; x += tile[1])
    for (let y = 0; y < rows; y++) for (let c = 0; c < channels; c++) both((y * columns + x - 1) * channels + c, (y * columns + x) * channels + c);
  for (let y = tile[0]; y < rows; y += tile[0]) for (let k = 0; k < columns * channels; k++) both((y - 1) * columns * channels + k, y * columns * channels + k);
}

/** Smooth where tiles overlap: first along the rows, then, with the result, along the columns. */
function soften({ rows, columns, channels, tile, overlap, down, across }, values) {
  const places = (count, size, end) => {
    const found = new Set();
    for (let n = 1; n < count; n++) for (let i = 0; i <= overlap; i++) if (n * (size - overlap) + i < end - 1) found.add(n * (size - overlap) + i);
    return [...found];
  };
  const pass = (at, step, lines) => {
    const before = values.slice();
    for (const place of at)
      for (const line of lines) {
        const k = line + place * step;
        const three = [before[k - step], before[k], before[k + step]];
        if (Math.max(...three) - Math.min(...three) < 64) values[k] = (three[0] + 2 * three[1] + three[2] + 2) >> 2;
      }
  };
  const starts = (count, stride) => Array.from({ length: count * channels }, (_, n) => Math.floor(n / channels) * stride + (n % channels));
  pass(places(across, tile[1], columns), channels, starts(rows, columns * channels));
  pass(places(down, tile[0], rows), columns * channels, starts(columns, channels));
}

/** Images of one shape as a PGM file, or in colour as a PPM file: one below the other. */
export function sheet(images) {
  const [rows, columns, colours] = images[0].shape;
  if (images.some(({ shape }) => `${shape}` !== `${images[0].shape}`)) throw new Error("images of several shapes fit no one file");
  const header = `${colours ? "P6" : "P5"} ${columns} ${rows * images.length} 255\n`;
  return Buffer.concat([Buffer.from(header), ...images.map(({ pixels }) => pixels)]);
}

if (process.argv[1] === import.meta.filename) {
  const [file, folder = join(import.meta.dirname, "../../models"), target] = process.argv.slice(2);
  const fail = (code, message) => {
    console.error(message);
    process.exit(code);
  };
  if (!file) fail(2, "usage: node atlc.mjs FILE [MODELS] [OUT.pgm]");
  for (const path of [file, folder]) if (!existsSync(path)) fail(1, `${path}: does not exist`);
  if (statSync(file).isDirectory()) fail(1, `${file}: is a folder`);
  const [bytes, installed, pictures] = [new Uint8Array(readFileSync(file)), models(folder), []];
  const ids = Array.from({ length: Math.ceil(bytes.length / RECORD) }, (_, n) => crc32(bytes.slice(n * RECORD, (n + 1) * RECORD)));
  if (bytes.length && !ids.some((id) => installed.has(id) || id === DESCRIPTION)) fail(1, `${file}: holds no record of an installed model; is it an .atlc file?`);
  const complain = (number, error) => {
    console.error(`${number}: ${error.message}`);
    process.exitCode = 1;
  };
  /** A record's image; its label is printed. */
  const one = async (number, place = "") => {
    try {
      const image = await read(bytes.slice(number * RECORD, (number + 1) * RECORD), installed);
      console.log(`${number}: ${image.label} (${(100 * image.probability).toFixed(1)}%)${place}`);
      return image;
    } catch (error) {
      complain(number, error);
    }
  };
  for (let number = 0; number < ids.length; number++) {
    try {
      const grid = describe(bytes.slice(number * RECORD, (number + 1) * RECORD));
      if (!grid) {
        const image = await one(number);
        if (image) pictures.push(image);
        continue;
      }
      const behind = ids.slice(number + 1, number + 1 + Math.min(grid.down * grid.across, ids.length));
      const end = behind.indexOf(DESCRIPTION);
      const count = end < 0 ? behind.length : end;
      const there = behind.slice(0, count).filter((id) => id === grid.id).length;
      if (grid.down * grid.across > MISSING * there) throw new Error(`describes ${grid.down * grid.across} tiles, and ${there} are there`);
      console.log(`${number}: an image of ${grid.columns} x ${grid.rows} pixels in ${grid.across} x ${grid.down} tiles`);
      const tiles = Array.from({ length: grid.down * grid.across });
      for (let n = 0; n < count; n++) {
        const image = await one(number + 1 + n, `  row ${Math.floor(n / grid.across)}, column ${n % grid.across}`);
        if (ids[number + 1 + n] === grid.id) tiles[n] = image;
      }
      if (count < tiles.length) complain(number, new Error(`${tiles.length - count} tiles are missing`));
      pictures.push(assemble(grid, tiles));
      number += count;
    } catch (error) {
      complain(number, error);
    }
  }
  if (target && pictures.length) writeFileSync(target, sheet(pictures));
}
