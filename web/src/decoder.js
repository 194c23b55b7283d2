// What a program calls: a file of a codec, and its records.

import { BadModel, BadRecord, shown } from "./errors.js";
import { crc32, hexadecimal, sha256 } from "./hashes.js";
import { size } from "./moves.js";
import { Network, RECORD } from "./plan.js";

const [FEWEST, MOST, TOGETHER] = [4, 32, 2 ** 18]; // records that are computed at a time; values of their outputs
const LOGIT = 1 / 256; // a step of logits
const LEAST = 2 ** -126; // scale of logits: float32 holds it

/** A decompressor or a classifier from its ONNX file: bytes, a URL, or in Node a path. `card` is the card.json of the
 *  codec or of the head; other options stand for single entries of it. A file with another SHA-256 is refused. */
export async function load(source, { card, ...given } = {}) {
  const options = { ...(card && entries(card, nameOf(source, given))), ...given };
  const { file, name, found } = await fileOf(source, options);
  return new Decoder(file, name, found, options);
}

/** The bytes of a file, its name in messages, and its SHA-256, which must be that of the options. */
export async function fileOf(source, options) {
  const file = await bytesOf(source);
  const name = nameOf(source, options);
  const found = await sha256(file);
  if (options.sha256 !== undefined && options.sha256.toLowerCase() !== found) {
    throw new BadModel(`${name}: has the SHA-256 ${found}, not ${options.sha256}; fetch it again`);
  }
  return { file, name, found };
}

function nameOf(source, options) {
  const bytes = ArrayBuffer.isView(source) || source instanceof ArrayBuffer;
  return options.name ?? (bytes ? "the file" : String(source));
}

/** The options that a card stands for. That of a codec has no labels, and a SHA-256 for each file. */
function entries(card, name) {
  const head = card.labels !== undefined;
  const digest = head ? card.sha256 : card.sha256?.["decompressor.onnx"];
  if (typeof digest !== "string") {
    throw new BadModel(`${name}: its card has no SHA-256 of it; give the card.json beside it`);
  }
  if (!head) return { sha256: digest };
  const id = typeof card.codec === "string" ? card.codec.slice(0, 8) : undefined;
  return { sha256: digest, labels: card.labels, scale: card.scale ?? 1, id };
}

async function bytesOf(source) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (globalThis.process?.versions?.node && !/^(?!file:)[a-z]{2,}:/i.test(source)) {
    const { readFile } = await import("node:fs/promises"); // whose fetch does not read files
    return new Uint8Array(await readFile(/^file:/i.test(source) ? new URL(source) : source));
  }
  const answer = await fetch(source);
  if (!answer.ok) throw new BadModel(`${source}: the server says ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The id of the codec that wrote a record, in hexadecimal as in `card.json`. A damaged record gives an id that no
 *  codec has. */
export function check(record) {
  if (record?.length !== RECORD) throw new BadRecord(`a record has ${RECORD} bytes, not ${record?.length}`);
  return hexadecimal(crc32(record));
}

/** One file: use `load`. */
export class Decoder {
  #network;
  #name;
  #scale;

  constructor(file, name, hash, { labels, id, scale = LOGIT } = {}) {
    this.#network = new Network(file, name);
    const { kind, type, shape } = this.#network.output;
    [this.#name, this.#scale, this.sha256] = [name, scale, hash];
    if (kind === "bytes") {
      const image = shape.length === 2 || (shape.length === 3 && shape[2] === 3);
      if (type !== Uint8Array || !image) throw new BadModel(`${name}: gives no images`);
      [this.kind, this.id, this.shape] = ["decompressor", hash.slice(0, 8), shape];
      return;
    }
    if (shape.length !== 1) throw new BadModel(`${name}: gives no logits`);
    if (!(scale >= LEAST && scale <= 1 / LEAST && Number.isInteger(Math.log2(scale)))) {
      throw new BadModel(`${name}: its scale must be a power of two, not ${shown(scale)}`);
    }
    this.labels = labels ?? Array.from({ length: shape[0] }, (_, label) => String(label));
    if (this.labels.length !== shape[0])
      throw new BadModel(`${name}: has ${shape[0]} labels, not ${this.labels.length}`);
    [this.kind, this.id] = ["classifier", id?.toLowerCase() ?? null];
  }

  /** The pixels of records that lie one behind the other: Uint8Array, image by image, each of `shape`. Throws
   *  `BadRecord` if one is not a record of this codec, unless `sealed` is false. */
  decode(records, { sealed = true } = {}) {
    if (this.kind !== "decompressor") throw new BadModel(`${this.#name}: is a classifier; decode with a decompressor`);
    return this.#run(records, sealed, Uint8Array, size(this.shape));
  }

  /** The likeliest label of each record, and for each record and label the logit and the probability. */
  classify(records, { sealed = true } = {}) {
    if (this.kind !== "classifier") throw new BadModel(`${this.#name}: is a decompressor; classify with a classifier`);
    const count = this.labels.length;
    const logits = this.#run(records, sealed && this.id !== null, Float32Array, count);
    const [labels, probabilities] = [[], new Float32Array(logits.length)];
    for (let start = 0; start < logits.length; start += count) {
      const own = logits.subarray(start, start + count);
      const best = own.indexOf(own.reduce((most, logit) => Math.max(most, logit)));
      const weights = Array.from(own, (logit) => Math.exp((logit - own[best]) * this.#scale));
      const sum = weights.reduce((total, each) => total + each, 0);
      probabilities.set(
        weights.map((each) => each / sum),
        start,
      );
      labels.push(this.labels[best]);
    }
    return { labels, logits, probabilities };
  }

  #run(records, sealed, type, length) {
    if (!(records instanceof Uint8Array)) throw new BadRecord("records must be a Uint8Array");
    if (records.length % RECORD) {
      throw new BadRecord(`records have ${RECORD} bytes each, and ${records.length} is not a multiple of it`);
    }
    const count = records.length / RECORD;
    for (let record = 0; sealed && record < count; record += 1) {
      const id = hexadecimal(crc32(records, record * RECORD, (record + 1) * RECORD));
      if (id !== this.id) throw new BadRecord(`record ${record}: damaged, or of another codec (id ${id})`);
    }
    const { output } = this.#network;
    const batch = Math.max(FEWEST, Math.min(MOST, Math.floor(TOGETHER / length)));
    const { zero, scale } = output.kind === "operand" ? output : { zero: 0, scale: 1 };
    const result = new type(count * length);
    for (let record = 0; record < count; record += batch) {
      const some = new Uint8Array(
        records.buffer, // and not `subarray`, which gives a Buffer of a Buffer
        records.byteOffset + record * RECORD,
        Math.min(batch, count - record) * RECORD,
      );
      this.#network.run(some).forEach((value, at) => (result[record * length + at] = (value - zero) * scale));
    }
    return result;
  }
}
