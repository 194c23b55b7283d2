// A network, and how it is computed for some number of records: all shapes and costs are known, and checked, before
// anything is computed.

import { give } from "./arrays.js";
import { check } from "./bounds.js";
import { BadModel, shown } from "./errors.js";
import { read } from "./onnx.js";
import { size } from "./moves.js";
import { OPERATORS } from "./operators.js";
import { bytes } from "./values.js";

export const RECORD = 200; // bytes
const MULTIPLY_ADDS = 1e9; // of an image
const MEMORY = 2 ** 23; // bytes that an image takes at a time
const ELEMENTS = 2 ** 28; // of all values of an image together
const WEIGHTS = 2 ** 26; // of all products together
const PLANS = 8; // that are kept

/** An exact ONNX file. Throws `BadModel` if it has other operators, would take too much, or is not exact. */
export class Network {
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
