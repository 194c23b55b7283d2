// The nodes and the weights of an ONNX file (the numbers of fields are those of onnx.proto).

import { BadModel, shown } from "./errors.js";
import { Fields, NotProtobuf, content, text } from "./protobuf.js";

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
export function read(file, name, { floats = false } = {}) {
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
