// The few settings of a chat, as labelled fields; kept by the page alone.

import {by, make} from './dom.js';

const kFields = [
  {name: 'system', label: 'System message', type: 'text'},
  {name: 'max_tokens', label: 'Tokens at most', type: 'number', min: 1, step: 1, value: 256},
  {name: 'temperature', label: 'Temperature', type: 'number', min: 0, max: 2, step: 'any', value: 0.8},
  {name: 'top_p', label: 'Top p', type: 'number', min: 0, max: 1, step: 'any', value: 0.95},
  {name: 'seed', label: 'Seed', type: 'number', step: 1, placeholder: 'by chance'},
];

export class ChatSettings {
  constructor() {
    for (const {name, label, ...attributes} of kFields) {
      const id = `chat-${name.replace('_', '-')}`;
      by('chat-settings').append(make('label', {for: id}, label), make('input', {id, name, ...attributes}));
    }
  }

  get system() { return by('chat-system').value; }

  // Fields of the request, without those that are left empty.
  fields() {
    const fields = {};
    for (const {name, type} of kFields) {
      const text = by(`chat-${name.replace('_', '-')}`).value;
      if (type === 'number' && text !== '' && Number.isFinite(Number(text))) fields[name] = Number(text);
    }
    return fields;
  }
}
