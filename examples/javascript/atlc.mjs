// Reads .atlc files in JavaScript. docs/format.md describes the format; the models are the ONNX files in models/.
//
//   npm ci --ignore-scripts                 once, in this folder; a package script would download CUDA
//   node atlc.mjs FILE [MODELS] [OUT.pgm]   prints the label of every record; OUT.pgm gets the images, one below the other:
//                                           grey ones of one size; in colour they are a PPM file
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
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
  const { labels, scale = 1 } = json(head, "card.json");
  Object.assign(model, { labels, scale });
}

/** One record, Uint8Array(200), to its label and pixels: Uint8Array, rows from the top, 0 black and 255 white. Their shape
 *  is [rows, columns], or [rows, columns, 3] for red, green and blue. */
export async function read(record, installed) {
  const id = crc32(record); // the seal: the CRC-32 of a whole record is the id of the model that wrote it
  const model = installed.get(id);
  if (!model) throw new Error(`damaged, or its model is not installed (id ${id.toString(16).padStart(8, "0")})`);
  if (!model.labels) await load(model);
  const records = new ort.Tensor("uint8", record, [1, RECORD]);
  const logits = (await model.classifier.run({ records })).logits.data; // straight from the record, without decoding it
  const best = logits.indexOf(Math.max(...logits));
  const probability = 1 / logits.reduce((sum, logit) => sum + Math.exp((logit - logits[best]) * model.scale), 0);
  const { images } = await model.decompressor.run({ records });
  return { label: model.labels[best], probability, pixels: images.data, shape: images.dims.slice(1) };
}

/** Images of one shape as a PGM file, or in colour as a PPM file: one below the other. */
export function sheet(images) {
  const [rows, columns, colours] = images[0].shape;
  if (images.some(({ shape }) => `${shape}` !== `${images[0].shape}`)) throw new Error("images of several shapes fit no one file");
  const header = `${colours ? "P6" : "P5"} ${columns} ${rows * images.length} 255\n`;
  return Buffer.concat([Buffer.from(header), ...images.map(({ pixels }) => pixels)]);
}

if (process.argv[1] === import.meta.filename) {
  const [file, folder = join(import.meta.dirname, "../../models"), target] = process.argv.slice(2);
  const fail = (code, message) => {
    console.error(message);
    process.exit(code);
  };
  if (!file) fail(2, "usage: node atlc.mjs FILE [MODELS] [OUT.pgm]");
  for (const path of [file, folder]) if (!existsSync(path)) fail(1, `${path}: does not exist`);
  if (statSync(file).isDirectory()) fail(1, `${file}: is a folder`);
  const [bytes, installed, pictures] = [new Uint8Array(readFileSync(file)), models(folder), []];
  const known = Array.from({ length: Math.ceil(bytes.length / RECORD) }, (_, n) => installed.has(crc32(bytes.slice(n * RECORD, (n + 1) * RECORD))));
  if (bytes.length && !known.includes(true)) fail(1, `${file}: holds no record of an installed model; is it an .atlc file?`);
  for (let start = 0; start < bytes.length; start += RECORD) {
    try {
      const image = await read(bytes.slice(start, start + RECORD), installed);
      console.log(`${start / RECORD}: ${image.label} (${(100 * image.probability).toFixed(1)}%)`);
      pictures.push(image);
    } catch (error) {
      console.error(`${start / RECORD}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  if (target && pictures.length) writeFileSync(target, sheet(pictures));
}
