// The operators of compressors, in floats, for one image. A compressor need not be exact: any record that it makes is
// valid. A value is {shape, data}; all numbers are float32, the bytes of images and quantised values, too.

import { size } from "./moves.js";

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
export const FLOATS = {
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
