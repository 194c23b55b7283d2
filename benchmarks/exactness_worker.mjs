// Runs exact networks in JavaScript, for exactness.py: with the decoder in web/, or with a package of ONNX Runtime.
//
//   node exactness_worker.mjs plain|PACKAGE FOLDER     as exactness_worker.py; PACKAGE is a folder with a package.json
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { Network } from "../web/src/plan.js";

const [kind, folder] = process.argv.slice(2);
const job = JSON.parse(readFileSync(join(folder, "job.json"), "utf8"));
const file = new Uint8Array(readFileSync(join(folder, "file.onnx")));
const records = new Uint8Array(readFileSync(join(folder, "records")));
const expected = readFileSync(join(folder, "wanted"));
const Numbers = job.type === "uint8" ? Uint8Array : Float32Array;
const wanted = new Numbers(expected.buffer.slice(expected.byteOffset, expected.byteOffset + expected.length));
const [SMALL, FEW] = [8, 64]; // as in exactness_worker.py
const LEVELS = {
  ORT_DISABLE_ALL: "disabled",
  ORT_ENABLE_BASIC: "basic",
  ORT_ENABLE_EXTENDED: "extended",
  ORT_ENABLE_ALL: "all",
};

/** A function from some records to numbers, and the version. */
function plain() {
  const network = new Network(file, "file.onnx");
  const { kind, zero = 0, scale = 1 } = network.output;
  const run = (some) => {
    const found = network.run(some);
    return kind === "bytes" ? Numbers.from(found) : Numbers.from(found, (byte) => (byte - zero) * scale);
  };
  const { version } = JSON.parse(readFileSync(new URL("../web/package.json", import.meta.url), "utf8"));
  return { run: () => run, version };
}

function packaged() {
  const require = createRequire(join(kind, "package.json"));
  const ort = require(kind);
  if (ort.env.wasm) ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  const run = async ({ level, threads }) => {
    const options = { graphOptimizationLevel: LEVELS[level], intraOpNumThreads: threads, logSeverityLevel: 4 };
    const session = await ort.InferenceSession.create(file, options);
    return async (some) => {
      const input = new ort.Tensor("uint8", some, [some.length / job.length, job.length]);
      const result = await session.run({ records: input });
      return result[session.outputNames[0]].data;
    };
  };
  return { run, version: require("./package.json").version };
}

const backEnd = kind === "plain" ? plain() : packaged();
let [differ, compared, sha256] = [0, 0, ""];
for (const way of job.ways) {
  const run = await backEnd.run(way);
  const count = way.batch < SMALL ? Math.min(way.count, FEW) : way.count;
  const hash = createHash("sha256");
  let at = 0;
  for (let start = 0; start < count; start += way.batch) {
    const some = records.slice(start * job.length, Math.min(start + way.batch, count) * job.length);
    const found = (await run(some)).map((number) => number + 0); // -0, which some ways give, as 0
    hash.update(new Uint8Array(found.buffer, found.byteOffset, found.byteLength));
    for (const number of found) if (number !== wanted[at++]) differ += 1;
  }
  compared += at;
  sha256 ||= hash.digest("hex");
}
console.log(JSON.stringify({ version: backEnd.version, machine: process.arch, sha256, differ, compared }));
