// The lines between processes: thicker with load, moving where rows flow, broken where a link is lost.

import {set, svg} from './dom.js';

const kLinksMax = 1500, kLinksMany = 40;

export class Links {
  #group = svg('g', {class: 'links', 'aria-hidden': 'true'});
  #paths = new Map();  // "from>to" -> path

  constructor(parent) { parent.append(this.#group); }

  // links: [{from, to, load (0 to 1), lost}]; boxes: name -> {x, y, width, height}.
  show(links, boxes) {
    set(this.#group, {class: links.length > kLinksMany ? 'links many' : 'links'});
    const wanted = new Map(links.slice(0, kLinksMax).map((link) => [`${link.from}>${link.to}`, link]));
    for (const [key, path] of this.#paths) {
      if (wanted.has(key)) continue;
      path.remove();
      this.#paths.delete(key);
    }
    for (const [key, link] of wanted) {
      const from = boxes.get(link.from), to = boxes.get(link.to);
      if (from && to) set(this.#path(key), {d: curve(from, to), class: `link${link.lost ? ' lost' : ''}${link.load > 0 ? ' flows' : ''}`, 'stroke-width': (1 + 4 * link.load).toFixed(1)});
    }
  }

  #path(key) {
    if (!this.#paths.has(key)) {
      const path = svg('path', {'data-link': key});
      this.#paths.set(key, path);
      this.#group.append(path);
    }
    return this.#paths.get(key);
  }
}

function curve(from, to) {
  const x1 = from.x + from.width / 2, y1 = from.y + from.height, x2 = to.x + to.width / 2, y2 = to.y, bend = (y2 - y1) / 2;
  return `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
}
