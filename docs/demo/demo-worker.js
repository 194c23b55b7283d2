// The worker of the demo page: it encodes, decodes, classifies and searches. `atlcodec` stands before it.

const [RECORD, LEAST_ERROR, UNSURE] = [200, 0.01, 6]; // bytes; squared grey levels; dB for each factor of e
let [codecs, weights, samples] = [[], null, []];

const answers = {
  models(given) {
    [codecs, weights, samples] = [given.codecs.map(lazy), given.weights, given.samples];
    return {};
  },

  /** The record of an image; of several codecs, that of the one that suits it best. `pixels` has one for each codec. */
  async encode({ which, pixels }) {
    const tried = [];
    for (const at of which) {
      const record = (await codecs[at].compressor()).encode(pixels[at]);
      tried.push({ codec: at, record, ...(await shown(at, record)) });
    }
    for (const one of tried) one.psnr = psnr(pixels[one.codec], one.pixels);
    const found = scores(tried);
    return { ...tried[found.indexOf(Math.max(...found))], scores: found };
  },

  /** What a record holds; null for one of another codec. */
  async read({ record }) {
    const at = codecs.findIndex(({ id }) => id === atlcodec.check(record));
    return at < 0 ? null : { codec: at, record, ...(await shown(at, record)) };
  },

  /** The same for symbols that were changed, and so are not sealed. */
  async changed({ codec, record }) {
    return { codec, record, ...(await shown(codec, record)) };
  },

  /** The samples of a codec that are most similar to a record: their numbers, distances, records and images. */
  async nearest({ codec, record, count }) {
    const own = samples[codec];
    if (!own) return { numbers: [], distances: [] };
    const { latents } = codecs[codec];
    const distances = record ? atlcodec.distances(own, record, latents) : new Float32Array(own.length / RECORD);
    const step = record ? 1 : Math.max(1, Math.floor(distances.length / count));
    const order = [...distances.keys()].filter((at) => at % step === 0);
    order.sort((one, two) => distances[one] - distances[two] || one - two);
    const numbers = order.slice(0, count);
    const records = numbers.map((at) => own.slice(at * RECORD, (at + 1) * RECORD));
    const decoder = await codecs[codec].decoder();
    const images = records.map((one) => decoder.decode(one));
    return { numbers, distances: numbers.map((at) => distances[at]), records, images };
  },
};

/** The networks of a codec are prepared when they are first needed. */
function lazy(codec) {
  const once = (make) => {
    let made = null;
    return () => (made ??= make());
  };
  const { id, shape, latents, label_latents: labels, name } = codec;
  return {
    ...codec,
    compressor: once(() => atlcodec.loadCompressor(codec.compressor, { id, shape, latents, labels, name })),
    decoder: once(() => atlcodec.load(codec.decompressor, { name })),
    classifier: once(() => codec.classifier && atlcodec.load(codec.classifier, codec.head)),
  };
}

async function shown(at, record) {
  const [decoder, classifier] = [await codecs[at].decoder(), await codecs[at].classifier()];
  const pixels = decoder.decode(record, { sealed: false });
  const probabilities = classifier ? [...classifier.classify(record, { sealed: false }).probabilities] : [];
  return { pixels, probabilities };
}

function psnr(one, two) {
  const sum = one.reduce((total, value, at) => total + (value - two[at]) ** 2, 0);
  return -10 * Math.log10(Math.max(sum / one.length, LEAST_ERROR) / 255 ** 2);
}

/** How well codecs suit an image, as `atlcodec/choice.py` computes it. */
function scores(tried) {
  const fidelity = tried.map((one) => one.psnr);
  const doubt = tried.map((one) => Math.log(Math.max(...one.probabilities, 1e-30)));
  if (!weights || weights.length !== tried.length) return fidelity.map((each, at) => each + UNSURE * doubt[at]);
  const features = [...fidelity, ...doubt, 1];
  const odds = weights.map((row) => row.reduce((sum, weight, at) => sum + weight * features[at], 0));
  const first = odds.indexOf(Math.max(...odds));
  return doubt[first] < Math.log(codecs[tried[first].codec].unsure) ? fidelity : odds;
}

onmessage = async ({ data }) => {
  try {
    postMessage({ call: data.call, answer: await answers[data.kind](data) });
  } catch (error) {
    postMessage({ call: data.call, failed: error.message });
  }
};
