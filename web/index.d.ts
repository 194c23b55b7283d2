/** A file that is not an exact network, or not the one that was asked for. */
export class BadModel extends Error {}

/** Bytes that are not sealed records of a codec. */
export class BadRecord extends Error {}

/** A card.json, parsed. That of a head gives `sha256`, `labels`, `scale` and the `id`; that of a codec, the SHA-256. */
export interface Card {
  sha256: string | { readonly [file: string]: string };
  labels?: readonly string[];
  /** 1 if left out. */
  scale?: number;
  /** Of a head: the SHA-256 of the decompressor of its codec. */
  codec?: string;
}

export interface LoadOptions {
  /** The card.json beside the file. The other options replace its entries. */
  card?: Card;
  /** What the card says of the file, in hexadecimal. A file with another SHA-256 is refused. */
  sha256?: string;
  /** Of a classifier: the labels of its card. Without them, labels are "0", "1" ... */
  labels?: readonly string[];
  /** Of a classifier: the id of its codec, eight hexadecimal digits. With it, seals are checked. */
  id?: string;
  /** Of a classifier: what a logit is multiplied with before probabilities are computed, a power of two. Without it
   *  and without a card, 1 / 256. */
  scale?: number;
  /** Of bytes: their name in messages. */
  name?: string;
}

export interface ReadOptions {
  /** Whether to check the seal of each record; true if left out. */
  sealed?: boolean;
}

export interface Classified {
  /** The likeliest label of each record; of equal logits, the first one counts. */
  labels: string[];
  /** Record by record, one for each label: whole numbers. */
  logits: Float32Array;
  /** In the order of the logits. */
  probabilities: Float32Array;
}

/** A decompressor or a classifier from its ONNX file: bytes, a URL, or in Node a path. Throws `BadModel`. */
export function load(source: Uint8Array | ArrayBuffer | URL | string, options?: LoadOptions): Promise<Decoder>;

/** The id of the codec that wrote a record of 200 bytes, eight hexadecimal digits as in `card.json`. A damaged record
 *  gives an id that no codec has. Throws `BadRecord` for another length. */
export function check(record: Uint8Array): string;

export class Decoder {
  private constructor();
  readonly kind: "decompressor" | "classifier";
  /** In hexadecimal. */
  readonly sha256: string;
  /** Of the codec, eight hexadecimal digits; null for a classifier that was loaded without one. */
  readonly id: string | null;
  /** Of a decompressor: [rows, columns], or [rows, columns, 3] for red, green and blue. */
  readonly shape?: readonly number[];
  /** Of a classifier. */
  readonly labels?: readonly string[];

  /** The pixels of records that lie one behind the other, image by image, rows from the top, 0 black and 255 white.
   *  Throws `BadRecord` if one is not a record of this codec. */
  decode(records: Uint8Array, options?: ReadOptions): Uint8Array;

  classify(records: Uint8Array, options?: ReadOptions): Classified;
}

/** The distance of each record from `query`, as `atlc similar` computes it. All are of one codec, and `latents` is that
 *  of its card; without it, the latents are the 400 symbols. */
export function distances(
  records: Uint8Array,
  query: Uint8Array,
  latents?: readonly (readonly [number, number])[],
): Float32Array;

/** An image of any size, in tiles. */
export interface Description {
  height: number;
  width: number;
  channels: number;
  /** Of the codec of all tiles. */
  id: string;
  tile: readonly number[];
  overlap: number;
  seams: number;
  rows: number;
  columns: number;
}

/** What the description of a grid says, or null for another record. Throws `BadRecord` for one of a later version. */
export function describe(record: Uint8Array): Description | null;

/** The pixels of a grid from those of all its tiles. A tile that is not `there` gets the mean of its neighbours. */
export function join(described: Description, tiles: Uint8Array, there: ArrayLike<boolean | number>): Uint8Array;

export interface CompressorOptions {
  /** Of the codec, eight hexadecimal digits. */
  id: string;
  /** `shape` of its card. */
  shape: readonly number[];
  /** `latents` of its card; without it, the latents are the 400 symbols. */
  latents?: readonly (readonly [number, number])[];
  /** `label_latents` of its card; 0 if left out. */
  labels?: number;
  /** What the card says of the file, in hexadecimal. */
  sha256?: string;
  /** Of bytes: their name in messages. */
  name?: string;
}

/** A compressor from its ONNX file: bytes, a URL, or in Node a path. Load only files that you trust: how long one works
 *  is not checked. Throws `BadModel`. */
export function loadCompressor(
  source: Uint8Array | ArrayBuffer | URL | string,
  options: CompressorOptions,
): Promise<Compressor>;

export class Compressor {
  private constructor();
  readonly id: string;
  readonly shape: readonly number[];

  /** The latents of one image, before rounding. */
  latents(pixels: Uint8Array): Float32Array;

  /** The record of one image, at effort 0: 200 bytes, sealed. */
  encode(pixels: Uint8Array): Uint8Array;
}
