// Numbers as people read them.

export const number = (value) => AtollPlots.number(value);

export function bytes(value) {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) if (value >= size) return `${number(value / size)} ${unit}`;
  return `${value} B`;
}

export const percent = (share) => `${Math.round(100 * share)} %`;

export const count = (n, one, many = one + 's') => `${n} ${n === 1 ? one : many}`;

export const times = (ratio) => `${ratio.toFixed(2)} × mean`;

export const clock = (unixMs) => new Date(unixMs).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit'});
