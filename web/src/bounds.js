// What an exact network can do in the worst case, computed from its file before it runs, as `atlcodec/bounds.py` does:
// a file that is not exact on all machines is refused here, too.
//
// Every value of a record gets a range, from its least to its largest number; numbers get a unit that they are
// multiples of. Bytes that stand for numbers keep the range of the bytes.

import { padded } from "./moves.js";

const SUM = 2 ** 24; // units: float32 and int32 hold all whole numbers below
const PAIR = 32_767; // two products of bytes and int8, which some processors add in 16 bits
const ROUND = 1.5 * 2 ** 52; // added and taken away again, it rounds to whole numbers, halves to the even one
const LIMITS = { Uint8Array: [0, 255], Int8Array: [-128, 127] };

/** Refuse a network that breaks a bound. `nodes` are those of a plan for one record: {site, node, inputs, value, run,
 *  about}; `source` is the name of its input, which has `length` bytes. */
export function check(nodes, source, length) {
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
