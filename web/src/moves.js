// The order of values: a value of another shape is the same array, and a transposed one a copy.

import { take } from "./arrays.js";

/** How many numbers a shape has. */
export function size(shape) {
  return shape.reduce((product, each) => product * each, 1);
}

/** Of an array of a shape, the numbers whose index along axis k is starts[k], starts[k] + 1 ... in the order of axes
 *  `order`. `lengths`, of the result, are in that order. */
export function move(data, shape, order, starts, lengths) {
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
export function padded(data, [count, channels, rows, columns], [top, left, bottom, right], value) {
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
export function joined(parts, shapes, axis) {
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
