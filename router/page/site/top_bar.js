// Model, readiness and whether the feed is alive.

import {by, say, set} from './dom.js';

export class TopBar {
  #live = false;
  #why = '';
  #cluster = null;

  facts(facts) {
    say(by('model'), facts.model);
    document.title = `Atoll · ${facts.model}`;
  }

  cluster(cluster) { this.#cluster = cluster; this.#draw(); }

  // why: the router's own words, where it refused.
  state(state, why = '') {
    this.#live = state === 'live';
    this.#why = why;
    this.#draw();
  }

  #draw() {
    const [name, text] = this.#what();
    set(by('state'), {class: `pill ${name}`});
    say(by('state'), text);
    const notice = this.#notice();
    by('notice').hidden = !notice;
    say(by('notice'), notice);
  }

  #what() {
    if (!this.#live) return ['lost', this.#cluster ? 'no connection' : 'connecting'];
    if (!this.#cluster) return ['joining', 'connecting'];
    return this.#cluster.ready ? ['ready', 'ready'] : ['loading', 'not ready'];
  }

  #notice() {
    if (!this.#live) return this.#why || !this.#cluster ? this.#why : 'The router does not answer; trying again.';
    if (!this.#cluster) return '';
    return [this.#cluster.reason, this.#cluster.not_exact].filter(Boolean).join(' · ');
  }
}
