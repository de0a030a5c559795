// Keeps an open page true without reloading it.
//
// An event stream, one for all tabs (stream.js), says that something changed; the page then fetches its own blocks
// from the server and takes over what differs, so that every word and number is rendered in one place. A poll every
// 30 s is the second path: an event stream that a proxy holds back must not let a wall screen look calm. Ages, and a
// station falling silent, need no server: they follow from the town's clock.

import { ageText, correctClock, hourAndMinute, setClock, tickLength, townNow } from './clock.js';
import { morph } from './morph.js';
import { listen } from './stream.js';

const REST = 1_000; // between two refreshes: a burst of messages is one change
const PATIENCE = 12_000; // of both paths failing, before the page calls itself cut off
const REOPEN = 3_000; // until the next try of a path that failed

const body = document.body;
const words = JSON.parse(document.getElementById('words').textContent);
const lamp = document.getElementById('lamp');

// --- the lamp ---------------------------------------------------------------------------------------------

let streaming = false;
let failing = false; // the last fetch: a stream over a pulled cable stays 'open' for minutes, and says nothing
let lastContact = performance.now(); // when the server last answered on either path
let lastContactTown = 0;

function contact() {
  lastContact = performance.now();
  lastContactTown = townNow();
}

function showLamp() {
  const away = performance.now() - lastContact;
  let state = 'wait';
  if (streaming && !failing) state = 'on';
  else if (away > PATIENCE) state = 'lost';
  const text = words[`lamp.${state}`].replace('{time}', hourAndMinute(lastContactTown));
  if (lamp.dataset.state !== state) lamp.dataset.state = state;
  const label = document.getElementById('lamp-text');
  if (label.textContent !== text) label.textContent = text;
}

// --- ages and silence -------------------------------------------------------------------------------------

const silentSeen = new Set();

function showAges() {
  for (const age of document.querySelectorAll('[data-since]')) {
    const text = ageText(Date.parse(age.dataset.since), words);
    if (age.textContent !== text) age.textContent = text;
  }
  document.getElementById('town-clock').textContent = hourAndMinute(townNow());
  const now = townNow();
  let turned = false;
  for (const mark of document.querySelectorAll('[data-silent-at]')) {
    const silent = Date.parse(mark.dataset.silentAt) < now;
    mark.classList.toggle('is-silent', silent);
    if (!silent) continue;
    // The server says it better; until it answers, the last value must at least not look like the present one.
    const row = mark.closest('[id^="station-"]') ?? mark;
    const word = row.querySelector('.state:not(.state-silent, .state-work) > .state-word');
    // a station since when, as the server says it; a device just the word
    const heard = row === mark && !row.id.startsWith('station-') ? null : row.querySelector('time');
    const text = heard ? words['sentence.silent'].replace('{time}', heard.textContent) : words['state.silent'];
    if (word && word.textContent !== text) word.textContent = text;
    const key = `${row.id}${mark.dataset.silentAt}`;
    if (!silentSeen.has(key)) {
      silentSeen.add(key);
      turned = true;
    }
  }
  if (turned) refreshSoon();
}

// --- refreshing -------------------------------------------------------------------------------------------

let refreshing = false;
let again = false;
let timer = 0;
let lastRefresh = -REST;

function refreshSoon() {
  if (document.hidden && body.dataset.sound !== 'on') {
    again = true; // a page nobody sees, nor hears, may wait until somebody does
    return;
  }
  if (timer) return;
  timer = setTimeout(refresh, Math.max(0, lastRefresh + REST - performance.now()));
}

