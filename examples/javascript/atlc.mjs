// Reads .atlc files in JavaScript. docs/format.md describes the format; the models are the ONNX files in models/.
//
//   npm ci --ignore-scripts                 once, in this folder; a package script would download CUDA
//   node atlc.mjs FILE [MODELS] [OUT.pgm]   prints the label of every record; OUT.pgm gets the images, one below the other
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";

process.env.ORT_DISABLE_TELEMETRY ??= "1"; // ONNX Runtime reads it when it is loaded: hence no static import
const { default: ort } = await import("onnxruntime-node");

const RECORD = 200; // bytes: 400 symbols of four bits, which the networks unpack themselves
const json = (...path) => JSON.parse(readFileSync(join(...path), "utf8"));
const network = (...path) => ort.InferenceSession.create(join(...path), { intraOpNumThreads: 1 });

/** The models in a folder, by id. */
export function models(folder) {
  const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => existsSync(join(folder, entry.name, "card.json")));
  return new Map(folders.map(({ name }) => [parseInt(json(folder, name, "card.json").id, 16), { folder: join(folder, name) }]));
}

async function load(model) {
  const head = join(model.folder, "heads", json(model.folder, "card.json").default_head);
  model.decompressor = await network(model.folder, "decompressor.onnx");
  model.classifier = await network(head, "classifier.onnx");
  model.labels = json(head, "card.json").labels;
}

/** One record, Uint8Array(200), to its label and pixels: Uint8Array(784), rows from the top, 0 black and 255 white. */
export async function read(record, installed) {
  const id = crc32(record); // the seal: the CRC-32 of a whole record is the id of the model that wrote it
  const model = installed.get(id);
  if (!model) throw new Error(`damaged, or its model is not installed (id ${id.toString(16).padStart(8, "0")})`);
  if (!model.labels) await load(model);
  const records = new ort.Tensor("uint8", record, [1, RECORD]);
  const logits = (await model.classifier.run({ records })).logits.data; // straight from the record, without decoding it
  const best = logits.indexOf(Math.max(...logits));
  const probability = 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - logits[best]), 0);
  return { label: model.labels[best], probability, pixels: (await model.decompressor.run({ records })).images.data };
}

if (process.argv[1] === import.meta.filename) {
  const [file, folder = join(import.meta.dirname, "../../models"), target] = process.argv.slice(2);
  if (!file) throw new Error("usage: node atlc.mjs FILE [MODELS] [OUT.pgm]");
  const [bytes, installed, pictures] = [new Uint8Array(readFileSync(file)), models(folder), []];
  for (let start = 0; start < bytes.length; start += RECORD) {
    try {
      const { label, probability, pixels } = await read(bytes.slice(start, start + RECORD), installed);
      console.log(`${start / RECORD}: ${label} (${(100 * probability).toFixed(1)}%)`);
      pictures.push(pixels);
    } catch (error) {
      console.error(`${start / RECORD}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  if (target) writeFileSync(target, Buffer.concat([Buffer.from(`P5 28 ${28 * pictures.length} 255\n`), ...pictures]));
}
