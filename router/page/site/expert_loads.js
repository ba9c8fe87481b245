// Rows per expert, layer by layer: all so far, and those of the last seconds, older ones counting less and less.

const kHalfLifeS = 4;

export class ExpertLoads {
  #all = new Map();     // layer -> Float64Array [experts]
  #recent = new Map();
  #experts = 0;

  facts(facts) { this.#experts = facts.experts; }

  takeAll(event) {
    this.#all.clear();
    this.#recent.clear();
    this.#add(this.#all, event);
  }

  // What came within `seconds`. Without traffic the map stays as it was.
  takeNew(event, seconds) {
    const keep = 0.5 ** (seconds / kHalfLifeS);
    for (const rows of this.#recent.values()) for (let e = 0; e < rows.length; ++e) rows[e] *= keep;
    this.#add(this.#all, event);
    this.#add(this.#recent, event);
  }

  #add(to, event) {
    for (const {layer, rows} of event.layers) {
      if (!to.has(layer)) to.set(layer, new Float64Array(this.#experts));
      const sums = to.get(layer);
      for (let e = 0; e < Math.min(rows.length, sums.length); ++e) sums[e] += rows[e];
    }
  }

  // [experts] of the layer, zeros where nothing came; `which` is 'recent' or 'all'.
  rows(which, layer) { return (which === 'all' ? this.#all : this.#recent).get(layer) || new Float64Array(this.#experts); }
}

export const sum = (rows) => rows.reduce((total, value) => total + value, 0);
export const mean = (rows) => (rows.length ? sum(rows) / rows.length : 0);
