// What counters say per second, from one look to the next.

export class Rates {
  #before = null;
  #nodes = new Map();
  #tokens = 0;

  take(cluster) {
    const seconds = this.#before ? (cluster.now_ms - this.#before.now_ms) / 1000 : 0;
    if (seconds <= 0) this.#nodes.clear();
    else {
      const before = new Map(this.#before.nodes.map((node) => [node.id, node]));
      this.#nodes = new Map(cluster.nodes.map((node) => [node.id, nodeRates(node, before.get(node.id), seconds)]));
      this.#tokens = Math.max(0, cluster.requests.tokens - this.#before.requests.tokens) / seconds;
    }
    this.#before = cluster;
  }

  get tokens() { return this.#tokens; }
  of(id) { return this.#nodes.get(id) || {rows: 0}; }
}

// Rows that an expert node ran.
function nodeRates(now, before, seconds) {
  if (!before || now.state === 'lost') return {rows: 0};
  return {rows: Math.max(0, (now.rows || 0) - (before.rows || 0)) / seconds};
}
