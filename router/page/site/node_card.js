// One process in the picture: name, health, what it carries.

import {say, set, svg} from './dom.js';
import {bytes, count, number, percent} from './text.js';

export class NodeCard {
  #group = svg('g', {class: 'node', role: 'img'});
  #title = svg('title');
  #box = svg('rect', {rx: 9, class: 'node-box'});
  #dot = svg('circle', {r: 4.5});
  #name = svg('text', {class: 'node-name'});
  #line = svg('text', {class: 'node-line'});
  #track = svg('rect', {rx: 2.5, height: 5, class: 'node-track'});
  #bar = svg('rect', {rx: 2.5, height: 5, class: 'node-bar'});
  #width = 0;

  constructor(parent) {
    this.#group.append(this.#title, this.#box, this.#dot, this.#name, this.#line, this.#track, this.#bar);
    parent.append(this.#group);
  }

  remove() { this.#group.remove(); }

  place({x, y, width, height}) {
    this.#width = width;
    set(this.#group, {transform: `translate(${x} ${y})`});
    set(this.#box, {width, height});
    set(this.#dot, {cx: 14, cy: 17});
    set(this.#name, {x: 25, y: 21});
    set(this.#line, {x: 11, y: 40});
    set(this.#track, {x: 11, y: height - 14, width: width - 22});
    set(this.#bar, {x: 11, y: height - 14});
  }

  // name, state, line, load (0 to 1; null: no bar), about: all of it in a sentence.
  show({name, state, line, load, about}) {
    set(this.#group, {class: `node ${state}`, 'aria-label': about, 'data-node': name, 'data-state': state});
    say(this.#title, about);
    say(this.#name, cut(name, (this.#width - 36) / 7.3));
    say(this.#line, cut(line, (this.#width - 22) / 5.9));
    set(this.#bar, {width: Math.max(0, (this.#width - 22) * (load || 0))});
    this.#track.style.display = load === null ? 'none' : '';
  }
}

const cut = (text, characters) => (text.length > characters ? `${text.slice(0, Math.max(1, Math.floor(characters) - 1))}…` : text);

// What a card says of a node of the feed. Its bar: an attention node's seats that are taken, the share of its
// time that an expert node computed.
export function nodeLook(node, rates) {
  const load = node.role === 'expert' ? rates.busy : Math.min(1, node.running / Math.max(1, node.max_num_seqs));
  const plain = node.role === 'expert' ? expertLine(node, rates) : attentionLine(node);
  const line = node.state === 'ready' ? plain : node.state === 'loading' && node.to_load_bytes ? loadingLine(node) : node.state;
  const why = node.lost_because ? ` (${node.lost_because})` : '';
  const about = `${node.role} node ${node.id}: ${node.state}${why}, ${plain}, ${busyText(node, load)}, ${node.backend}, ${node.address}`;
  return {name: node.id, state: node.state, line, load, about};
}

const busyText = (node, load) => (node.role === 'expert' ? `busy ${percent(load)}` : `${percent(load)} of its seats`);

const expertLine = (node, rates) => `${count(node.experts, 'expert')} · ${number(rates.rows)} rows/s`;

function attentionLine(node) {
  const second = node.waiting ? `${node.waiting} waiting` : `${percent(node.pages ? 1 - node.pages_free / node.pages : 0)} pages`;
  return `${node.running} running · ${second}`;
}

const loadingLine = (node) => `loading, ${bytes(node.to_load_bytes)} to go`;
