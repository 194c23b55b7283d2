// Checks the decoder in web/ against the conformance set: node check.mjs CASES.json MODELS
// Prints a line for each answer that is wrong, and at last how many were compared.
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";

import { check, load } from "../../web/index.js";

const [cases, models] = process.argv.slice(2);
let [compared, wrong] = [0, 0];
function same(found, wanted, what) {
  compared += 1;
  if (String(found) === String(wanted)) return;
  wrong += 1;
  console.log(`${what}: ${found}, not ${wanted}`);
}

for (const codec of JSON.parse(readFileSync(cases, "utf8")).codecs) {
  const records = new Uint8Array(Buffer.from(codec.records.map(({ record }) => record).join(""), "hex"));
  const decoder = await load(join(models, codec.decompressor), { sha256: codec.sha256 });
  same(decoder.id, codec.id, `${codec.name}: id`);
  same(decoder.shape, codec.shape, `${codec.name}: shape`);
  const [pixels, size] = [decoder.decode(records), codec.shape.reduce((product, side) => product * side)];
  codec.records.forEach(({ record, pixels: wanted }, at) => {
    same(check(new Uint8Array(Buffer.from(record, "hex"))), codec.id, `${codec.name}: seal of record ${at}`);
    const found = createHash("sha256").update(pixels.subarray(at * size, (at + 1) * size)).digest("hex");
    same(found, wanted, `${codec.name}: pixels of record ${at}`);
  });
  for (const head of codec.heads) {
    const card = JSON.parse(readFileSync(join(models, head.classifier, "..", "card.json"), "utf8"));
    const classifier = await load(join(models, head.classifier), { sha256: head.sha256, labels: card.labels, id: codec.id });
    const { labels, logits } = classifier.classify(records);
    same(Array.from(logits, (logit) => logit + 0 || 0), head.logits.flat(), `${codec.name}/${head.name}: logits`);
    same(labels, head.labels, `${codec.name}/${head.name}: labels`);
  }
}
console.log(`${compared} compared, ${wrong} wrong`);
