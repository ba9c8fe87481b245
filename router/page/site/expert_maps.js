// The experts' loads as two maps: all layers, and the chosen layer by the nodes that hold its experts.

import {by, make, say} from './dom.js';
import {mean, sum} from './expert_loads.js';
import {heatColor, heatStops} from './heat_colors.js';
import {HeatMap} from './heat_map.js';
import {count, number, times} from './text.js';

export class ExpertMaps {
  #loads; #placement;
  #which = 'recent';
  #layer = null;
  #layerMap; #nodeMap;

  constructor(loads, placement) {
    this.#loads = loads;
    this.#placement = placement;
    this.#layerMap = new HeatMap(by('layer-map'), {label: 'Rows per expert and layer', read: (row, column) => this.#readExpert(this.#placement.layers[row], column),
      onPick: (row) => this.#choose(this.#placement.layers[row])});
    this.#nodeMap = new HeatMap(by('node-map'), {label: 'Rows per expert node and expert of the chosen layer', read: (row, column) => this.#readReplica(row, column), cellHeightMin: 14});
    for (const radio of document.getElementsByName('rows')) radio.addEventListener('change', () => { this.#which = radio.value; this.draw(); });
    by('layer-choice').addEventListener('change', (event) => this.#choose(Number(event.target.value)));
    this.#legend();
  }

  // After a new placement: the layers may be others.
  layers() {
    const layers = this.#placement.layers, choice = by('layer-choice');
    if (!layers.includes(this.#layer)) this.#layer = layers[0] ?? null;
    if (choice.options.length !== layers.length) choice.replaceChildren(...layers.map((layer) => make('option', {value: layer}, layer)));
    choice.value = this.#layer;
    this.draw();
  }

  draw() {
    if (this.#layer === null) return;
    const layers = this.#placement.layers;
    this.#layerMap.show(layers.map((layer) => ({label: `layer ${layer}`, values: this.#ratios(this.#rows(layer))})), layers.indexOf(this.#layer));
    this.#drawNodes();
  }

  #rows(layer) { return this.#loads.rows(this.#which, layer); }
  #choose(layer) { this.#layer = layer; by('layer-choice').value = layer; this.draw(); }

  #ratios(rows) {
    const middle = mean(rows);
    return Array.from(rows, (value) => (middle > 0 ? value / middle : 0));
  }

  // A replica's cell has the colour of the rows that it gets, over the mean of the layer's experts.
  #drawNodes() {
    const rows = this.#rows(this.#layer), middle = mean(rows), lines = this.#placement.perNode(this.#layer, rows);
    this.#nodeMap.show(lines.map((line, node) => ({label: this.#placement.nodes[node], values: line.map((value) => (value === null ? null : middle > 0 ? value / middle : 0))})));
    say(by('layer-title'), `Layer ${this.#layer} by node`);
    say(by('layer-facts'), this.#facts(rows, lines));
  }

  #facts(rows, lines) {
    const extra = this.#placement.replicas(this.#layer) - rows.length, copies = extra > 0 ? `, ${count(extra, 'copy', 'copies')} more than experts` : '';
    const nodes = `${count(rows.length, 'expert')} on ${count(lines.length, 'node')}${copies}`;
    if (sum(rows) === 0) return `${nodes}; no rows yet`;
    const perNode = lines.map((line) => sum(line.map((value) => value || 0))), hottest = rows.indexOf(Math.max(...rows));
    const busiest = perNode.indexOf(Math.max(...perNode));
    return `${nodes}; busiest node ${this.#placement.nodes[busiest]} ${times(perNode[busiest] / mean(perNode))}, hottest expert ${hottest} ${times(rows[hottest] / mean(rows))}`;
  }

  #readExpert(layer, expert) {
    const rows = this.#rows(layer), middle = mean(rows);
    const on = this.#placement.holders(layer, expert).map(({node}) => this.#placement.nodes[node]).join(', ');
    const all = this.#loads.rows('all', layer)[expert];
    return `layer ${layer}, expert ${expert}: ${all} rows since start${middle > 0 ? `, ${times(rows[expert] / middle)}` : ''}${on ? `, on ${on}` : ''}`;
  }

  #readReplica(node, expert) {
    const holder = this.#placement.holders(this.#layer, expert).find((h) => h.node === node), name = this.#placement.nodes[node];
    if (!holder) return `${name} does not hold expert ${expert}`;
    const rows = this.#rows(this.#layer), middle = mean(rows);
    return `${name}, expert ${expert}: ${number(100 * holder.share)} % of its rows${middle > 0 ? `, ${times(rows[expert] * holder.share / middle)}` : ''}`;
  }

  #legend() {
    const cells = heatStops.map((stop) => {
      const swatch = make('i', {});
      const paint = () => { swatch.style.background = heatColor(stop); };
      paint();
      matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => requestAnimationFrame(paint));
      return make('span', {}, swatch, stop === heatStops.at(-1) ? `${stop}× mean and more` : `${stop}×`);
    });
    by('heat-legend').append(...cells);
  }
}
