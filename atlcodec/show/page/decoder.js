"use strict";
var atlcodec = (() => {
const module0 = (() => {
// The errors of this package. A message is one line, and begins with the file or the record.

/** A file that is not an exact network, or not the one that was asked for. */
class BadModel extends Error {}

/** Bytes that are not sealed records of a codec. */
class BadRecord extends Error {}

/** Text of a file as it may stand in a message. */
function shown(text) {
  return JSON.stringify(String(text).slice(0, 80)).replace(/[^ -~]/g, "?");
}

return { BadModel, BadRecord, shown };
})();

const module1 = (() => {
// SHA-256, the name of a file, and CRC-32, the seal of a record.

const CRC = new Int32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The CRC-32 of bytes `start` to `end`: that of zlib and PNG. */
function crc32(bytes, start = 0, end = bytes.length) {
  let crc = -1;
  for (let at = start; at < end; at += 1) crc = CRC[(crc ^ bytes[at]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** A whole number of 32 bits in hexadecimal, as cards write ids. */
function hexadecimal(number) {
  return (number >>> 0).toString(16).padStart(8, "0");
}

/** The SHA-256 of bytes, in hexadecimal. Browsers have one of their own, but not for pages opened from the disk. */
async function sha256(bytes) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return plainSha256(bytes);
  const view = new DataView(await subtle.digest("SHA-256", bytes));
  return Array.from({ length: 8 }, (_, word) => hexadecimal(view.getUint32(4 * word))).join("");
}

/** The same in plain JavaScript (FIPS 180-4). */
function plainSha256(bytes) {
  const [state, words] = [Int32Array.from(roots(8, 1 / 2)), new Int32Array(64)];
  const constants = Int32Array.from(roots(64, 1 / 3));
  const whole = bytes.length - (bytes.length % 64);
  for (let at = 0; at < whole; at += 64) compress(state, words, constants, bytes, at);
  const rest = new Uint8Array(bytes.length - whole < 56 ? 64 : 128); // what is left, a one, zeros, the number of bits
  rest.set(bytes.subarray(whole));
  rest[bytes.length - whole] = 128;
  const view = new DataView(rest.buffer);
  view.setUint32(rest.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(rest.length - 4, bytes.length << 3);
  for (let at = 0; at < rest.length; at += 64) compress(state, words, constants, rest, at);
  return Array.from(state, hexadecimal).join("");
}

/** The first 32 bits behind the point of the roots of the first primes. */
function roots(count, power) {
  const primes = [];
  for (let number = 2; primes.length < count; number += 1) {
    if (primes.every((prime) => number % prime)) primes.push(number);
  }
  return primes.map((prime) => ((prime ** power % 1) * 2 ** 32) | 0);
}

function compress(state, words, constants, bytes, start) {
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  for (let at = 0; at < 16; at += 1) {
    const first = start + 4 * at;
    words[at] = (bytes[first] << 24) | (bytes[first + 1] << 16) | (bytes[first + 2] << 8) | bytes[first + 3];
  }
  for (let at = 16; at < 64; at += 1) {
    const [early, late] = [words[at - 15], words[at - 2]];
    const low = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
    const high = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
    words[at] = words[at - 16] + low + words[at - 7] + high;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let at = 0; at < 64; at += 1) {
    const mixed = (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g));
    const first = (h + mixed + constants[at] + words[at]) | 0;
    const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => (state[at] += word));
}

return { crc32, hexadecimal, sha256, plainSha256 };
})();

const module2 = (() => {
// Arrays that are used again. A network makes the same arrays for each batch; new ones keep the garbage collector busy.

const KEPT = 2 ** 25; // bytes at most

const free = new Map();
let held = 0;

/** An array of a type and a length, with anything in it. */
function take(type, length) {
  const found = free.get(`${type.name} ${length}`)?.pop();
  if (!found) return new type(length);
  held -= found.byteLength;
  return found;
}

/** Give an array back that nobody reads any more. */
function give(array) {
  if (held + array.byteLength > KEPT) return;
  held += array.byteLength;
  const key = `${array.constructor.name} ${array.length}`;
  if (!free.has(key)) free.set(key, []);
  free.get(key).push(array);
}

return { take, give };
})();

const module3 = (() => {
// The order of values: a value of another shape is the same array, and a transposed one a copy.

const { take } = module2;

/** How many numbers a shape has. */
function size(shape) {
  return shape.reduce((product, each) => product * each, 1);
}

/** Of an array of a shape, the numbers whose index along axis k is starts[k], starts[k] + 1 ... in the order of axes
 *  `order`. `lengths`, of the result, are in that order. */
function move(data, shape, order, starts, lengths) {
  const steps = shape.map((_, axis) => size(shape.slice(axis + 1)));
  const start = steps.reduce((sum, step, axis) => sum + step * starts[axis], 0);
  const strides = order.map((axis) => steps[axis]);
  const [result, last] = [take(data.constructor, size(lengths)), order.length - 1];
  const [index, run, stride] = [order.map(() => 0), lengths[last], strides[last]];
  let from = start;
  for (let at = 0; at < result.length;) {
    let source = from;
    for (const end = at + run; at < end; at += 1, source += stride) result[at] = data[source];
    for (let axis = last - 1; axis >= 0; axis -= 1) {
      index[axis] += 1;
      from += strides[axis];
      if (index[axis] < lengths[axis]) break;
      from -= strides[axis] * lengths[axis];
      index[axis] = 0;
    }
  }
  return result;
}

/** Images (N, channels, rows, columns) with more rows and columns of one value around them. */
function padded(data, [count, channels, rows, columns], [top, left, bottom, right], value) {
  const [height, width] = [top + rows + bottom, left + columns + right];
  const result = take(data.constructor, count * channels * height * width).fill(value);
  for (let plane = 0; plane < count * channels; plane += 1) {
    for (let row = 0; row < rows; row += 1) {
      const from = (plane * rows + row) * columns;
      result.set(data.subarray(from, from + columns), (plane * height + top + row) * width + left);
    }
  }
  return result;
}

/** Arrays one behind the other along an axis. */
function joined(parts, shapes, axis) {
  const blocks = shapes.map((shape) => size(shape.slice(axis)));
  const total = blocks.reduce((sum, block) => sum + block, 0);
  const count = parts[0].length / blocks[0];
  const result = take(parts[0].constructor, count * total);
  let start = 0;
  parts.forEach((part, number) => {
    const block = blocks[number];
    for (let at = 0; at < count; at += 1) result.set(part.subarray(at * block, (at + 1) * block), at * total + start);
    start += block;
  });
  return result;
}

return { size, move, padded, joined };
})();

const module4 = (() => {
// What an exact network can do in the worst case, computed from its file before it runs, as `atlcodec/bounds.py` does:
// a file that is not exact on all machines is refused here, too.
//
// Every value of a record gets a range, from its least to its largest number; numbers get a unit that they are
// multiples of. Bytes that stand for numbers keep the range of the bytes.

const { padded } = module3;

const SUM = 2 ** 24; // units: float32 and int32 hold all whole numbers below
const PAIR = 32_767; // two products of bytes and int8, which some processors add in 16 bits
const ROUND = 1.5 * 2 ** 52; // added and taken away again, it rounds to whole numbers, halves to the even one
const LIMITS = { Uint8Array: [0, 255], Int8Array: [-128, 127] };

/** Refuse a network that breaks a bound. `nodes` are those of a plan for one record: {site, node, inputs, value, run,
 *  about}; `source` is the name of its input, which has `length` bytes. */
function check(nodes, source, length) {
  const ranges = new Map([[source, { low: new Float64Array(length), high: new Float64Array(length).fill(255) }]]);
  for (const known of nodes) {
    if (known.value.kind === "factors") continue; // weights
    const step = { ...known, names: known.node.inputs };
    const range = (OPERATORS[known.node.operator] ?? moved)(step, ranges);
    ranges.set(known.node.output, range);
    if (step.value.kind !== "numbers") continue;
    const most = range.unit.reduce((found, unit, at) => {
      return Math.max(found, Math.max(Math.abs(range.low[at]), Math.abs(range.high[at])) / unit);
    }, 0);
    if (!(most < SUM)) throw step.site.refused(`numbers up to ${most.toExponential(2)} units, 2^24 or more`);
  }
}

/** The range of an input as numbers. */
function numbers({ names, inputs }, ranges, which = 0) {
  const [range, { kind, zero, scale }] = [ranges.get(names[which]), inputs[which]];
  if (kind !== "operand") return range;
  const of = (bytes) => bytes.map((byte) => (byte - zero) * scale);
  return { low: of(range.low), high: of(range.high), unit: new Float64Array(range.low.length).fill(scale) };
}

/** The same function of the least and of the largest number. */
function both(range, change) {
  return { ...range, low: range.low.map(change), high: range.high.map(change), rounded: null };
}

const limited = (least, most) => (value) => Math.min(Math.max(value, least), most);
const whole = (value) => value + ROUND - ROUND;

// -- operators --------------------------------------------------------------------------------------------------------

/** The same values elsewhere. */
function moved({ names, run }, ranges) {
  const parts = names.filter((name) => ranges.has(name)).map((name) => ranges.get(name));
  const of = (key) => run(...parts.map((part) => part[key]));
  return { low: of("low"), high: of("high"), unit: parts[0].unit && of("unit") };
}

function dequantised({ names, value }, ranges) {
  const { low, high, rounded } = ranges.get(names[0]);
  const same = rounded && rounded.scale === value.scale && rounded.zero === value.zero;
  return { low, high, rounded: same ? rounded : null };
}

function quantised(step, ranges) {
  const range = numbers(step, ranges);
  const [scale, zero] = [step.inputs[1].data[0], step.inputs[2].data[0]];
  const [least, most] = LIMITS[step.value.type.name];
  const { low, high } = both(range, (value) => whole(value / scale) + zero);
  const inside = low.every((value) => value >= least) && high.every((value) => value <= most);
  const clipped = both({ low, high }, limited(least, most));
  return { ...clipped, rounded: inside ? { name: step.names[0], scale, zero } : null };
}

function total(step, ranges, sign) {
  const [a, b] = [0, 1].map((which) => numbers(step, ranges, which));
  const [less, more] = sign > 0 ? [b.low, b.high] : [b.high, b.low];
  return {
    low: a.low.map((value, at) => value + sign * less[at]),
    high: a.high.map((value, at) => value + sign * more[at]),
    unit: a.unit.map((value, at) => Math.min(value, b.unit[at])),
  };
}

/** What a rounding has left is at most half of its scale. */
function difference(step, ranges) {
  const range = total(step, ranges, -1);
  const rounded = ranges.get(step.names[1]).rounded;
  if (rounded?.name !== step.names[0]) return range;
  const half = rounded.scale / 2;
  return {
    ...range,
    low: range.low.map((value) => Math.max(value, -half)),
    high: range.high.map((value) => Math.min(value, half)),
  };
}

function clip(step, ranges) {
  const change = limited(step.inputs[1].data[0], step.inputs[2].data[0]);
  if (step.value.kind === "bytes") return both(ranges.get(step.names[0]), change);
  const range = numbers(step, ranges);
  return { ...both(range, change), unit: range.unit.map((unit) => Math.min(unit, 1)) };
}

function round(step, ranges) {
  const range = numbers(step, ranges);
  return { ...both(range, whole), unit: range.unit.map((unit) => Math.max(unit, 1)) };
}

function mask({ names, inputs }, ranges) {
  const { high } = ranges.get(names[0]);
  const { data } = inputs[1];
  return { low: new Float64Array(high.length), high: high.map((byte, at) => Math.min(byte, data[at % data.length])) };
}

function shift({ names, inputs }, ranges) {
  const { data } = inputs[1];
  const range = ranges.get(names[0]);
  const of = (bytes) => bytes.map((byte, at) => Math.floor(byte / 2 ** data[at % data.length]));
  return { low: of(range.low), high: of(range.high) };
}

const OPERATORS = {
  Add: (step, ranges) => total(step, ranges, 1),
  BitShift: shift,
  BitwiseAnd: mask,
  Clip: clip,
  Conv: product,
  DequantizeLinear: dequantised,
  Gemm: product,
  MatMul: product,
  QuantizeLinear: quantised,
  Relu: (step, ranges) => both(numbers(step, ranges), (value) => Math.max(value, 0)),
  Round: round,
  Sub: difference,
};

// -- products ---------------------------------------------------------------------------------------------------------

/** Sums of a product: see `about` in products.js. */
function product({ site, names, inputs, about: known }, ranges) {
  const about = known();
  const { layout, outputs, weights, x, pads } = about;
  const name = names[inputs.indexOf(x)];
  const extended = (bytes) => (pads ? padded(bytes, x.shape, pads, x.zero) : bytes);
  const [lows, highs] = [ranges.get(name).low, ranges.get(name).high].map(extended);
  const each = layout.height * layout.width;
  const length = layout.groups * each * outputs;
  const range = { low: new Float64Array(length), high: new Float64Array(length), unit: new Float64Array(length) };
  const units = about.scales.map((scale) => unitOf(scale) * x.scale);
  const factor = about.scales.map((scale) => scale * x.scale);
  const pairs = new Pairs(site, about);
  let most = 0;
  eachRow(layout, (start, row) => {
    const gathered = (bytes) => Float64Array.from(layout.table, (term) => bytes[start + term] - x.zero);
    const [low, high] = [lows, highs].map(gathered);
    pairs.see(low, high);
    for (let output = 0; output < outputs; output += 1) {
      const sum = sums(low, high, weights, output * layout.table.length);
      const at = Math.floor(row / each) * each * outputs + (row % each) + output * each;
      range.low[at] = sum.low * factor[output] + about.biases[output];
      range.high[at] = sum.high * factor[output] + about.biases[output];
      range.unit[at] = units[output];
      most = Math.max(most, (sum.size * factor[output] + Math.abs(about.biases[output])) / units[output]);
    }
  });
  if (!(most < SUM)) throw site.refused(`sums up to ${most.toExponential(2)} units, 2^24 or more`);
  pairs.check();
  return range;
}

/** Calls a function with the place of the first term of each row, and with the number of the row. */
function eachRow({ groups, height, width, size: length, down, right }, see) {
  for (let row = 0; row < groups * height * width; row += 1) {
    const [line, column] = [Math.floor(row / width), row % width];
    see(Math.floor(line / height) * length + (line % height) * down + column * right, row);
  }
}

/** The least and the largest sum of a row, and the largest of all its parts. */
function sums(low, high, weights, from) {
  let [least, most, parts] = [0, 0, 0];
  for (let term = 0; term < low.length; term += 1) {
    const weight = weights[from + term];
    const [one, other] = [weight * low[term], weight * high[term]];
    least += one < other ? one : other;
    most += one < other ? other : one;
    parts += Math.max(one, -one, other, -other);
  }
  return { low: least, high: most, size: parts };
}

/** The largest power of two that divides a scale. */
function unitOf(scale) {
  let [unit, digits] = [1, scale];
  for (; !Number.isInteger(digits); unit /= 2) digits *= 2;
  for (; digits % 2 === 0; unit *= 2) digits /= 2;
  return unit;
}

/** The largest sum of two products of bytes, as they are stored, on the left and int8 on the right. */
class Pairs {
  #site;
  #about;
  #largest; // of the stored bytes, by term
  #most = 0;
  #kept = null;

  constructor(site, about) {
    [this.#site, this.#about] = [site, about];
    const [left, right] = about.left ? [about.type, about.x.type] : [about.x.type, about.type];
    if (left !== Uint8Array) throw site.refused("a product whose first operand is not uint8");
    this.#largest = right === Int8Array ? new Float64Array(about.layout.table.length) : null;
  }

  /** A row of operands, without their zero. */
  see(low, high) {
    if (!this.#largest) return;
    const { zero } = this.#about.x; // beyond an edge, bytes are the zero
    const found = low.map((least, term) => {
      return Math.max(Math.abs(least + zero), Math.abs(high[term] + zero), Math.abs(zero));
    });
    if (this.#about.left) {
      this.#most = Math.max(this.#most, twoLargest(found, (term) => this.#weights[term]));
    } else {
      this.#largest = this.#largest.map((known, term) => Math.max(known, found[term]));
    }
  }

  /** Of weights on the left, the largest of each term. */
  get #weights() {
    if (this.#kept) return this.#kept;
    const { stored, outputs, layout } = this.#about;
    this.#kept = new Float64Array(layout.table.length).map((_, term) => {
      let most = 0;
      for (let output = 0; output < outputs; output += 1) most = Math.max(most, stored(output, term));
      return most;
    });
    return this.#kept;
  }

  check() {
    if (!this.#largest) return;
    const { stored, outputs, left } = this.#about;
    for (let output = 0; !left && output < outputs; output += 1) {
      const pair = twoLargest(this.#largest, (term) => Math.abs(stored(output, term)));
      this.#most = Math.max(this.#most, pair);
    }
    if (this.#most > PAIR) {
      throw this.#site.refused(`two products of bytes and int8 weights may add up to ${this.#most}, more than ${PAIR}`);
    }
  }
}

function twoLargest(values, weight) {
  let [first, second] = [0, 0];
  values.forEach((value, term) => {
    const found = value * weight(term);
    if (found > first) [first, second] = [found, first];
    else if (found > second) second = found;
  });
  return first + second;
}

return { check };
})();

const module5 = (() => {
// The wire format of protobuf, in which ONNX files are written: a message is a row of fields, each a number and an
// integer or bytes.

const FIELDS = 100_000; // of a whole file: a network of a thousand layers has a tenth of that
const DECODER = new TextDecoder("utf-8", { fatal: true });

/** What is not protobuf. */
class NotProtobuf extends Error {}

/** Reads the messages of one file, and counts their fields: a file of small fields takes far more memory than bytes. */
class Fields {
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
function varint(message, at) {
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
function content(value) {
  if (typeof value === "number") throw new NotProtobuf();
  return value;
}

/** The value of a field that must hold text. */
function text(value) {
  try {
    return DECODER.decode(content(value));
  } catch {
    throw new NotProtobuf();
  }
}

return { NotProtobuf, Fields, varint, content, text };
})();

const module6 = (() => {
// The nodes and the weights of an ONNX file (the numbers of fields are those of onnx.proto).

const { BadModel, shown } = module0;
const { Fields, NotProtobuf, content, text } = module5;

const LARGEST = 2 ** 26; // bytes of a file
const DIMENSIONS = 8; // of weights

// The types of weights, by their number, each with the function that reads one from a DataView.
const TYPES = new Map([
  [1, [Float32Array, (view, at) => view.getFloat32(at, true)]],
  [2, [Uint8Array, (view, at) => view.getUint8(at)]],
  [3, [Int8Array, (view, at) => view.getInt8(at)]],
  [6, [Int32Array, (view, at) => view.getInt32(at, true)]],
  [7, [Float64Array, (view, at) => Number(view.getBigInt64(at, true))]], // axes and sizes
]);

const HALF = [Float32Array, (view, at) => half(view.getUint16(at, true)), 2]; // 10: compressors alone have it

/** {source, target, nodes, weights} of a file. Nodes have {operator, inputs, output, attributes}; weights, by their
 *  names, {type, shape, data}. Whole numbers of 64 bits are given as float64. `name` is for messages. `floats` takes
 *  floats of 16 bits, too. */
function read(file, name, { floats = false } = {}) {
  if (file.length > LARGEST) throw new BadModel(`${name}: has ${file.length} bytes; ${LARGEST} are the limit`);
  try {
    return new Reader(name, floats ? new Map([...TYPES, [10, HALF]]) : TYPES).model(file);
  } catch (error) {
    if (error instanceof NotProtobuf) throw new BadModel(`${name}: not an ONNX file`);
    throw error;
  }
}

class Reader {
  #name;
  #types;
  #fields = new Fields();

  constructor(name, types) {
    [this.#name, this.#types] = [name, types];
  }

  model(file) {
    const graphs = [];
    for (const [number, value] of this.#fields.of(file)) {
      if (number === 7) graphs.push(content(value));
      if (number === 20 || number === 25) throw this.#refused("has training data or functions of its own");
    }
    if (graphs.length !== 1) throw new NotProtobuf();
    return this.#graph(graphs[0]);
  }

  #graph(graph) {
    const [nodes, weights, sources, targets] = [[], new Map(), [], []];
    for (const [number, value] of this.#fields.of(graph)) {
      if (number === 1) nodes.push(this.#node(content(value)));
      else if (number === 11) sources.push(this.#port(content(value)));
      else if (number === 12) targets.push(this.#port(content(value)));
      else if (number === 15) throw this.#refused("has sparse weights");
      else if (number === 5) {
        const [name, weight] = this.#tensor(content(value));
        if (weights.has(name)) throw this.#refused(`has two weights ${shown(name)}`);
        weights.set(name, weight);
      }
    }
    const inputs = sources.filter((source) => !weights.has(source));
    if (inputs.length !== 1) throw this.#refused(`must have one input, not ${inputs.length}`);
    if (targets.length !== 1) throw this.#refused(`must have one output, not ${targets.length}`);
    return { source: inputs[0], target: targets[0], nodes, weights };
  }

  #port(port) {
    const names = [...this.#fields.of(port)].filter(([number]) => number === 1);
    if (names.length !== 1) throw new NotProtobuf();
    return text(names[0][1]);
  }

  #node(node) {
    const [inputs, outputs, attributes] = [[], [], new Map()];
    let [operator, domain] = ["", ""];
    for (const [number, value] of this.#fields.of(node)) {
      if (number === 1) inputs.push(text(value));
      else if (number === 2) outputs.push(text(value));
      else if (number === 4) operator = text(value);
      else if (number === 5) attributes.set(...this.#attribute(content(value)));
      else if (number === 7) domain = text(value);
    }
    if (domain !== "" && domain !== "ai.onnx") operator = `${domain}.${operator}`;
    if (outputs.length !== 1) throw this.#refused(`${shown(operator)} has ${outputs.length} outputs, not one`);
    return { operator, inputs: inputs.filter((input) => input !== ""), output: outputs[0], attributes };
  }

  /** Its name, and its text or its integers. */
  #attribute(attribute) {
    let [name, words] = ["", null];
    const integers = [];
    for (const [number, value] of this.#fields.of(attribute)) {
      if (number === 1) name = text(value);
      else if (number === 3 || number === 8) for (const integer of this.#fields.list(value)) integers.push(integer);
      else if (number === 4) words = text(value);
      else if (number !== 13 && number !== 20) {
        throw this.#refused(`the attribute ${shown(name)} is not a whole number or text`);
      }
    }
    return [name, words ?? integers];
  }

  #tensor(tensor) {
    let [name, kind, raw] = ["", 0, new Uint8Array(0)];
    const shape = [];
    for (const [number, value] of this.#fields.of(tensor)) {
      if (number === 1) for (const size of this.#fields.list(value)) shape.push(size);
      else if (number === 2) kind = value;
      else if (number === 8) name = text(value);
      else if (number === 9) raw = content(value);
      else if (number === 13 || (number === 14 && value !== 0)) throw this.#refused("has weights in another file");
    }
    const type = this.#types.get(kind);
    if (!type) throw this.#refused(`the weights ${shown(name)} have a type that exact networks do not have`);
    const [form, get, width = form.BYTES_PER_ELEMENT] = type;
    const count = shape.reduce((product, size) => product * size, 1);
    if (shape.length > DIMENSIONS || shape.some((size) => size < 1) || count * width !== raw.length) {
      throw this.#refused(`the shape of the weights ${shown(name)} does not fit their data`);
    }
    return [name, { type: form, shape, data: values(form, get, width, raw, count) }];
  }

  #refused(what) {
    return new BadModel(`${this.#name}: ${what}`);
  }
}

/** The numbers of weights, which may begin at any byte of the file. */
function values(form, get, width, raw, count) {
  if (form === Uint8Array || form === Int8Array) return new form(raw.buffer, raw.byteOffset, count);
  const [data, view] = [new form(count), new DataView(raw.buffer, raw.byteOffset, raw.length)];
  for (let at = 0; at < count; at += 1) data[at] = get(view, at * width);
  return data;
}

/** A number of 16 bits (IEEE 754). */
function half(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

return { read };
})();

const module7 = (() => {
// Products of bytes and weights: where nearly all of the time goes.
//
// A double holds whole numbers of 53 bits, and a sum of an exact network has 24 and a sign. So two weights are packed
// into one double, w + 2^26 w', and each multiplication and addition works for two outputs at once. The sums are taken
// apart again at the end.

const { take } = module2;

const PART = 2 ** 26;
const ROUND = 1.5 * 2 ** 52; // added and taken away again, it leaves a whole number
const ROWS = 32; // that are computed together: they stay in the second cache, a panel of weights in the first

let panel = new Float64Array(0); // rows in fours: the first number of four rows, then the second, and so on
const sums = new Float64Array(8);

/** Weights ready for `multiply`: Float64Array, four outputs after the other, the last ones filled with zeros.
 *  `weight(output, term)` gives a whole number. */
function pack(outputs, terms, weight) {
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
function multiply(bytes, zero, layout, packed, scales, biases) {
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

return { pack, multiply };
})();

const module8 = (() => {
// What is known of a value before anything is computed: its shape, and what its array holds.
//
//   bytes      Uint8Array or Int8Array, as they are
//   operand    bytes again, which stand for (byte - zero) * scale
//   numbers    Float32Array: whole numbers times a power of two
//   weights    an array of the file
//   factors    weights that stand for (weight - zero) * scale, with one scale for all or one for each index along an
//              axis

const { size } = module3;

const DIGITS = 15; // the largest m of a scale m * 2^-k
const [SMALLEST, LARGEST] = [1 / 2 ** 30, 256]; // scales
const DIMENSIONS = 8; // of a value
const MOST_WEIGHT = 127;

const bytes = (type, shape) => ({ kind: "bytes", type, shape });
const numbers = (shape) => ({ kind: "numbers", type: Float32Array, shape });

/** The zero and the scale with which the array of a value gives numbers: (x - zero) * scale. */
function real(site, value) {
  if (value.kind === "numbers") return { zero: 0, scale: 1 };
  if (value.kind !== "operand") throw site.refused("takes numbers");
  return value;
}

/** The one number of weights. */
function scalar(site, value) {
  if (value?.kind !== "weights" || value.data.length !== 1) throw site.refused("takes single numbers of the file");
  return value.data[0];
}

/** A list of whole numbers of 64 or 32 bits. */
function integers(site, value) {
  const whole = value?.type === Float64Array || value?.type === Int32Array;
  const list = value?.kind === "weights" && value.shape.length === 1 && value.data.length <= DIMENSIONS;
  if (!list || !whole) throw site.refused("takes short lists of whole numbers of the file");
  return [...value.data];
}

/** An axis of a shape, which may be counted from the end. */
function axis(site, number, shape) {
  const found = number < 0 ? number + shape.length : number;
  if (!(Number.isInteger(found) && found >= 0 && found < shape.length)) throw site.refused("has no such axis");
  return found;
}

/** The scale of an activation. */
function power(site, value) {
  const scale = scalar(site, value);
  if (value.type !== Float32Array || mantissa(scale) !== 8) throw site.refused("the scale is not a power of two");
  return scale;
}

/** The m of a scale m * 2^-k as a number from 8 on and below 16; NaN if the scale is out of range. */
function mantissa(scale) {
  if (!(scale >= SMALLEST && scale <= LARGEST)) return NaN;
  let found = scale;
  while (found < 8) found *= 2;
  while (found >= 16) found /= 2;
  return found;
}

/** Weights with their scales and zeros. */
function factors(site, { type, shape, data }, scales, zeros, along) {
  if (![Uint8Array, Int8Array, Int32Array].includes(type)) throw site.refused("weights must be bytes or int32");
  if (scales?.kind !== "weights" || scales.type !== Float32Array) throw site.refused("takes scales of the file");
  if (zeros && (zeros.kind !== "weights" || zeros.type !== type || zeros.data.length !== scales.data.length)) {
    throw site.refused("the zeros do not fit the weights and the scales");
  }
  const single = scales.shape.length === 0 || scales.data.length === 1;
  const place = single ? null : axis(site, along, shape);
  if (!single && (scales.shape.length !== 1 || scales.data.length !== shape[place])) {
    throw site.refused("the scales do not fit the weights");
  }
  site.counts(scales.data.length);
  if (!scales.data.every((scale) => Number.isInteger(mantissa(scale)))) {
    throw site.refused(`a scale is not m * 2^-k with a whole m of at most ${DIGITS}, or out of range`);
  }
  return { kind: "factors", type, shape, data, axis: place, scales: scales.data, zeros: zeros?.data ?? null };
}

/** The scale and the zero of each of so many rows of factors, where rows are the indices along an axis. */
function rows(site, value, along, count) {
  if (value.axis !== null && value.axis !== along) throw site.refused("takes one scale for all or one for each output");
  const each = (list, default_) => (row) => list?.[value.axis === null ? 0 : row] ?? default_;
  const [scale, zero] = [each(value.scales, 1), each(value.zeros, 0)];
  return { scales: Float64Array.from({ length: count }, (_, row) => scale(row)), zero };
}

/** A weight without its zero, a whole number. */
function weight(site, value, at, zero) {
  const whole = value.data[at] - zero;
  if (whole > MOST_WEIGHT || whole < -MOST_WEIGHT) throw site.refused(`a weight is larger than ${MOST_WEIGHT}`);
  return whole;
}

/** Whether two shapes are the same. */
function same(first, second) {
  return first.length === second.length && first.every((each, at) => each === second[at]);
}

/** How many numbers weights have that are repeated along the first axes of a value of the shape `whole`. */
function repeats(site, shape, whole) {
  const trimmed = shape.slice(shape.findIndex((each) => each !== 1));
  if (size(shape) === 1) return 1;
  if (!same(trimmed, whole.slice(whole.length - trimmed.length))) throw site.refused("the shapes do not fit");
  return size(trimmed);
}

return { DIMENSIONS, bytes, numbers, real, scalar, integers, axis, power, factors, rows, weight, same, repeats };
})();

const module9 = (() => {
// The products of exact networks, bytes times weights: Gemm, MatMul and Conv. All three are sums along rows that lie
// in the bytes in some order, which `multiply` is told.

const { give } = module2;
const { padded, size } = module3;
const { multiply, pack } = module7;
const { numbers, rows, weight } = module8;

const LONGEST = 2 ** 15; // terms of a sum

/** Of weights (outputs, terms), the weight of a term is at output * `across` + term * `along`. `outputAxis` is the axis
 *  of the outputs. Gives the function of the bytes of `x`, and what is known `about` it, from which its worst case is
 *  computed. */
function product(site, x, weights, bias, { outputs, terms, across, along, outputAxis, ...form }, layout) {
  const { scales, zero } = rows(site, weights, outputAxis, outputs);
  if (terms > LONGEST) throw site.refused(`sums of more than ${LONGEST} terms`);
  if (layout.table.length !== terms) throw site.refused("the shapes do not fit");
  site.adds(layout.groups * layout.height * layout.width * outputs * terms);
  const packed = site.kept(outputs * terms, () =>
    pack(outputs, terms, (output, term) => weight(site, weights, output * across + term * along, zero(output))),
  );
  const factor = scales.map((scale) => scale * x.scale);
  const added = biases(site, bias, factor);
  const stored = (output, term) => weights.data[output * across + term * along];
  const about = () => ({
    ...{ x, layout, outputs, scales, stored, biases: added, type: weights.type, ...form },
    weights: Float64Array.from({ length: outputs * terms }, (_, at) => {
      const output = Math.floor(at / terms);
      return stored(output, at % terms) - zero(output);
    }),
  });
  return { run: (data) => multiply(data, x.zero, layout, packed, factor, added), about };
}

/** Biases as numbers. Their scale is that of the sums. */
function biases(site, bias, factor) {
  if (!bias) return new Float64Array(factor.length);
  if (
    bias.kind !== "factors" ||
    bias.type !== Int32Array ||
    bias.shape.length !== 1 ||
    bias.shape[0] !== factor.length
  ) {
    throw site.refused("the biases are not int32, one for each output");
  }
  const { scales, zero } = rows(site, bias, 0, factor.length);
  if (!scales.every((scale, row) => scale === factor[row])) {
    throw site.refused("the scale of the biases is not that of activations times that of weights");
  }
  return scales.map((scale, row) => (bias.data[row] - zero(row)) * scale);
}

function kinds(site, x, weights, dimensions) {
  if (x.kind !== "operand" || weights.kind !== "factors" || weights.type === Int32Array) {
    throw site.refused("takes bytes and weights of 8 bits");
  }
  if (weights.shape.length !== dimensions) throw site.refused("the shapes do not fit");
}

/** Rows that follow each other. */
function plain(groups, terms) {
  return {
    groups,
    height: 1,
    width: 1,
    size: terms,
    down: 0,
    right: 0,
    table: Int32Array.from({ length: terms }, (_, at) => at),
  };
}

function gemm(site, x, weights, bias) {
  kinds(site, x, weights, 2);
  if (x.shape.length !== 2) throw site.refused("the shapes do not fit");
  const outputAxis = site.integer("transB", 0) ? 0 : 1;
  const [outputs, terms] = [weights.shape[outputAxis], weights.shape[1 - outputAxis]];
  const form = {
    outputs,
    terms,
    outputAxis,
    ...(outputAxis ? { across: 1, along: outputs } : { across: terms, along: 1 }),
  };
  const { run, about } = product(site, x, weights, bias, form, plain(x.shape[0], x.shape[1]));
  return { value: numbers([x.shape[0], outputs]), run, about };
}

function matmul(site, a, b) {
  if (a.kind === "factors") return fromLeft(site, a, b);
  kinds(site, a, b, 2);
  const [terms, outputs] = b.shape;
  const form = { outputs, terms, across: 1, along: outputs, outputAxis: 1 };
  const before = a.shape.slice(0, -1);
  return {
    value: numbers([...before, outputs]),
    ...product(site, a, b, null, form, plain(size(before), a.shape.at(-1))),
  };
}

/** Weights (outputs, terms) times bytes (..., terms, columns). */
function fromLeft(site, weights, x) {
  kinds(site, x, weights, 2);
  if (weights.axis !== null) throw site.refused("weights on the left must have one scale for all");
  if (x.shape.length < 2) throw site.refused("the shapes do not fit");
  const [outputs, terms] = weights.shape;
  const [length, columns] = x.shape.slice(-2);
  const table = Int32Array.from({ length }, (_, term) => term * columns);
  const groups = size(x.shape.slice(0, -2));
  const layout = { groups, height: 1, width: columns, size: length * columns, down: 0, right: 1, table };
  const form = { outputs, terms, across: terms, along: 1, outputAxis: 0, left: true };
  return {
    value: numbers([...x.shape.slice(0, -2), outputs, columns]),
    ...product(site, x, weights, null, form, layout),
  };
}

/** A convolution of images (N, C, H, W). */
function conv(site, x, weights, bias) {
  kinds(site, x, weights, 4);
  if (x.shape.length !== 4) throw site.refused("the shapes do not fit");
  const [pads, steps] = [site.integers("pads", [0, 0, 0, 0]), site.integers("strides", [1, 1])];
  const [outputs, channels, ...kernel] = weights.shape;
  const [groups, planes] = x.shape;
  const small = pads.every((pad) => pad >= 0 && pad < Math.max(...kernel));
  if (pads.length !== 4 || steps.length !== 2 || !small || planes !== channels)
    throw site.refused("the shapes do not fit");
  const declared = site.integers("kernel_shape", kernel);
  if (`${declared}` !== `${kernel}`) throw site.refused("kernel_shape is not that of the weights");
  const [tall, wide] = [x.shape[2] + pads[0] + pads[2], x.shape[3] + pads[1] + pads[3]];
  const [height, width] = [tall - kernel[0], wide - kernel[1]].map((rest, at) => Math.floor(rest / steps[at]) + 1);
  const stepping = steps.every((step) => step >= 1);
  if (!stepping || !(height >= 1 && width >= 1)) throw site.refused("a kernel or a step that does not fit");
  site.counts(groups * channels * tall * wide);
  const terms = size(weights.shape.slice(1));
  if (terms > LONGEST) throw site.refused(`sums of more than ${LONGEST} terms`);
  const area = kernel[0] * kernel[1];
  const table = Int32Array.from({ length: terms }, (_, term) => {
    const [channel, place] = [Math.floor(term / area), term % area];
    return (channel * tall + Math.floor(place / kernel[1])) * wide + (place % kernel[1]);
  });
  const layout = { groups, height, width, size: channels * tall * wide, down: steps[0] * wide, right: steps[1], table };
  const form = { outputs, terms, across: terms, along: 1, outputAxis: 0, pads };
  const { run: sums, about } = product(site, x, weights, bias, form, layout);
  const run = (data) => {
    const wide = padded(data, x.shape, pads, x.zero);
    const result = sums(wide);
    give(wide);
    return result;
  };
  return { value: numbers([groups, outputs, height, width]), run, about };
}

return { gemm, matmul, conv };
})();

const module10 = (() => {
// The operators of exact networks, with the meaning that ONNX gives them. Each is a function of what is known of its
// inputs before anything is computed; it gives what is known of its output, and a function from the arrays of its
// inputs to the array of its output.
//
// `site` is the node, see plan.js: it knows the attributes, refuses, and counts what is to be computed.

const { take } = module2;
const { joined, move, size } = module3;
const { conv, gemm, matmul } = module9;
const { DIMENSIONS, axis, bytes, factors, integers, numbers, power, real, repeats, same, scalar } = module8;

const MOST = { Uint8Array: [0, 255], Int8Array: [-128, 127] };
const ROUND = 1.5 * 2 ** 52; // added and taken away again, it rounds to whole numbers, halves to the even one
const PARTS = 64; // of a Concat
const SHIFTS = 7; // bits, at most

/** A function of each number of an array. */
function each(make, type) {
  return (data) => {
    const result = take(type, data.length);
    make(data, result);
    return result;
  };
}

// -- bytes to numbers, and back ---------------------------------------------------------------------------------------

function dequantise(site, x, scale, zero) {
  if (x.kind === "weights") return { value: factors(site, x, scale, zero, site.integer("axis", 1)) };
  if (x.kind !== "bytes") throw site.refused("takes bytes");
  if (zero && zero.type !== x.type) throw site.refused("the zero has another type than the bytes");
  const value = { ...x, kind: "operand", scale: power(site, scale), zero: zero ? scalar(site, zero) : 0 };
  return { value, run: (data) => data };
}

function quantise(site, x, scale, zero) {
  const [from, factor, offset] = [real(site, x), 1 / power(site, scale), scalar(site, zero)];
  const [start, unit] = [from.zero, from.scale * factor];
  const limits = MOST[zero.type.name];
  if (!limits) throw site.refused("gives bytes only");
  const [least, most] = limits;
  const run = each((data, result) => {
    for (let at = 0; at < data.length; at += 1) {
      const whole = (data[at] - start) * unit + ROUND - ROUND + offset;
      result[at] = whole < least ? least : whole > most ? most : whole;
    }
  }, zero.type);
  return { value: bytes(zero.type, x.shape), run };
}

// -- bytes ------------------------------------------------------------------------------------------------------------

/** An operator on a byte and a weight that is repeated. */
function withWeights(change, most = 255) {
  return (site, x, weights) => {
    if (x.kind !== "bytes" || x.type !== Uint8Array) throw site.refused("takes uint8");
    if (weights.kind !== "weights" || weights.type !== Uint8Array) throw site.refused("takes uint8 of the file");
    if (weights.data.some((weight) => weight > most)) throw site.refused(`a shift by more than ${most} bits`);
    const [length, data] = [repeats(site, weights.shape, x.shape), weights.data];
    const run = each((from, result) => {
      for (let start = 0; start < from.length; start += length) change(from, result, data, start, length);
    }, Uint8Array);
    return { value: bytes(Uint8Array, x.shape), run };
  };
}

const shift = withWeights((from, result, by, start, length) => {
  for (let at = 0; at < length; at += 1) result[start + at] = from[start + at] >> by[at];
}, SHIFTS);
const mask = withWeights((from, result, by, start, length) => {
  for (let at = 0; at < length; at += 1) result[start + at] = from[start + at] & by[at];
});

// -- numbers ----------------------------------------------------------------------------------------------------------

function plus(sign) {
  return (site, a, b) => {
    const [left, right] = [real(site, a), real(site, b)];
    if (!same(a.shape, b.shape)) throw site.refused("takes two values of one shape");
    const factor = sign * right.scale;
    const run = (first, second) => {
      const result = take(Float32Array, first.length);
      for (let at = 0; at < first.length; at += 1) {
        result[at] = (first[at] - left.zero) * left.scale + (second[at] - right.zero) * factor;
      }
      return result;
    };
    return { value: numbers(a.shape), run };
  };
}

/** An operator on single numbers. */
function onNumbers(make) {
  return (site, x) => {
    const { zero, scale } = real(site, x);
    return { value: numbers(x.shape), run: each((data, result) => make(data, result, zero, scale), Float32Array) };
  };
}

const relu = onNumbers((data, result, zero, scale) => {
  for (let at = 0; at < data.length; at += 1) {
    const number = (data[at] - zero) * scale;
    result[at] = number > 0 ? number : 0;
  }
});
const round = onNumbers((data, result, zero, scale) => {
  for (let at = 0; at < data.length; at += 1) result[at] = (data[at] - zero) * scale + ROUND - ROUND;
});

function clip(site, x, low, high) {
  const [least, most] = [scalar(site, low), scalar(site, high)];
  const type = x.kind === "bytes" ? x.type : Float32Array;
  if (low.type !== type || high.type !== type) throw site.refused("the limits have another type than the value");
  if (!Number.isInteger(least) || !Number.isInteger(most) || least > most) {
    throw site.refused("the limits are not whole numbers in order");
  }
  const { zero, scale } = x.kind === "bytes" ? { zero: 0, scale: 1 } : real(site, x);
  const run = each((data, result) => {
    for (let at = 0; at < data.length; at += 1) {
      const value = (data[at] - zero) * scale;
      result[at] = value < least ? least : value > most ? most : value;
    }
  }, type);
  return { value: type === Float32Array ? numbers(x.shape) : bytes(type, x.shape), run };
}

// -- the order of values ----------------------------------------------------------------------------------------------

function computed(site, x) {
  if (x.kind === "weights" || x.kind === "factors") throw site.refused("takes values, not weights");
}

function reshape(site, x, wanted) {
  computed(site, x);
  const shape = integers(site, wanted).map((length, at) => (length === 0 ? x.shape[at] : length));
  const free = shape.indexOf(-1);
  if (free >= 0) shape[free] = size(x.shape) / size(shape.filter((_, at) => at !== free));
  if (shape.length > DIMENSIONS || !shape.every((length) => length >= 1 && Number.isInteger(length))) {
    throw site.refused("a shape that does not fit");
  }
  if (size(shape) !== size(x.shape)) throw site.refused("a shape that does not fit");
  return { value: { ...x, shape }, run: (data) => data };
}

function transpose(site, x) {
  computed(site, x);
  const [order, shape] = [site.integers("perm"), x.shape];
  if (order.length !== shape.length || !shape.every((_, at) => order.includes(at))) throw site.refused("a bad perm");
  const [lengths, starts] = [order.map((from) => shape[from]), shape.map(() => 0)];
  return { value: { ...x, shape: lengths }, run: (data) => move(data, shape, order, starts, lengths) };
}

function slice(site, x, firsts, ends, axes) {
  computed(site, x);
  const [from, to, along] = [firsts, ends, axes].map((list) => integers(site, list));
  if (from.length !== along.length || to.length !== along.length) throw site.refused("lists of different lengths");
  const [shape, starts, lengths] = [x.shape, x.shape.map(() => 0), [...x.shape]];
  const places = along.map((number) => axis(site, number, shape));
  if (new Set(places).size !== places.length) throw site.refused("an axis is cut twice");
  places.forEach((place, at) => {
    const length = shape[place];
    const inside = (end) => Math.max(0, Math.min(length, end < 0 ? end + length : end));
    starts[place] = inside(from[at]);
    lengths[place] = inside(to[at]) - starts[place];
    if (lengths[place] < 1) throw site.refused("nothing would be left");
  });
  const order = shape.map((_, at) => at);
  return { value: { ...x, shape: lengths }, run: (data) => move(data, shape, order, starts, lengths) };
}

function concat(site, ...parts) {
  const [{ shape }] = parts;
  const along = axis(site, site.integer("axis", 0), shape);
  for (const part of parts) {
    if (part.kind !== "bytes" || part.type !== Uint8Array) throw site.refused("takes uint8");
    const fits =
      part.shape.length === shape.length && part.shape.every((length, at) => at === along || length === shape[at]);
    if (!fits) throw site.refused("the shapes do not fit");
  }
  const shapes = parts.map((part) => part.shape);
  const total = shapes.reduce((sum, one) => sum + one[along], 0);
  const value = bytes(
    Uint8Array,
    shape.map((length, at) => (at === along ? total : length)),
  );
  return { value, run: (...arrays) => joined(arrays, shapes, along) };
}

/** The operators by name: the function, how many inputs it takes, and the attributes it may have. */
const OPERATORS = new Map([
  ["Add", [plus(1), 2, 2, []]],
  ["BitShift", [shift, 2, 2, ["direction"]]],
  ["BitwiseAnd", [mask, 2, 2, []]],
  ["Clip", [clip, 3, 3, []]],
  ["Concat", [concat, 1, PARTS, ["axis"]]],
  ["Conv", [conv, 2, 3, ["kernel_shape", "pads", "strides"]]],
  ["DequantizeLinear", [dequantise, 2, 3, ["axis"]]],
  ["Gemm", [gemm, 2, 3, ["transB"]]],
  ["MatMul", [matmul, 2, 2, []]],
  ["QuantizeLinear", [quantise, 3, 3, []]],
  ["Relu", [relu, 1, 1, []]],
  ["Reshape", [reshape, 2, 2, []]],
  ["Round", [round, 1, 1, []]],
  ["Slice", [slice, 4, 4, []]],
  ["Sub", [plus(-1), 2, 2, []]],
  ["Transpose", [transpose, 1, 1, ["perm"]]],
]);

return { OPERATORS };
})();

const module11 = (() => {
// A network, and how it is computed for some number of records: all shapes and costs are known, and checked, before
// anything is computed.

const { give } = module2;
const { check } = module4;
const { BadModel, shown } = module0;
const { read } = module6;
const { size } = module3;
const { OPERATORS } = module10;
const { bytes } = module8;

const RECORD = 200; // bytes
const MULTIPLY_ADDS = 1e9; // of an image
const MEMORY = 2 ** 23; // bytes that an image takes at a time
const ELEMENTS = 2 ** 28; // of all values of an image together
const WEIGHTS = 2 ** 26; // of all products together
const PLANS = 8; // that are kept

/** An exact ONNX file. Throws `BadModel` if it has other operators, would take too much, or is not exact. */
class Network {
  #graph;
  #name;
  #plans = new Map();
  #kept = new Map();
  #weights = 0;

  constructor(file, name) {
    this.#graph = read(file, name);
    this.#name = name;
    const [one, three] = [1, 3].map((count) => this.#plan(count).output);
    if (one.shape.length < 2 || `${three.shape}` !== `${[3, ...one.shape.slice(1)]}`) {
      throw new BadModel(`${name}: must give one output for each record`);
    }
    this.output = { ...one, shape: one.shape.slice(1) };
    check(this.#plan(1).nodes(), this.#graph.source, RECORD);
  }

  /** Records, Uint8Array (N * 200) -> the array of the output. */
  run(records) {
    return this.#plan(records.length / RECORD).run(records);
  }

  #plan(count) {
    const known = this.#plans.get(count);
    if (known) return known;
    if (this.#plans.size >= PLANS) this.#plans.delete(this.#plans.keys().next().value);
    const plan = new Plan(this.#graph, this.#name, count, (node, weights, make) => this.#keep(node, weights, make));
    this.#plans.set(count, plan);
    return plan;
  }

  /** What is made of the weights of a node, once. */
  #keep(node, weights, make) {
    if (!this.#kept.has(node)) {
      this.#weights += weights;
      if (this.#weights > WEIGHTS) throw new BadModel(`${this.#name}: more than ${WEIGHTS} weights`);
      this.#kept.set(node, make());
    }
    return this.#kept.get(node);
  }
}

class Plan {
  #steps = [];
  #nodes = [];
  #source;

  constructor(graph, name, count, keep) {
    const budget = { multiplyAdds: MULTIPLY_ADDS * count, elements: ELEMENTS * count };
    const weights = [...graph.weights].map(([key, weight]) => [key, { kind: "weights", ...weight }]);
    const values = new Map([...weights, [graph.source, bytes(Uint8Array, [count, RECORD])]]);
    this.#source = graph.source;
    for (const node of graph.nodes) {
      const site = new Site(node, name, budget, keep);
      if (values.has(node.output)) throw site.refused(`a second value ${shown(node.output)}`);
      const inputs = node.inputs.map((input) => values.get(input));
      const { value, run, about } = site.compiled(inputs);
      this.#nodes.push({ site, node, inputs, value, run, about });
      values.set(node.output, value);
      if (run) this.#steps.push({ inputs: this.#computed(node, values), output: node.output, run, drop: [] });
    }
    this.output = values.get(graph.target);
    if (!["bytes", "operand", "numbers"].includes(this.output?.kind)) {
      throw new BadModel(`${name}: must compute its output`);
    }
    this.#target = graph.target;
    this.#drops(values, name, count);
  }

  #target;

  /** The nodes, with what is known of their inputs and outputs, for `check`. Afterwards they are forgotten. */
  nodes() {
    return this.#nodes.splice(0);
  }

  /** The inputs of a node that are not weights. */
  #computed(node, values) {
    return node.inputs.filter((input) => !["weights", "factors"].includes(values.get(input).kind));
  }

  /** Values are dropped after their last use; what is in use at a time is limited. */
  #drops(values, name, count) {
    const last = new Map();
    this.#steps.forEach((step) => step.inputs.forEach((input) => last.set(input, step)));
    last.forEach((step, input) => input !== this.#target && step.drop.push(input));
    const taken = (value) => size(values.get(value).shape) * values.get(value).type.BYTES_PER_ELEMENT;
    let using = taken(this.#source);
    for (const step of this.#steps) {
      using += taken(step.output);
      if (using > MEMORY * count) throw new BadModel(`${name}: takes more than ${MEMORY} bytes of memory for an image`);
      step.drop.forEach((value) => (using -= taken(value)));
    }
  }

  run(records) {
    const arrays = new Map([[this.#source, records]]);
    const users = new Map([[records, 1]]); // how many values an array is: a reshaped one is the same array
    for (const { inputs, output, run, drop } of this.#steps) {
      const result = run(...inputs.map((input) => arrays.get(input)));
      arrays.set(output, result);
      users.set(result, (users.get(result) ?? 0) + 1);
      for (const value of drop) {
        const array = arrays.get(value);
        const left = users.get(array) - 1;
        users.set(array, left);
        if (left === 0 && array !== records) give(array);
      }
    }
    return arrays.get(this.#target);
  }
}

/** A node as its operator sees it. */
class Site {
  #node;
  #name;
  #budget;
  #keep;

  constructor(node, name, budget, keep) {
    [this.#node, this.#name, this.#budget, this.#keep] = [node, name, budget, keep];
  }

  compiled(inputs) {
    const known = OPERATORS.get(this.#node.operator);
    if (!known) throw this.#wrong(`${shown(this.#node.operator)} is not an operator of exact networks`);
    const [make, fewest, most, allowed] = known;
    for (const attribute of this.#node.attributes.keys()) {
      if (!allowed.includes(attribute)) {
        throw this.refused(`has an attribute ${shown(attribute)} that exact networks do not have`);
      }
    }
    if (this.#node.operator === "BitShift" && this.#node.attributes.get("direction") !== "RIGHT") {
      throw this.refused("must go to the right");
    }
    if (inputs.includes(undefined)) throw this.refused("takes a value that does not exist before it");
    if (inputs.length < fewest || inputs.length > most) throw this.refused(`takes ${inputs.length} inputs`);
    const found = make(this, ...inputs);
    this.counts(size(found.value.shape));
    return found;
  }

  /** An attribute that is a whole number. */
  integer(name, otherwise) {
    const [value, ...more] = this.integers(name, [otherwise]);
    if (more.length) throw this.refused(`${name} must be one whole number`);
    return value;
  }

  /** An attribute that is a list of whole numbers. */
  integers(name, otherwise) {
    const value = this.#node.attributes.get(name) ?? otherwise;
    if (!Array.isArray(value) || value.length === 0) throw this.refused(`${name} must be whole numbers`);
    return value;
  }

  counts(elements) {
    this.#budget.elements -= elements;
    if (!(this.#budget.elements >= 0)) throw this.#wrong(`more than ${ELEMENTS} numbers for an image`);
  }

  adds(multiplyAdds) {
    this.#budget.multiplyAdds -= multiplyAdds;
    if (!(this.#budget.multiplyAdds >= 0)) throw this.#wrong(`more than ${MULTIPLY_ADDS} multiply-adds for an image`);
  }

  /** What is made of so many weights, once for all plans. */
  kept(weights, make) {
    return this.#keep(this.#node, weights, make);
  }

  refused(what) {
    return this.#wrong(`${this.#node.operator} of ${shown(this.#node.output)}: ${what}`);
  }

  #wrong(what) {
    return new BadModel(`${this.#name}: ${what}`);
  }
}

return { RECORD, Network };
})();

const module12 = (() => {
// What a program calls: a file of a codec, and its records.

const { BadModel, BadRecord, shown } = module0;
const { crc32, hexadecimal, sha256 } = module1;
const { size } = module3;
const { Network, RECORD } = module11;

const [FEWEST, MOST, TOGETHER] = [4, 32, 2 ** 18]; // records that are computed at a time; values of their outputs
const LOGIT = 1 / 256; // a step of logits
const LEAST = 2 ** -126; // scale of logits: float32 holds it

/** A decompressor or a classifier from its ONNX file: bytes, a URL, or in Node a path. `card` is the card.json of the
 *  codec or of the head; other options stand for single entries of it. A file with another SHA-256 is refused. */
async function load(source, { card, ...given } = {}) {
  const options = { ...(card && entries(card, nameOf(source, given))), ...given };
  const { file, name, found } = await fileOf(source, options);
  return new Decoder(file, name, found, options);
}

/** The bytes of a file, its name in messages, and its SHA-256, which must be that of the options. */
async function fileOf(source, options) {
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
function check(record) {
  if (record?.length !== RECORD) throw new BadRecord(`a record has ${RECORD} bytes, not ${record?.length}`);
  return hexadecimal(crc32(record));
}

/** One file: use `load`. */
class Decoder {
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

return { load, fileOf, check, Decoder };
})();

const module13 = (() => {
// The operators of compressors, in floats, for one image. A compressor need not be exact: any record that it makes is
// valid. A value is {shape, data}; all numbers are float32, the bytes of images and quantised values, too.

const { size } = module3;

const value = (shape, data) => ({ shape, data });

/** Numbers of two values, of equal shape or with one that is repeated. */
function broadcast(one, two, compute) {
  const length = Math.max(one.shape.length, two.shape.length);
  const [first, second] = [one, two].map(({ shape }) => [...Array(length - shape.length).fill(1), ...shape]);
  const shape = first.map((side, axis) => Math.max(side, second[axis]));
  const result = new Float32Array(size(shape));
  const steps = [first, second].map((own) =>
    own.map((side, axis) => (side === 1 ? 0 : size(own.slice(axis + 1)))),
  );
  const index = shape.map(() => 0);
  for (let at = 0, left = 0, right = 0; at < result.length; at += 1) {
    result[at] = compute(one.data[left], two.data[right]);
    for (let axis = length - 1; axis >= 0; axis -= 1) {
      [index[axis], left, right] = [index[axis] + 1, left + steps[0][axis], right + steps[1][axis]];
      if (index[axis] < shape[axis]) break;
      [left, right] = [left - steps[0][axis] * shape[axis], right - steps[1][axis] * shape[axis]];
      index[axis] = 0;
    }
  }
  return value(shape, result);
}

const each = (x, compute) => value(x.shape, Float32Array.from(x.data, compute));

/** Half to even, as ONNX rounds. */
function rint(number) {
  const floor = Math.floor(number);
  const rest = number - floor;
  if (rest !== 0.5) return Math.round(number);
  return floor % 2 ? floor + 1 : floor;
}

function transpose(x, order) {
  const shape = order.map((axis) => x.shape[axis]);
  const steps = order.map((axis) => size(x.shape.slice(axis + 1)));
  const result = new Float32Array(x.data.length);
  const index = shape.map(() => 0);
  for (let at = 0, from = 0; at < result.length; at += 1) {
    result[at] = x.data[from];
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      [index[axis], from] = [index[axis] + 1, from + steps[axis]];
      if (index[axis] < shape[axis]) break;
      from -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return value(shape, result);
}

function product(a, b) {
  const [rows, terms] = a.shape;
  const columns = b.shape[1];
  const result = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const line = result.subarray(row * columns, (row + 1) * columns);
    for (let term = 0; term < terms; term += 1) {
      const factor = a.data[row * terms + term];
      if (factor === 0) continue;
      const start = term * columns;
      for (let column = 0; column < columns; column += 1) line[column] += factor * b.data[start + column];
    }
  }
  return value([rows, columns], result);
}

/** a times the rows of b. */
function productWithRows(a, b) {
  const [rows, terms] = a.shape;
  const outputs = b.shape[0];
  const result = new Float32Array(rows * outputs);
  for (let row = 0; row < rows; row += 1) {
    for (let output = 0; output < outputs; output += 1) {
      let sum = 0;
      for (let term = 0; term < terms; term += 1) sum += a.data[row * terms + term] * b.data[output * terms + term];
      result[row * outputs + output] = sum;
    }
  }
  return value([rows, outputs], result);
}

function gemm({ integer }, a, b, c) {
  const made = integer("transB", 0) ? productWithRows(a, b) : product(a, b);
  return c ? broadcast(made, c, (one, two) => one + two) : made;
}

function around(x, [top, left, bottom, right], filler) {
  const [count, channels, rows, columns] = x.shape;
  const [tall, wide] = [top + rows + bottom, left + columns + right];
  const result = new Float32Array(count * channels * tall * wide).fill(filler);
  for (let row = 0; row < count * channels * rows; row += 1) {
    const to = (Math.floor(row / rows) * tall + top + (row % rows)) * wide + left;
    result.set(x.data.subarray(row * columns, (row + 1) * columns), to);
  }
  return value([count, channels, tall, wide], result);
}

function conv({ integers }, x, weights, bias) {
  const padded = around(x, integers("pads", [0, 0, 0, 0]), 0);
  const [down, across] = integers("strides", [1, 1]);
  const [, channels, tall, wide] = padded.shape;
  const [outputs, , height, width] = weights.shape;
  const [rows, columns] = [Math.floor((tall - height) / down) + 1, Math.floor((wide - width) / across) + 1];
  const result = new Float32Array(outputs * rows * columns);
  for (let output = 0, w = 0; output < outputs; output += 1) {
    const plane = result.subarray(output * rows * columns, (output + 1) * rows * columns).fill(bias?.data[output] ?? 0);
    for (let channel = 0; channel < channels; channel += 1) {
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1, w += 1) {
          const weight = weights.data[w];
          const start = (channel * tall + y) * wide + x;
          let to = 0;
          for (let row = 0; row < rows; row += 1) {
            let from = start + row * down * wide;
            for (const end = to + columns; to < end; to += 1, from += across) plane[to] += weight * padded.data[from];
          }
        }
      }
    }
  }
  return value([1, outputs, rows, columns], result);
}

function maxPool({ integers }, x) {
  const [[height, width], [down, across]] = [integers("kernel_shape", []), integers("strides", [1, 1])];
  const [count, channels, tall, wide] = x.shape;
  const [rows, columns] = [Math.floor((tall - height) / down) + 1, Math.floor((wide - width) / across) + 1];
  const result = new Float32Array(count * channels * rows * columns).fill(-Infinity);
  result.forEach((_, at) => {
    const [plane, row, column] = [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns];
    for (let y = 0; y < height; y += 1) {
      const from = (plane * tall + row * down + y) * wide + column * across;
      for (let x_ = 0; x_ < width; x_ += 1) result[at] = Math.max(result[at], x.data[from + x_]);
    }
  });
  return value([count, channels, rows, columns], result);
}

/** The zero and the scale of each number: one for all, or one for each index along an axis. */
function scaled(x, scale, zero, axis, compute) {
  const inner = scale.data.length === 1 ? Infinity : size(x.shape.slice(axis + 1));
  return each(x, (number, at) => {
    const which = inner === Infinity ? 0 : Math.floor(at / inner) % scale.data.length;
    return compute(number, scale.data[which], zero ? zero.data[which] : 0);
  });
}

function quantise({ integer }, x, scale, zero) {
  const [least, most] = zero?.type === Int8Array ? [-128, 127] : [0, 255];
  const step = (number, by, from) => Math.max(least, Math.min(most, rint(number / by) + from));
  return { ...scaled(x, scale, zero, integer("axis", 1), step), type: zero?.type ?? Uint8Array };
}

function reshape(_, x, wanted) {
  const shape = [...wanted.data].map((side, axis) => (side === 0 ? x.shape[axis] : side));
  const known = shape.reduce((product_, side) => (side === -1 ? product_ : product_ * side), 1);
  return value(shape.map((side) => (side === -1 ? x.data.length / known : side)), x.data);
}

function spaceToDepth({ integer }, x) {
  const [block, [count, channels, rows, columns]] = [integer("blocksize", 1), x.shape];
  const split = value([count, channels, rows / block, block, columns / block, block], x.data);
  const { data } = transpose(split, [0, 3, 5, 1, 2, 4]);
  return value([count, channels * block ** 2, rows / block, columns / block], data);
}

function unsqueeze(_, x, axes) {
  const shape = [...x.shape];
  for (const axis of [...axes.data].sort((one, two) => one - two)) {
    shape.splice(axis < 0 ? axis + x.shape.length + axes.data.length : axis, 0, 1);
  }
  return value(shape, x.data);
}

function concat({ integer }, ...parts) {
  const axis = integer("axis", 0) < 0 ? integer("axis", 0) + parts[0].shape.length : integer("axis", 0);
  const shape = [...parts[0].shape];
  shape[axis] = parts.reduce((sum, part) => sum + part.shape[axis], 0);
  const [result, blocks] = [new Float32Array(size(shape)), parts.map((part) => size(part.shape.slice(axis)))];
  const whole = blocks.reduce((sum, block) => sum + block, 0);
  let start = 0;
  parts.forEach((part, number) => {
    for (let at = 0; at * blocks[number] < part.data.length; at += 1) {
      result.set(part.data.subarray(at * blocks[number], (at + 1) * blocks[number]), at * whole + start);
    }
    start += blocks[number];
  });
  return value(shape, result);
}

/** Each takes the attributes of a node and its inputs. */
const FLOATS = {
  Add: (_, x, y) => broadcast(x, y, (one, two) => one + two),
  Mul: (_, x, y) => broadcast(x, y, (one, two) => one * two),
  Max: (_, x, y) => broadcast(x, y, Math.max),
  Min: (_, x, y) => broadcast(x, y, Math.min),
  Clip: (_, x, least, most) => each(x, (number) => Math.max(least.data[0], Math.min(most.data[0], number))),
  Relu: (_, x) => each(x, (number) => Math.max(0, number)),
  Cast: (_, x) => x,
  Flatten: ({ integer }, x) => {
    const rows = size(x.shape.slice(0, integer("axis", 1)));
    return value([rows, x.data.length / rows], x.data);
  },
  Transpose: ({ integers }, x) => transpose(x, integers("perm", x.shape.map((_, axis) => x.shape.length - 1 - axis))),
  MatMulInteger: (_, x, y, zero) => product(zero ? each(x, (number) => number - zero.data[0]) : x, y),
  DequantizeLinear: ({ integer }, x, scale, zero) =>
    scaled(x, scale, zero, integer("axis", 1), (number, by, from) => (number - from) * by),
  Pad: (_, x, pads, filler) => around(x, [2, 3, 6, 7].map((at) => pads.data[at]), filler?.data[0] ?? 0),
  Concat: concat,
  Conv: conv,
  Gemm: gemm,
  MaxPool: maxPool,
  QuantizeLinear: quantise,
  Reshape: reshape,
  SpaceToDepth: spaceToDepth,
  Unsqueeze: unsqueeze,
};

return { FLOATS };
})();

const module14 = (() => {
// Latents to a sealed record: 400 symbols whose CRC-32 is the id of the codec. The rules are those of docs/format.md.

const { BadRecord } = module0;
const { crc32 } = module1;
const { RECORD } = module11;

const [SYMBOLS, NEVER] = [400, 1e30]; // the cost of a move that changes the image much

/** The record of a compressor's latents, Float32Array. `widths` are [bits, how many] in their order; the last `labels`
 *  of them serve the classifier, and stay as they are. `id` is the codec's, a whole number. */
function sealed(latents, widths, labels, id) {
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

return { sealed };
})();

const module15 = (() => {
// Images to records, at effort 0: the compressor's latents, rounded and sealed. In floats, so that another machine may
// write another record of the same image; both are valid.

const { fileOf } = module12;
const { BadModel, BadRecord, shown } = module0;
const { FLOATS } = module13;
const { size } = module3;
const { read } = module6;
const { sealed } = module14;

/** A compressor from its ONNX file: bytes, a URL, or in Node a path. `id` is the codec's, eight hexadecimal digits;
 *  `shape`, `latents` and `labels` are `shape`, `latents` and `label_latents` of its card. */
async function loadCompressor(source, options) {
  const { file, name } = await fileOf(source, options);
  return new Compressor(file, name, options);
}

/** One file: use `loadCompressor`. */
class Compressor {
  #graph;
  #name;
  #options;

  constructor(file, name, { id, shape, latents = [[4, 400]], labels = 0 }) {
    this.#graph = read(file, name, { floats: true });
    [this.#name, this.#options] = [name, { latents, labels }];
    [this.id, this.shape] = [id.toLowerCase(), shape];
    for (const { operator } of this.#graph.nodes) {
      if (!Object.hasOwn(FLOATS, operator)) throw new BadModel(`${name}: has the operator ${shown(operator)}`);
    }
  }

  /** The latents of one image, Uint8Array of `shape`: Float32Array. */
  latents(pixels) {
    if (!(pixels instanceof Uint8Array) || pixels.length !== size(this.shape)) {
      throw new BadRecord(`an image of this codec is a Uint8Array of ${this.shape.join(" x ")}`);
    }
    const { nodes, weights, source, target } = this.#graph;
    const values = new Map(weights).set(source, { shape: [1, ...this.shape], data: Float32Array.from(pixels) });
    for (const { operator, inputs, output, attributes } of nodes) {
      const integers = (name, default_) => attributes.get(name) ?? default_;
      const site = { integers, integer: (name, default_) => integers(name, [default_])[0] };
      const found = inputs.map((input) => values.get(input));
      if (found.some((each) => !each)) throw new BadModel(`${this.#name}: ${shown(output)} has no input`);
      values.set(output, FLOATS[operator](site, ...found));
    }
    return values.get(target).data;
  }

  /** The record of one image. */
  encode(pixels) {
    const { latents, labels } = this.#options;
    return sealed(this.latents(pixels), latents, labels, parseInt(this.id, 16));
  }
}

return { loadCompressor, Compressor };
})();

const module16 = (() => {
// Images of any size: a description, and behind it the tiles. docs/format.md says how they are joined.

const { BadRecord } = module0;
const { crc32, hexadecimal } = module1;
const { RECORD } = module11;

const [ID, MAGIC, VERSION] = [0x41544c01, 0x41544c43, 1];
const [BLENDED, FILTERED, SMOOTHED] = [1, 2, 3]; // how seams are treated; the last ones are blended, too
const LARGEST = 2 ** 26; // pixels
const [EDGE, SHARP, UNKNOWN] = [32, 64, 128];

/** What the description of a grid says, or null for another record. Throws `BadRecord` for one of a later version. */
function describe(record) {
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
function join(described, tiles, there) {
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

return { describe, join };
})();

const module17 = (() => {
// How far records are from each other: the Euclidean distance of their latents, as similarity search computes it.
//
// The squared distance is a sum over the latents. A table for each byte has what its latents add, by the value of the
// byte; latents of 3 and 6 bits fill 12 bits together, so that three bytes have two tables.

const { BadRecord } = module0;
const { RECORD } = module11;

const SYMBOLS = [[4, 400]]; // what a codec has whose card says nothing of its latents
const HALF = 4096; // values of 12 bits

/** The distance of each record from one of the same codec: Float32Array. `latents` is that of the codec's card. */
function distances(records, query, latents = SYMBOLS) {
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

return { distances };
})();

const module18 = (() => {
// Reads .atlc records in plain JavaScript: see README.md.

const { Compressor, loadCompressor } = module15;
const { Decoder, check, load } = module12;
const { BadModel, BadRecord } = module0;
const { describe, join } = module16;
const { distances } = module17;

return { Compressor, loadCompressor, Decoder, check, load, BadModel, BadRecord, describe, join, distances };
})();

return module18;
})();
