// Blocks of the page: compressed data that is decoded when it is needed.

/** Return the text of a block of this page: base64 of zlib data. */
async function inflate(id) {
  const encoded = byId(id).textContent;
  const data = Uint8Array.fromBase64?.(encoded) ?? decodeBase64(encoded);
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

/** Decode base64 in browsers without `Uint8Array.fromBase64`. */
function decodeBase64(encoded) {
  const text = atob(encoded);
  const data = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) data[at] = text.charCodeAt(at);
  return data;
}

/** Numbered records in blocks, decoded when they are needed. */
class Store {
  constructor(name, starts) {
    this.name = name;
    this.starts = starts; // number of the first record of each block
    this.kept = new Map();
  }

  find(number) {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= number) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  async block(place) {
    if (!this.kept.has(place)) {
      this.kept.set(place, inflate(`${this.name}-${place}`).then(JSON.parse));
      if (this.kept.size > KEPT_BLOCKS) this.kept.delete(this.kept.keys().next().value);
    }
    return this.kept.get(place);
  }

  async get(number) {
    const place = this.find(number);
    return (await this.block(place))[number - this.starts[place]];
  }

  /** Yield the first number and the records of each block, without keeping them. */
  async *blocks() {
    for (let place = 0; place < this.starts.length; place++) {
      yield [
        this.starts[place],
        await (this.kept.get(place) ?? inflate(`${this.name}-${place}`).then(JSON.parse)),
      ];
    }
  }
}
