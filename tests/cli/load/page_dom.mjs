// Runs a report page's scripts on a document of this file's making and prints what they drew, as JSON: so much of a
// browser as the page uses, no more. node page_dom.mjs REPORT.html
import {readFileSync} from 'node:fs';

class Node {
  constructor(name) { this.name = name; this.children = []; this.attributes = {}; this.style = {}; this.classList = {add() {}}; this.text = ''; }
  appendChild(child) { this.children.push(child); return child; }
  setAttribute(key, value) { this.attributes[key] = String(value); }
  addEventListener(kind, listener) { this['on' + kind] = listener; }
  getBoundingClientRect() { return {left: 0, top: 0, width: 560, height: 230}; }
  set textContent(text) { this.children = []; this.text = String(text); }
  get textContent() { return this.text + this.children.map((c) => c.textContent).join(''); }
  *all() { yield this; for (const child of this.children) yield* child.all(); }
}

const page = readFileSync(process.argv[2], 'utf8');
const scripts = [...page.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
const byId = {};
for (const [, id] of page.matchAll(/id="([^"]+)"/g)) byId[id] = new Node(id);
byId.report.textContent = scripts.find(([, kind]) => kind.includes('application/json'))[2];
const document = {
  getElementById: (id) => byId[id], createElement: (name) => new Node(name), createElementNS: (_, name) => new Node(name),
  createTextNode: (text) => { const node = new Node('#text'); node.text = text; return node; },
};
new Function('document', scripts.filter(([, kind]) => !kind).map(([, , code]) => code).join('\n'))(document);

const nodes = Object.values(byId).flatMap((node) => [...node.all()]);
const plots = nodes.filter((n) => n.name === 'svg');
for (const plot of plots) plot.onpointermove({clientX: 300});
const numbers = nodes.flatMap((n) => Object.values(n.attributes));
console.log(JSON.stringify({
  plots: plots.map((p) => p.attributes['aria-label']), nonsense: numbers.filter((v) => /NaN|undefined|Infinity/.test(v)).length,
  drawn: plots.map((p) => [...p.all()].filter((n) => n.name === 'path' || n.name === 'rect').length),
  tiles: byId.tiles.textContent, rows: byId.latency.children.length, faults: byId.faults.textContent,
  readings: nodes.filter((n) => /seconds .*: |ms .*: /.test(n.text)).length,
}));
