// The API key: in this tab's memory and its sessionStorage, nowhere else.

import {by, say} from './dom.js';

const kSlot = 'atoll-api-key';
let asked = null;  // the question that is open, as a promise

// A key that no header can carry is none.
export function keyHeaders() {
  const key = sessionStorage.getItem(kSlot);
  return key && /^[\x20-\x7e]+$/.test(key) ? {Authorization: `Bearer ${key}`} : {};
}

// Resolves when the user has given one. Everybody who asks meanwhile waits for the same answer.
export function askForKey() {
  if (!asked) asked = ask().finally(() => { asked = null; });
  return asked;
}

function ask() {
  const dialog = by('key-dialog'), input = by('key-input');
  if (sessionStorage.getItem(kSlot)) say(by('key-why'), 'This key was refused. Give another one; it stays in this tab and is forgotten with it.');
  sessionStorage.removeItem(kSlot);
  input.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault();
    by('key-form').onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(kSlot, input.value.trim());
      dialog.close();
      resolve();
    };
  });
}
