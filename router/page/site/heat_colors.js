// Load over the mean as a colour: steps of a ramp whose lightness goes one way, so that it reads without seeing hues.

import {onThemeChange} from './dom.js';

const kStops = [0, 0.5, 1, 2, 4, 8];  // times the mean, at which the ramp's colours stand
const kSteps = 64;
let table = null;

export const heatStops = kStops;

// CSS colour of a ratio; null is no cell at all.
export function heatColor(ratio) {
  if (!table) table = makeTable();
  return table[Math.min(kSteps, Math.round(position(ratio) / (kStops.length - 1) * kSteps))];
}

onThemeChange(() => { table = null; });

// Of the ratio among the stops: 1.5 is halfway between the second and the third.
function position(ratio) {
  for (let i = 1; i < kStops.length; ++i) if (ratio < kStops[i]) return i - 1 + (ratio - kStops[i - 1]) / (kStops[i] - kStops[i - 1]);
  return kStops.length - 1;
}

function makeTable() {
  const style = getComputedStyle(document.documentElement);
  const colors = kStops.map((_, i) => parse(style.getPropertyValue(`--heat-${i}`).trim()));
  return Array.from({length: kSteps + 1}, (_, step) => {
    const at = step / kSteps * (kStops.length - 1), i = Math.min(Math.floor(at), kStops.length - 2);
    const mixed = colors[i].map((from, c) => Math.round(from + (colors[i + 1][c] - from) * (at - i)));
    return `rgb(${mixed.join(' ')})`;
  });
}

const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
