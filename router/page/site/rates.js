// What counters say per second, from one look to the next.

export class Rates {
  #before = null;
  #nodes = new Map();
  #tokens = 0;
  #known = false;

  take(cluster) {
    const seconds = this.#before ? (cluster.now_ms - this.#before.now_ms) / 1000 : 0;
    if (seconds <= 0) this.#nodes.clear();
    else {
      const before = new Map(this.#before.nodes.map((node) => [node.id, node]));
      this.#nodes = new Map(cluster.nodes.map((node) => [node.id, nodeRates(node, before.get(node.id), seconds)]));
      this.#tokens = Math.max(0, cluster.requests.tokens - this.#before.requests.tokens) / seconds;
    }
    this.#known = seconds > 0;
    this.#before = cluster;
  }

  // Two looks have been taken.
  get known() { return this.#known; }
  get tokens() { return this.#tokens; }
  of(id) { return this.#nodes.get(id) || {rows: 0, busy: 0}; }
}

// Of an expert node: rows that it ran, and the share of the time that it computed.
function nodeRates(now, before, seconds) {
  if (!before || now.state === 'lost') return {rows: 0, busy: 0};
  const grown = (key) => Math.max(0, (now[key] || 0) - (before[key] || 0)) / seconds;
  return {rows: grown('rows'), busy: Math.min(1, grown('busy_us') / 1e6)};
}