async function refresh() {
  clearTimeout(timer);
  timer = 0;
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  again = false;
  lastRefresh = performance.now();
  try {
    const address = new URL(location.href); // with its query: the month or the day that is shown
    address.hash = '';
    address.searchParams.delete('lang');
    address.searchParams.delete('done');
    address.searchParams.set('fragment', '1');
    const answer = await fetch(address, { headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(10_000) });
    failing = !(await takeOver(answer, document.querySelectorAll('.done[id], .problem[id]')));
  } catch {
    failing = true;
  } finally {
    refreshing = false;
    if (failing) timer ||= setTimeout(refresh, REOPEN);
    showLamp();
    if (again) refreshSoon();
  }
}

/** Puts an answer of the server into the page: a fragment, or the whole page an action led to. What stands in `kept`
 *  (elements with ids) stays to be read where the answer has no word of its own for it: what an action has done, or why
 *  it was refused, a page fetched for something else knows nothing of.
 */
async function takeOver(response, kept = []) {
  if (new URL(response.url).pathname === '/sign-in') {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`); // the session has ended
    return false;
  }
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const said of kept) {
    const empty = fresh.getElementById(said.id);
    if (empty && !empty.textContent.trim()) empty.replaceChildren(...said.cloneNode(true).childNodes);
  }
  const blocks = ['strip', 'main'].map((id) => [document.getElementById(id), fresh.getElementById(id)]);
  if (response.status >= 500 || blocks.some(([, to]) => !to || !fresh.getElementById('strip'))) return false;
  contact();
  correctClock(response.headers.get('X-Town-Now'));
  for (const [from, to] of blocks) morph(from, to);
  showAges();
  return response.ok;
}

// --- the stream -------------------------------------------------------------------------------------------

function concerns(data) {
  const shown = new Set([...document.querySelectorAll('[data-datastream]')].map((cell) => cell.dataset.datastream));
  return JSON.parse(data).observations.some((item) => shown.has(String(item.datastream)));
}

const heard = {
  opened() {
    streaming = true;
    contact();
    showLamp();
    refreshSoon(); // whatever happened while nobody told us
  },
  lost() {
    streaming = false;
    showLamp();
  },
  told(kind, data) {
    contact();
    if (kind === 'observations' ? concerns(data) : kind !== 'clock') refreshSoon();
  },
};

// --- forms ------------------------------------------------------------------------------------------------

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.matches('[data-action]') || !event.submitter) return;
  event.preventDefault();
  const button = event.submitter;
  const article = form.closest('article');
  if (form.dataset.sending) return;
  form.dataset.sending = '1';
  const written = [...form.querySelectorAll('[name=note], [data-once]')].map((field) => [field, field.value]);
  const place = document.activeElement;
  try {
    const response = await fetch(button.getAttribute('formaction'), {
      method: 'POST',
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: 'text/html' },
      signal: AbortSignal.timeout(20_000),
    });
    const taken = await takeOver(response);
    if (taken) {
      // Who has gone on to write while the answer was under way keeps the new words and the place.
      for (const [field, text] of written) {
        if (field.type === 'checkbox' || field.type === 'radio') field.checked = false;
        else if (field.value === text) field.value = '';
      }
      if (document.activeElement === place) document.getElementById(form.dataset.next)?.focus();
    }
    // The button may be gone with what it did: focus goes to its alert, or to what the page now says.
    if (!document.contains(button)) {
      const places = [article?.id, form.dataset.after, 'main'].map((id) => document.getElementById(id));
      places.find(Boolean).focus();
    }
  } catch {
    document.getElementById('done').textContent = words['live.failed'];
  } finally {
    delete form.dataset.sending;
  }
});

// --- life -------------------------------------------------------------------------------------------------

setClock(body);
contact();
lamp.dataset.state = 'wait';
showLamp();
showAges();
const stream = listen(body.dataset.town, body.dataset.stream, heard);
setInterval(showAges, tickLength());
setInterval(showLamp, 1_000);
setInterval(refresh, Number(body.dataset.poll) * 1_000);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refreshSoon();
});
addEventListener('pagehide', () => stream.stop());
addEventListener('pageshow', (event) => {
  if (event.persisted) stream.start();
});
