// One histogram as bars of equal width, a bucket each, with its quantiles in words.

import {make, svg} from './dom.js';
import {number} from './text.js';

const kWidth = 320, kHeight = 120, kBottom = 18, kTop = 4;

// buckets: {bounds: [n] upper ones in seconds, counts: [n + 1]}; those without a value at both ends are left out.
export function drawHistogram(element, title, {bounds, counts}) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const head = make('div', {class: 'plot-title'}, title);
  if (!total) return element.replaceChildren(head, make('div', {class: 'plot-reading'}, 'nothing to show yet'));
  const first = Math.max(0, counts.findIndex((count) => count > 0) - 1), last = Math.min(counts.length - 1, counts.findLastIndex((count) => count > 0) + 1);
  const words = [0.5, 0.9, 0.99].map((q) => `p${100 * q} ${duration(quantile(bounds, counts, q))}`).join(' · ');
  const text = `${total} values, ${words}`;
  const root = svg('svg', {viewBox: `0 0 ${kWidth} ${kHeight}`, role: 'img', 'aria-label': `${title}: ${text}`, 'font-size': 10});
  drawBars(root, bounds, counts, first, last);
  element.replaceChildren(head, root, make('div', {class: 'plot-reading'}, text));
}

function drawBars(root, bounds, counts, first, last) {
  const width = kWidth / (last - first + 1), highest = Math.max(...counts), labelEvery = Math.ceil((last - first + 1) / 7);
  for (let i = first; i <= last; ++i) {
    const height = counts[i] / highest * (kHeight - kBottom - kTop), left = (i - first) * width;
    const from = i ? duration(bounds[i - 1]) : '0', to = i < bounds.length ? duration(bounds[i]) : 'more';
    root.append(svg('rect', {x: left + 1, width: width - 2, y: kHeight - kBottom - height, height: Math.max(height, counts[i] ? 1 : 0), rx: 1.5, class: 'histogram-bar'},
      svg('title', {}, `${from} to ${to}: ${counts[i]}`)));
    if ((i - first) % labelEvery === 0 && i < bounds.length && left + width < kWidth - 12) root.append(svg('text', {x: left + width, y: kHeight - 5, 'text-anchor': 'middle', class: 'plot-label'}, to));
  }
  root.append(svg('line', {x1: 0, x2: kWidth, y1: kHeight - kBottom, y2: kHeight - kBottom, class: 'plot-axis'}));
}

export function duration(seconds) {
  if (seconds < 1e-3) return `${number(seconds * 1e6)} µs`;
  return seconds < 1 ? `${number(seconds * 1e3)} ms` : `${number(seconds)} s`;
}

// As if values were spread evenly within a bucket.
function quantile(bounds, counts, q) {
  let left = q * counts.reduce((sum, count) => sum + count, 0);
  for (let i = 0; i < bounds.length; ++i) {
    const from = i ? bounds[i - 1] : 0;
    if (left <= counts[i]) return from + (bounds[i] - from) * (counts[i] ? left / counts[i] : 0);
    left -= counts[i];
  }
  return bounds.at(-1);
}
