// The cluster as a picture: router above attention nodes above expert nodes, with the links between them.

import {by, make, onWidthChange, set, svg} from './dom.js';
import {Links} from './links.js';
import {NodeCard, nodeLook} from './node_card.js';
import {bytes, count, number, percent} from './text.js';

const kGap = 14, kTier = 52, kHeight = 66, kWidth = 178;

export class ClusterPicture {
  #root = svg('svg', {class: 'cluster', role: 'group', 'aria-label': 'The cluster'});
  #links = new Links(this.#root);
  #cards = new Map();
  #boxes = new Map();
  #layout = '';  // of the cards that stand: width and names
  #cluster = null; #rates = null;

  constructor() {
    by('picture').append(this.#root);
    onWidthChange(by('picture'), () => { if (this.#cluster) this.show(this.#cluster, this.#rates); });
  }

  show(cluster, rates) {
    this.#cluster = cluster;
    this.#rates = rates;
    const attention = cluster.nodes.filter((node) => node.role === 'attention'), experts = cluster.nodes.filter((node) => node.role === 'expert');
    this.#arrange([[{id: 'router'}], attention, experts]);
    this.#cards.get('router').show(routerLook(cluster, rates));
    const rowsMax = Math.max(1, ...experts.map((node) => rates.of(node.id).rows));
    for (const node of cluster.nodes) this.#cards.get(node.id).show(nodeLook(node, rates.of(node.id)));
    this.#links.show(linksOf(attention, experts, (node) => rates.of(node.id).rows / rowsMax), this.#boxes);
    drawTable(cluster.nodes, rates);
  }

  #arrange(tiers) {
    const width = by('picture').clientWidth, layout = `${width} ${tiers.flat().map((node) => node.id).join(' ')}`;
    if (layout === this.#layout || !width) return;
    this.#layout = layout;
    this.#boxes = arrange(tiers, width);
    const height = Math.max(...[...this.#boxes.values()].map((box) => box.y + box.height)) + 2;
    set(this.#root, {width, height, viewBox: `0 0 ${width} ${height}`});
    for (const [id, card] of this.#cards) if (!this.#boxes.has(id)) { card.remove(); this.#cards.delete(id); }
    for (const [id, box] of this.#boxes) {
      if (!this.#cards.has(id)) this.#cards.set(id, new NodeCard(this.#root));
      this.#cards.get(id).place(box);
    }
  }
}

// Boxes by name: each tier in lines of as many cards as fit, centred.
function arrange(tiers, width) {
  const boxes = new Map(), cardWidth = Math.min(kWidth, (width - kGap) / 2), perLine = Math.max(1, Math.floor((width + kGap) / (cardWidth + kGap)));
  let y = 1;
  for (const tier of tiers) {
    for (let first = 0; first < tier.length; first += perLine) {
      const line = tier.slice(first, first + perLine), left = (width - line.length * (cardWidth + kGap) + kGap) / 2;
      line.forEach((node, i) => boxes.set(node.id, {x: Math.max(1, left + i * (cardWidth + kGap)), y, width: cardWidth - 2, height: kHeight}));
      y += kHeight + kGap;
    }
    if (tier.length) y += kTier - kGap;
  }
  return boxes;
}

function routerLook(cluster, rates) {
  const line = `${number(rates.tokens)} tokens/s`;
  return {name: 'router', state: cluster.ready ? 'ready' : 'loading', line, load: null, about: `router: ${cluster.ready ? 'ready' : cluster.reason}, ${line}`};
}

// A link's load is an estimate: that of its expert node, divided by the sequences that the attention nodes run.
function linksOf(attention, experts, loadOf) {
  const running = Math.max(1, attention.reduce((total, node) => total + node.running, 0));
  const links = attention.map((node) => ({from: 'router', to: node.id, load: node.running / running, lost: node.state === 'lost'}));
  for (const from of attention) {
    for (const to of experts) {
      const lost = from.state === 'lost' || to.state === 'lost' || Boolean(from.lost_peers?.[to.id]);
      links.push({from: from.id, to: to.id, lost, load: lost ? 0 : loadOf(to) * from.running / running});
    }
  }
  return links;
}

function drawTable(nodes, rates) {
  const table = by('nodes');
  if (!table.closest('details').open) return;
  const line = (name, cells) => make('tr', {}, ...cells.map((cell) => make(name, {}, cell)));
  const rows = nodes.map((node) => {
    const rate = rates.of(node.id), expert = node.role === 'expert';
    return line('td', [node.id, node.role, node.state, expert ? '–' : `${node.running} + ${node.waiting}`, expert ? '–' : `${node.pages - node.pages_free} / ${node.pages}`,
      expert ? node.experts : '–', expert ? number(rate.rows) : '–', expert ? percent(rate.busy) : '–', expert ? bytes(node.loaded_bytes) : '–', node.backend, node.address]);
  });
  table.replaceChildren(make('caption', {class: 'hidden-label'}, count(nodes.length, 'node')),
    make('thead', {}, line('th', ['node', 'role', 'state', 'running + waiting', 'pages', 'experts', 'rows/s', 'busy', 'weights', 'backend', 'address'])), make('tbody', {}, ...rows));
}
