// Latencies as histograms: of the last minute, or since the router's start.

import {by, make} from './dom.js';
import {drawHistogram} from './histogram.js';

const kTitles = {atoll_time_to_first_token_seconds: 'Time to first token (TTFT)', atoll_inter_token_latency_seconds: 'Between two tokens (ITL)', atoll_request_duration_seconds: 'Whole answer (E2E)'};
const kWindowMs = 60000;

export class Latency {
  #looks = [];  // {ms, histograms}, of a window
  #which = 'recent';

  constructor() {
    by('latency-plots').append(...Object.keys(kTitles).map((name) => make('div', {class: 'plot', 'data-histogram': name})));
    for (const radio of document.getElementsByName('latencies')) radio.addEventListener('change', () => { this.#which = radio.value; this.#draw(); });
  }

  take(histograms, nowMs) {
    const newest = this.#looks.at(-1);
    if (newest && (newest.ms > nowMs || isLess(histograms, newest.histograms))) this.#looks = [];  // of a router that began anew
    this.#looks.push({ms: nowMs, histograms});
    while (this.#looks.length > 2 && nowMs - this.#looks[1].ms >= kWindowMs) this.#looks.shift();
    this.#draw();
  }

  #draw() {
    const now = this.#looks.at(-1)?.histograms || [], before = this.#which === 'recent' ? this.#looks[0].histograms : [];
    for (const {name, bounds, counts} of now) {
      const element = by('latency-plots').querySelector(`[data-histogram="${CSS.escape(name)}"]`);
      if (!element || element.matches(':hover')) continue;
      const old = before.find((histogram) => histogram.name === name)?.counts || [];
      drawHistogram(element, kTitles[name], {bounds, counts: counts.map((count, i) => count - (old[i] || 0))});
    }
  }
}

const isLess = (now, before) => now.some(({counts}, i) => counts.some((count, k) => count < (before[i]?.counts[k] || 0)));
