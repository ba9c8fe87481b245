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
const kLeft = 66, kRight = 76, kStrip = 32, kAxis = 20;

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

// The whole step as one strip, then each layer from its own begin, so that layers can be compared.
export function drawStep(element, step) {
  const width = Math.max(280, element.clientWidth), line = Math.max(6, Math.min(18, 560 / (step.layers.length + 1)));
  const height = kStrip + line * (step.layers.length + 1) + kAxis, longest = Math.max(step.head_end_us - step.head_begin_us, ...step.layers.map((layer) => endOf(layer) - layer.begin_us));
  const root = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `A step of ${step.layers.length} layers, ${number(step.head_end_us)} microseconds`, 'font-size': 10.5});
  const scale = (longestUs, right) => (us) => kLeft + us / Math.max(1, longestUs) * (width - kLeft - right);
  drawStrip(root, step, scale(step.head_end_us, 4));
  const x = scale(longest, kRight);
  drawAxis(root, x, longest, height);
  step.layers.forEach((layer, i) => drawLayer(root, layer, {x, y: kStrip + i * line, line, labelled: i % Math.ceil(12 / line) === 0, right: width}));
  const y = kStrip + step.layers.length * line, head = {key: 'head', from: 0, to: step.head_end_us - step.head_begin_us};
  root.append(svg('text', {x: 0, y: y + line / 2 + 3.5, class: 'plot-label'}, 'head'), bar(x, y, line, head, `head and sampling: ${head.to} µs, of them sampling ${step.sampling_us} µs`));
  element.replaceChildren(root, stepTable(step));
}

const endOf = (layer) => Math.max(...spansOf(layer).map(({to}) => to));

function drawStrip(root, step, x) {
  root.append(svg('text', {x: 0, y: 14, class: 'plot-label'}, 'whole step'));
  for (const layer of step.layers) for (const span of spansOf(layer)) root.append(bar(x, 0, 20, span, aboutSpan(layer, span)));
  root.append(bar(x, 0, 20, {key: 'head', from: step.head_begin_us, to: step.head_end_us}, 'head and sampling'));
}

function drawLayer(root, layer, {x, y, line, labelled, right}) {
  const since = (us) => us - layer.begin_us, middle = y + line / 2;
  if (labelled) root.append(svg('text', {x: 0, y: middle + 3.5, class: 'plot-label'}, `layer ${layer.layer}`),
    svg('text', {x: right, y: middle + 3.5, class: 'plot-label', 'text-anchor': 'end'}, `at ${microseconds(layer.begin_us)}`));
  for (const span of spansOf(layer)) root.append(bar(x, y, line, {key: span.key, from: since(span.from), to: since(span.to)}, aboutSpan(layer, span)));
  for (const node of layer.nodes) {
    if (!node.arrived_us) continue;
    root.append(svg('circle', {cx: x(since(node.arrived_us)), cy: middle, r: Math.min(3, line / 3), class: 'arrival'},
      svg('title', {}, `${node.node_id}: ${node.rows} rows for ${node.pairs} experts sent at ${node.sent_us} µs, back at ${node.arrived_us} µs`)));
  }
}

const microseconds = (us) => (us >= 10000 ? `${(us / 1000).toFixed(1)} ms` : `${Math.round(us)} µs`);

const aboutSpan = (layer, {key, from, to}) => `layer ${layer.layer}, micro-batch ${layer.micro_batch}: ${kParts.find((part) => part.key === key).name} ${to - from} µs (${from} to ${to})`;

function bar(x, y, line, {key, from, to}, about) {
  const rect = svg('rect', {x: x(from), y: y + 1, width: Math.max(0.7, x(to) - x(from)), height: line - 2, rx: 1.5, 'data-part': key}, svg('title', {}, about));
  rect.style.fill = kColor[key];
  return rect;
}

function drawAxis(root, x, longest, height) {
  for (let i = 0; i <= 4; ++i) {
    const at = x(longest * i / 4);
    root.append(svg('line', {x1: at, x2: at, y1: kStrip, y2: height - kAxis + 3, class: 'plot-axis faint'}),
      svg('text', {x: at, y: height - 5, 'text-anchor': i ? 'middle' : 'start', class: 'plot-label'}, microseconds(longest * i / 4)));
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
