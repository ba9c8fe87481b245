// A conversation over POST /v1/chat/completions, as any client of the API would have it.

import {by, make} from './dom.js';
import {readEvents} from './events.js';
import {askForKey, keyHeaders} from './key.js';
import {ChatSettings} from './chat_settings.js';
import {count} from './text.js';

export class Chat {
  #settings = new ChatSettings();
  #messages = [];
  #abort = null;  // of the answer that is coming

  constructor() {
    by('chat-form').addEventListener('submit', (event) => { event.preventDefault(); this.#send(); });
    by('chat-stop').addEventListener('click', () => this.#abort?.abort());
    by('chat-clear').addEventListener('click', () => { this.#clear(); by('chat-input').focus(); });
    by('chat-input').addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.#clear();
  }

  facts(facts) {
    if (!facts.chat) this.#refuse('This model folder has no tokenizer or no chat format: it is served by token ids alone, through the API.');
  }

  #refuse(text) {
    by('chat-log').replaceChildren(make('p', {class: 'soft'}, text));
    for (const id of ['chat-input', 'chat-send', 'chat-clear']) by(id).disabled = true;
  }

  #clear() {
    this.#abort?.abort();
    this.#messages = [];
    by('chat-log').replaceChildren(make('p', {class: 'soft empty'}, 'Nothing said yet.'));
  }

  async #send() {
    const text = by('chat-input').value.trim();
    if (text === '' || this.#abort) return;
    by('chat-input').value = '';
    by('chat-log').querySelector('.empty')?.remove();
    this.#messages.push({role: 'user', content: text});
    this.#bubble('user', text);
    await this.#answer();
  }

  async #answer() {
    const answer = new Answer(this.#bubble('assistant', ''));
    this.#busy(true);
    const before = this.#messages.length;
    try {
      await this.#stream(answer);
    } catch (error) {
      if (error.name !== 'AbortError') answer.fail(error.message);
      else answer.end('stopped');
    }
    if (before === this.#messages.length && answer.text) this.#messages.push({role: 'assistant', content: answer.text});
    this.#busy(false);
  }

  async #stream(answer) {
    const system = this.#settings.system.trim();
    const messages = [...(system ? [{role: 'system', content: system}] : []), ...this.#messages];
    const body = JSON.stringify({messages, stream: true, stream_options: {include_usage: true}, ...this.#settings.fields()});
    for (;;) {
      const response = await fetch('/v1/chat/completions', {method: 'POST', headers: {'Content-Type': 'application/json', ...keyHeaders()}, body, signal: this.#abort.signal});
      if (response.status === 401) { await askForKey(); continue; }
      if (!response.ok) throw new Error(await errorText(response));
      for await (const event of readEvents(response)) {
        if (event.name === 'pulse' || event.data === '[DONE]') continue;
        answer.take(JSON.parse(event.data));
        scrollToEnd();
      }
      return answer.end();
    }
  }

  #bubble(role, text) {
    const bubble = make('div', {class: `bubble ${role}`}, make('span', {class: 'hidden-label'}, role === 'user' ? 'You: ' : 'Atoll: '), make('div', {class: 'said'}, text));
    by('chat-log').append(bubble);
    scrollToEnd();
    return bubble;
  }

  #busy(busy) {
    this.#abort = busy ? new AbortController() : null;
    by('chat-send').hidden = busy;
    by('chat-stop').hidden = !busy;
    by('chat-log').setAttribute('aria-busy', String(busy));
  }
}

// One answer as it comes.
class Answer {
  text = '';
  #bubble; #said; #thought = null;
  #sent = performance.now();
  #first = 0;
  #usage = null;
  #finish = null;

  constructor(bubble) {
    this.#bubble = bubble;
    this.#said = bubble.querySelector('.said');
  }

  take(chunk) {
    if (chunk.error) throw new Error(chunk.error.message);
    this.#usage = chunk.usage || this.#usage;
    const choice = chunk.choices[0];
    if (!choice) return;
    if (!this.#first) this.#first = performance.now();
    this.#think(choice.delta.reasoning_content);
    this.text += choice.delta.content || '';
    this.#said.append(choice.delta.content || '');
    this.#finish = choice.finish_reason || this.#finish;
  }

  #think(text) {
    if (!text) return;
    if (!this.#thought) {
      this.#thought = make('div', {class: 'thought'});
      this.#bubble.insertBefore(make('details', {}, make('summary', {}, 'Thinking'), this.#thought), this.#said);
    }
    this.#thought.append(text);
  }

  end(why = this.#finish) {
    const tokens = this.#usage?.completion_tokens, now = performance.now();
    const facts = [this.#first ? `first token ${Math.round(this.#first - this.#sent)} ms` : '', tokens ? count(tokens, 'token') : '',
      tokens > 1 && now > this.#first ? `${((tokens - 1) / (now - this.#first) * 1000).toFixed(1)} tokens/s` : '', why === 'length' ? 'cut at its length' : why === 'stopped' ? 'stopped' : ''];
    this.#bubble.append(make('div', {class: 'facts'}, facts.filter(Boolean).join(' · ')));
    scrollToEnd();
  }

  fail(message) {
    this.#bubble.append(make('div', {class: 'facts bad'}, message));
    scrollToEnd();
  }
}

async function errorText(response) {
  try { return (await response.json()).error.message; } catch { return `the router answered with status ${response.status}`; }
}

function scrollToEnd() {
  const log = by('chat-log');
  log.scrollTop = log.scrollHeight;
}
