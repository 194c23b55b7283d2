// Runs the decoder in web/ for tests/pages/test_web_decoder.py.
//
//   node web_driver.mjs FOLDER SIZES     each FILE.onnx of a folder, on the records in its file `records`, in batches of each
//                                        of the sizes (1,3,...): writes FILE.SIZE.bin, and a line of JSON for each file
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { BadModel } from "../web/index.js";
import { Network, RECORD } from "../web/src/plan.js";

const [folder, sizes] = process.argv.slice(2);
const records = new Uint8Array(readFileSync(join(folder, "records")));
const files = readdirSync(folder).filter((name) => name.endsWith(".onnx"));

/** What a network makes of all records, in batches; numbers are float32. */
function outputs(network, size) {
  const { kind, zero = 0, scale = 1 } = network.output;
  const parts = [];
  for (let start = 0; start < records.length; start += size * RECORD) {
    const part = network.run(records.slice(start, start + size * RECORD));
    parts.push(kind === "bytes" ? Uint8Array.from(part) : Float32Array.from(part, (byte) => (byte - zero) * scale));
  }
  return Buffer.concat(parts.map((part) => new Uint8Array(part.buffer)));
}

for (const name of files.sort()) {
  const said = { name };
  try {
    const network = new Network(new Uint8Array(readFileSync(join(folder, name))), name);
    for (const size of sizes.split(",")) {
      writeFileSync(join(folder, `${name.slice(0, -5)}.${size}.bin`), outputs(network, Number(size)));
    }
  } catch (error) {
    said.refused = error.message;
    if (!(error instanceof BadModel)) said.crash = error.stack;
  }
  console.log(JSON.stringify(said));
}
