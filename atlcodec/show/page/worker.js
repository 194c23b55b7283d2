// The worker of a page: it decodes, classifies and searches. `atlcodec` stands before it, in the same script.

const RECORD = 200;
const decoders = []; // one for each codec, as a promise
const classifiers = [];
let [everything, codecs] = [null, null]; // what is searched: records, and the codec of each image

const answers = {
  /** The networks of all codecs. They are prepared when they are first needed. */
  models({ models }) {
    models.forEach((model, at) => {
      let [decoder, classifier] = [null, null];
      decoders[at] = () => (decoder ??= atlcodec.load(model.decompressor, { name: model.name }));
      classifiers[at] = () => (classifier ??= model.classifier && atlcodec.load(model.classifier, model.head));
    });
    return {};
  },

  async decode({ codec, records }) {
    const decoder = await decoders[codec]();
    return { pixels: decoder.decode(records), shape: decoder.shape };
  },

  /** A description, and the records of all tiles; zeros where one is missing. */
  async grid({ codec, records }) {
    const [decoder, described] = [await decoders[codec](), atlcodec.describe(records.subarray(0, RECORD))];
    const tiles = records.subarray(RECORD);
    const there = Array.from({ length: tiles.length / RECORD }, (_, at) => id(tiles, at) === decoder.id);
    const pixels = atlcodec.join(described, decoder.decode(tiles, { sealed: false }), there);
    const { height, width, channels } = described;
    return { pixels, shape: channels === 3 ? [height, width, 3] : [height, width], described, there };
  },

  async classify({ codec, records }) {
    const classifier = await classifiers[codec]();
    return classifier ? { labels: classifier.labels, ...classifier.classify(records, { sealed: false }) } : {};
  },

  searched({ records, codecs: each }) {
    [everything, codecs] = [records, each];
    return {};
  },

  /** The distance of each image from one; NaN for those of other codecs. */
  search({ codec, query, latents }) {
    const distances = atlcodec.distances(everything, query, latents);
    for (let at = 0; at < distances.length; at += 1) if (codecs[at] !== codec) distances[at] = NaN;
    return { distances };
  },
};

function id(records, at) {
  return atlcodec.check(records.subarray(at * RECORD, (at + 1) * RECORD));
}

onmessage = async ({ data }) => {
  try {
    const answer = await answers[data.kind](data);
    const moved = ["pixels", "distances"].flatMap((name) => (answer[name] ? [answer[name].buffer] : []));
    postMessage({ call: data.call, answer }, moved);
  } catch (error) {
    postMessage({ call: data.call, failed: error.message });
  }
};
