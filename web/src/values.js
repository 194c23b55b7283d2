// What is known of a value before anything is computed: its shape, and what its array holds.
//
//   bytes      Uint8Array or Int8Array, as they are
//   operand    bytes again, which stand for (byte - zero) * scale
//   numbers    Float32Array: whole numbers times a power of two
//   weights    an array of the file
//   factors    weights that stand for (weight - zero) * scale, with one scale for all or one for each index along an
//              axis

import { size } from "./moves.js";

const DIGITS = 15; // the largest m of a scale m * 2^-k
const [SMALLEST, LARGEST] = [1 / 2 ** 30, 256]; // scales
export const DIMENSIONS = 8; // of a value
const MOST_WEIGHT = 127;

export const bytes = (type, shape) => ({ kind: "bytes", type, shape });
export const numbers = (shape) => ({ kind: "numbers", type: Float32Array, shape });

/** The zero and the scale with which the array of a value gives numbers: (x - zero) * scale. */
export function real(site, value) {
  if (value.kind === "numbers") return { zero: 0, scale: 1 };
  if (value.kind !== "operand") throw site.refused("takes numbers");
  return value;
}

/** The one number of weights. */
export function scalar(site, value) {
  if (value?.kind !== "weights" || value.data.length !== 1) throw site.refused("takes single numbers of the file");
  return value.data[0];
}

/** A list of whole numbers of 64 or 32 bits. */
export function integers(site, value) {
  const whole = value?.type === Float64Array || value?.type === Int32Array;
  const list = value?.kind === "weights" && value.shape.length === 1 && value.data.length <= DIMENSIONS;
  if (!list || !whole) throw site.refused("takes short lists of whole numbers of the file");
  return [...value.data];
}

/** An axis of a shape, which may be counted from the end. */
export function axis(site, number, shape) {
  const found = number < 0 ? number + shape.length : number;
  if (!(Number.isInteger(found) && found >= 0 && found < shape.length)) throw site.refused("has no such axis");
  return found;
}

/** The scale of an activation. */
export function power(site, value) {
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
export function factors(site, { type, shape, data }, scales, zeros, along) {
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
export function rows(site, value, along, count) {
  if (value.axis !== null && value.axis !== along) throw site.refused("takes one scale for all or one for each output");
  const each = (list, default_) => (row) => list?.[value.axis === null ? 0 : row] ?? default_;
  const [scale, zero] = [each(value.scales, 1), each(value.zeros, 0)];
  return { scales: Float64Array.from({ length: count }, (_, row) => scale(row)), zero };
}

/** A weight without its zero, a whole number. */
export function weight(site, value, at, zero) {
  const whole = value.data[at] - zero;
  if (whole > MOST_WEIGHT || whole < -MOST_WEIGHT) throw site.refused(`a weight is larger than ${MOST_WEIGHT}`);
  return whole;
}

/** Whether two shapes are the same. */
export function same(first, second) {
  return first.length === second.length && first.every((each, at) => each === second[at]);
}

/** How many numbers weights have that are repeated along the first axes of a value of the shape `whole`. */
export function repeats(site, shape, whole) {
  const trimmed = shape.slice(shape.findIndex((each) => each !== 1));
  if (size(shape) === 1) return 1;
  if (!same(trimmed, whole.slice(whole.length - trimmed.length))) throw site.refused("the shapes do not fit");
  return size(trimmed);
}
