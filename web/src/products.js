// The products of exact networks, bytes times weights: Gemm, MatMul and Conv. All three are sums along rows that lie
// in the bytes in some order, which `multiply` is told.

import { give } from "./arrays.js";
import { padded, size } from "./moves.js";
import { multiply, pack } from "./multiply.js";
import { numbers, rows, weight } from "./values.js";

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

export function gemm(site, x, weights, bias) {
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

export function matmul(site, a, b) {
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
export function conv(site, x, weights, bias) {
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
