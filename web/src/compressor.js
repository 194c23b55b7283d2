// Images to records, at effort 0: the compressor's latents, rounded and sealed. In floats, so that another machine may
// write another record of the same image; both are valid.

import { fileOf } from "./decoder.js";
import { BadModel, BadRecord, shown } from "./errors.js";
import { FLOATS } from "./floats.js";
import { size } from "./moves.js";
import { read } from "./onnx.js";
import { sealed } from "./seal.js";

/** A compressor from its ONNX file: bytes, a URL, or in Node a path. `id` is the codec's, eight hexadecimal digits;
 *  `shape`, `latents` and `labels` are `shape`, `latents` and `label_latents` of its card. */
export async function loadCompressor(source, options) {
  const { file, name } = await fileOf(source, options);
  return new Compressor(file, name, options);
}

/** One file: use `loadCompressor`. */
export class Compressor {
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
