// Who holds what, from the feed's placement event.

export class Placement {
  epoch = 0;
  nodes = [];
  #layers = new Map();  // layer -> [experts] of the event

  take(event) {
    this.epoch = event.epoch;
    this.nodes = event.nodes;
    this.#layers = new Map(event.layers.map(({layer, experts}) => [layer, experts]));
  }

  get layers() { return [...this.#layers.keys()]; }

  // [{node, share}] of an expert; node is an index into `nodes`.
  holders(layer, expert) {
    const flat = this.#layers.get(layer)?.[expert] || [];
    if (flat.length < 2) return flat.map((node) => ({node, share: 1}));
    const copies = flat.length / 2;
    return flat.slice(0, copies).map((node, i) => ({node, share: flat[copies + i]}));
  }

  // One line per node: what of each expert's rows its replica gets, null where it holds none.
  perNode(layer, rows) {
    const lines = this.nodes.map(() => new Array(rows.length).fill(null));
    for (let expert = 0; expert < rows.length; ++expert)
      for (const {node, share} of this.holders(layer, expert)) if (lines[node]) lines[node][expert] = rows[expert] * share;
    return lines;
  }

  replicas(layer) { return (this.#layers.get(layer) || []).reduce((total, flat) => total + (flat.length < 2 ? flat.length : flat.length / 2), 0); }
}
