// The live feed: connects, connects again, says what comes.

import {readEvents} from './events.js';
import {askForKey, keyHeaders} from './key.js';

const kSilenceMs = 6000, kPausesMs = [500, 1000, 2000, 4000];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// onEvent(name, value) for each event; onState('live') and onState('lost', why).
export async function follow(onEvent, onState) {
  for (let failures = 0; ; ) {
    const {key, lived, why} = await watchOnce(onEvent, onState);
    if (key) {
      await askForKey();
      continue;
    }
    failures = lived ? 0 : Math.min(failures + 1, kPausesMs.length - 1);
    onState('lost', why);
    await sleep(kPausesMs[failures]);
  }
}

// key: one is needed; lived: events came; why: what the router said instead.
async function watchOnce(onEvent, onState) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), kSilenceMs), lived = false;
  try {
    const response = await fetch('/page/feed', {headers: keyHeaders(), signal: abort.signal, cache: 'no-store'});
    if (response.status === 401) return {key: true};
    if (!response.ok) return {why: (await response.json()).error.message};
    for await (const event of readEvents(response)) {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), kSilenceMs);
      if (!lived) onState('live');
      lived = true;
      if (event.name !== 'pulse' && event.name !== 'end') tell(onEvent, event);
    }
  } catch {  // the network, or our own abort after a silence
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
  return {lived};
}

// What goes wrong in the drawing is not the network's fault, and does not end the feed.
function tell(onEvent, event) {
  try {
    onEvent(event.name, JSON.parse(event.data));
  } catch (error) {
    console.error(error);
  }
}
