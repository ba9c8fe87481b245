// A step's record as a picture: time to the right, a line for each layer, what it was spent on by colour.

import {make, svg} from './dom.js';
import {number} from './text.js';

export const kParts = [
  {key: 'attention', name: 'attention', color: 'var(--plot-1)'},
  {key: 'dispatch', name: 'dispatch', color: 'var(--plot-5)'},
  {key: 'shared', name: 'shared expert', color: 'var(--plot-3)'},
  {key: 'waiting', name: 'waiting for experts', color: 'var(--plot-wait)'},
  {key: 'combine', name: 'combine', color: 'var(--plot-4)'},
  {key: 'head', name: 'head and sampling', color: 'var(--plot-2)'},
];
const kColor = Object.fromEntries(kParts.map(({key, color}) => [key, color]));
const kLeft = 62, kTop = 4, kBottom = 20;

// [{key, from, to}] of one layer, in microseconds. A dense layer has attention alone.
function spansOf(layer) {
  const spans = [{key: 'attention', from: layer.begin_us, to: layer.attention_end_us}];
  if (!layer.posted_us) return spans;
  const before = layer.shared_end_us <= layer.posted_us, dispatched = before ? Math.max(layer.shared_end_us, layer.attention_end_us) : layer.attention_end_us;
  spans.push({key: 'shared', from: layer.shared_begin_us, to: layer.shared_end_us}, {key: 'dispatch', from: dispatched, to: layer.posted_us},
    {key: 'waiting', from: Math.max(layer.posted_us, layer.shared_end_us), to: layer.complete_us}, {key: 'combine', from: Math.max(layer.complete_us, layer.shared_end_us), to: layer.combined_us});
  return spans.filter((span) => span.to > span.from);
}

// Microseconds by part, of the whole step.
export function partsOf(step) {
  const sums = Object.fromEntries(kParts.map(({key}) => [key, 0]));
  for (const layer of step.layers) for (const {key, from, to} of spansOf(layer)) sums[key] += to - from;
  sums.head = step.head_end_us - step.head_begin_us;
  return sums;
}

export function drawStep(element, step) {
  const width = Math.max(280, element.clientWidth), line = Math.max(5, Math.min(18, 520 / (step.layers.length + 1))), height = kTop + line * (step.layers.length + 1) + kBottom;
  const x = (us) => kLeft + us / Math.max(1, step.head_end_us) * (width - kLeft - 6);
  const root = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `A step of ${step.layers.length} layers, ${number(step.head_end_us)} microseconds`, 'font-size': 10.5});
  drawAxis(root, x, step.head_end_us, height);
  const every = Math.ceil(12 / line);
  step.layers.forEach((layer, i) => {
    const y = kTop + i * line;
    if (i % every === 0) root.append(svg('text', {x: 0, y: y + line / 2 + 3.5, class: 'plot-label'}, `layer ${layer.layer}`));
    for (const span of spansOf(layer)) root.append(bar(x, y, line, span, aboutSpan(layer, span)));
    for (const node of layer.nodes) if (node.arrived_us) root.append(svg('circle', {cx: x(node.arrived_us), cy: y + line / 2, r: Math.min(3, line / 3), class: 'arrival'},
      svg('title', {}, `${node.node_id}: ${node.rows} rows for ${node.pairs} experts sent at ${node.sent_us} µs, back at ${node.arrived_us} µs`)));
  });
  const y = kTop + step.layers.length * line;
  root.append(svg('text', {x: 0, y: y + line / 2 + 3.5, class: 'plot-label'}, 'head'), bar(x, y, line, {key: 'head', from: step.head_begin_us, to: step.head_end_us}, `head and sampling: ${step.head_end_us - step.head_begin_us} µs, of them sampling ${step.sampling_us} µs`));
  element.replaceChildren(root, stepTable(step));
}

const aboutSpan = (layer, {key, from, to}) => `layer ${layer.layer}, micro-batch ${layer.micro_batch}: ${kParts.find((part) => part.key === key).name} ${to - from} µs (${from} to ${to})`;

function bar(x, y, line, {key, from, to}, about) {
  const rect = svg('rect', {x: x(from), y: y + 1, width: Math.max(0.7, x(to) - x(from)), height: line - 2, rx: 1.5, 'data-part': key}, svg('title', {}, about));
  rect.style.fill = kColor[key];
  return rect;
}

function drawAxis(root, x, whole, height) {
  for (let i = 0; i <= 4; ++i) {
    const us = whole * i / 4;
    root.append(svg('line', {x1: x(us), x2: x(us), y1: kTop, y2: height - kBottom + 3, class: 'plot-axis faint'}),
      svg('text', {x: x(us), y: height - 5, 'text-anchor': i === 4 ? 'end' : i ? 'middle' : 'start', class: 'plot-label'}, us >= 10000 ? `${number(us / 1000)} ms` : `${number(us)} µs`));
  }
}

// The same for who cannot see it.
function stepTable(step) {
  const line = (name, cells) => make('tr', {}, ...cells.map((cell) => make(name, {}, cell)));
  const rows = step.layers.map((layer) => {
    const spent = (key) => spansOf(layer).filter((span) => span.key === key).reduce((sum, {from, to}) => sum + to - from, 0);
    return line('td', [layer.layer, layer.micro_batch, spent('attention'), spent('dispatch'), spent('shared'), spent('waiting'), spent('combine'), layer.nodes.map((node) => `${node.node_id} ${node.arrived_us}`).join(', ')]);
  });
  return make('details', {class: 'table-of-nodes'}, make('summary', {}, 'As a table'), make('div', {class: 'scroll'}, make('table', {},
    make('thead', {}, line('th', ['layer', 'micro-batch', 'attention µs', 'dispatch µs', 'shared expert µs', 'waiting µs', 'combine µs', 'results came at µs'])), make('tbody', {}, ...rows))));
}
