// The last minutes of traffic as lines.

import {by} from './dom.js';

const kKeptMs = 180000;

export class Traffic {
  #points = [];  // {ms, tokens, running, waiting, ended}

  take(cluster, rates) {
    if (!rates.known) return;
    const waiting = cluster.nodes.reduce((total, node) => total + (node.waiting || 0), 0);
    this.#points.push({ms: cluster.now_ms, tokens: rates.tokens, running: cluster.requests.running, waiting});
    while (cluster.now_ms - this.#points[0].ms > kKeptMs) this.#points.shift();
    this.#draw(cluster.now_ms);
  }

  // After a router that began anew.
  clear() { this.#points = []; }

  #draw(nowMs) {
    const over = (key) => this.#points.map((point) => [(point.ms - nowMs) / 1000, point[key]]);
    plot('plot-tokens', {title: 'Tokens', yLabel: 'per second', xLabel: 'seconds', series: [{name: 'tokens/s', color: 3, points: over('tokens')}]});
    plot('plot-requests', {title: 'Requests', xLabel: 'seconds', series: [{name: 'running', color: 1, points: over('running')}, {name: 'waiting for a step', color: 2, points: over('waiting')}]});
  }
}

// Under the pointer a plot stands still, so that it can be read.
function plot(id, options) {
  if (!by(id).matches(':hover')) AtollPlots.lines(by(id), options);
}
