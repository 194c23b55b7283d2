// Reads .atlc records in plain JavaScript: see README.md.

export { Compressor, loadCompressor } from "./src/compressor.js";
export { Decoder, check, load } from "./src/decoder.js";
export { BadModel, BadRecord } from "./src/errors.js";
export { describe, join } from "./src/grid.js";
export { distances } from "./src/latents.js";
