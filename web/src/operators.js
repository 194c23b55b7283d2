// The operators of exact networks, with the meaning that ONNX gives them. Each is a function of what is known of its
// inputs before anything is computed; it gives what is known of its output, and a function from the arrays of its
// inputs to the array of its output.
//
// `site` is the node, see plan.js: it knows the attributes, refuses, and counts what is to be computed.

import { take } from "./arrays.js";
import { joined, move, size } from "./moves.js";
import { conv, gemm, matmul } from "./products.js";
import { DIMENSIONS, axis, bytes, factors, integers, numbers, power, real, repeats, same, scalar } from "./values.js";

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
export const OPERATORS = new Map([
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
