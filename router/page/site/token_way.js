// One token's way through the layers: asks for a step's record while a request of our own runs, and shows where its time went.

import {by, make, say} from './dom.js';
import {readEvents} from './events.js';
import {askForKey, keyHeaders} from './key.js';
import {drawStep, kParts, partsOf} from './step_picture.js';
import {count, percent} from './text.js';

const kPrompt = 'Once upon a time there was a token that went through all layers.';

export class TokenWay {
  #text = true;  // the model takes text

  constructor() {
    by('token-follow').addEventListener('click', () => this.#follow());
    by('token-legend').append(...kParts.map(({name, color}) => {
      const swatch = make('i', {});
      swatch.style.background = color;
      return make('span', {}, swatch, name);
    }));
  }

  facts(facts) { this.#text = facts.chat; }

  async #follow() {
    const button = by('token-follow');
    button.disabled = true;
    say(by('token-facts'), 'following a token …');
    try {
      this.#show(await this.#record());
    } catch (error) {
      say(by('token-facts'), error.message);
    }
    button.disabled = false;
  }

  // A request of our own is certain to have a step; after its first token its steps are of one row each.
  async #record() {
    const id = `page-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`, abort = new AbortController();
    const body = JSON.stringify({request_id: id, prompt: this.#text ? kPrompt : [0], max_tokens: 400, ignore_eos: true, stream: true, return_token_ids: true});
    try {
      const answer = await this.#ask('/v1/completions', {method: 'POST', body, headers: {'Content-Type': 'application/json'}, signal: abort.signal});
      for await (const event of readEvents(answer)) if (event.name !== 'pulse') break;
      return await (await this.#ask(`/page/step?request_id=${id}`, {signal: abort.signal})).json();
    } finally {
      abort.abort();
    }
  }

  async #ask(path, options) {
    for (;;) {
      const response = await fetch(path, {...options, headers: {...options.headers, ...keyHeaders()}});
      if (response.status === 401) { await askForKey(); continue; }
      if (!response.ok) throw new Error((await response.json()).error.message);
      return response;
    }
  }

  #show(step) {
    drawStep(by('token-picture'), step);
    const parts = partsOf(step), whole = step.head_end_us;
    const shares = kParts.map(({name, key}) => [name, parts[key] / whole]).filter(([, share]) => share >= 0.005).map(([name, share]) => `${name} ${percent(share)}`);
    if (step.micro_batches > 1) shares.push('micro-batches overlap');
    say(by('token-facts'), `${(whole / 1000).toFixed(2)} ms on ${step.node_id}, step ${step.step} with ${count(step.rows, 'row')} in ${count(step.micro_batches, 'micro-batch', 'micro-batches')}: ${shares.join(', ')}`);
  }
}
