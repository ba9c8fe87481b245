// Placement and what has happened: newest first.

import {by, make, say} from './dom.js';
import {clock, count} from './text.js';

const kShown = 60;

export class Changes {
  #newest = 0;

  // Numbers that were seen before are left out: the whole is said again after a pause.
  take(changes) {
    const list = by('change-list');
    if (changes.length && changes.at(-1).number < this.#newest) this.clear();  // of a router that began anew
    for (const change of changes) {
      if (change.number <= this.#newest) continue;
      this.#newest = change.number;
      list.prepend(make('li', {class: change.bad ? 'bad' : ''}, make('time', {datetime: new Date(change.unix_ms).toISOString()}, clock(change.unix_ms)),
        make('span', {class: `tag ${change.kind}`}, change.kind), make('span', {}, change.text)));
    }
    while (list.children.length > kShown) list.lastElementChild.remove();
  }

  clear() {
    this.#newest = 0;
    by('change-list').replaceChildren();
  }

  cluster({balancer, view_epoch: viewEpoch}) {
    const state = balancer.stuck ? 'stuck' : balancer.frozen ? 'frozen' : balancer.activity;
    const facts = [['placement epoch', balancer.epoch], ['view', viewEpoch], ['balancer', state], ['replicas moved', balancer.replicas_loaded]];
    if (balancer.lost_experts) facts.push(['experts without a host', balancer.lost_experts]);
    drawFigures(by('placement-figures'), facts);
    by('migration').hidden = balancer.activity === 'idle';
    say(by('migration-text'), `${balancer.activity}${balancer.steps_left ? `, ${count(balancer.steps_left, 'step')} left after this round` : ''}`);
  }
}

// [[name, value], ...] as a row of figures; written only where one differs.
export function drawFigures(element, facts) {
  if (element.children.length !== facts.length) element.replaceChildren(...facts.map(() => make('span', {}, make('b', {}), ' ', make('span', {}))));
  facts.forEach(([name, value], i) => {
    say(element.children[i].firstElementChild, String(value));
    say(element.children[i].lastElementChild, name);
  });
}
