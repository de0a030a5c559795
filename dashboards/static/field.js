// The report form on a bad network, and without one: what was typed and photographed is not lost.
//
// The draft lies in this browser from the first letter on: the texts, the key by which the server knows a repetition and
// the moment of the first try in localStorage, which is written at once whatever happens to the page; the photos in
// IndexedDB. What is to be sent waits there too (field_queue.js), and goes out as soon as there is a network, by this page
// or by the service worker (field_waiting.js). Photos are made smaller here, so that little has to pass the network; a
// picture that this browser cannot read goes as it is. Without this script the form is an ordinary upload.

import { askForSync, begin, showWaiting } from './field_waiting.js';
import { smaller } from './smaller.js';

const { store, waiting, drop, newKey, submit } = self.fieldQueue;
const FORGET = 7 * 86_400_000; // ms: the server takes no older sight

const form = document.getElementById('report');
const words = JSON.parse(document.getElementById('field-words').textContent);
const byId = (id) => document.getElementById(id);
const TEXTS = ['text', 'place', 'station', 'reading', 'time', 'latitude', 'longitude', 'accuracy'];
const MOST_PHOTOS = Number(form.dataset.photos ?? 4);

const say = (key, values = {}) => Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), words[key]);

// --- the draft --------------------------------------------------------------------------------------------

const draft = { key: form.elements.key.value || newKey(), began: null, photos: [] }; // began: ms of the first try to send
const NAME = form.dataset.draft; // what the draft is kept under
let keeping = true; // whether this browser keeps anything

function keep() {
  const texts = Object.fromEntries(TEXTS.map((name) => [name, form.elements[name].value]));
  const { key, began } = draft;
  try {
    if (draft.photos.length || Object.values(texts).some(Boolean)) {
      localStorage.setItem(NAME, JSON.stringify({ key, began, texts, at: Date.now() }));
    } else {
      localStorage.removeItem(NAME);
    }
  } catch {
    keeping = false; // no room, or not allowed: then it lives as long as the page
  }
}

async function keepPhotos() {
  keep();
  await store('drafts', 'readwrite', (drafts) => drafts.put(draft.photos, NAME)).catch(() => {
    keeping = false; // a private window, say
  });
}

async function forget() {
  try {
    localStorage.removeItem(NAME);
  } catch {
    // nothing was kept
  }
  await store('drafts', 'readwrite', (drafts) => drafts.delete(NAME)).catch(() => undefined);
}

async function restore() {
  let kept;
  try {
    kept = JSON.parse(localStorage.getItem(NAME));
  } catch {
    return;
  }
  if (!kept) return;
  const waits = (await waiting().catch(() => [])).some((report) => report.key === kept.key);
  if (waits || Date.now() - kept.at > FORGET) {
    await forget();
    return;
  }
  // What the server has refused and sent back is newer than what was kept.
  if (byId('problem').textContent.trim()) return;
  for (const name of TEXTS) form.elements[name].value ||= kept.texts[name] ?? '';
  draft.key = kept.key;
  draft.began = kept.began;
  draft.photos = (await store('drafts', 'readonly', (drafts) => drafts.get(NAME)).catch(() => undefined)) ?? [];
  showPhotos();
  showPlace();
  showKept('restored');
}

function showKept(key) {
  byId('kept').hidden = !key;
  if (key) byId('kept-text').textContent = say(key);
}

function empty() {
  draft.key = newKey();
  draft.began = null;
  draft.photos = [];
  form.reset();
  for (const name of TEXTS) form.elements[name].value = '';
  showPhotos();
  showPlace();
  showKept(null);
}

// --- photos -----------------------------------------------------------------------------------------------

const chooser = form.elements.photos;
chooser.classList.add('field-chooser'); // what is chosen stands in the list: the browser's own word would be 'none'

chooser.addEventListener('change', async () => {
  const files = [...chooser.files];
  chooser.value = ''; // from now on they are the draft's
  for (const file of files) {
    if (draft.photos.length >= MOST_PHOTOS) {
      byId('problem').textContent = words.too_many;
      break;
    }
    draft.photos.push(await smaller(file));
    showPhotos();
  }
  await keepPhotos();
});

function showPhotos() {
  const list = byId('chosen');
  list.hidden = !draft.photos.length;
  list.replaceChildren(
    ...draft.photos.map((photo, n) => {
      const item = document.createElement('li');
      if (photo.look) {
        const image = document.createElement('img');
        image.src = photo.look;
        image.alt = '';
        item.append(image);
      }
      const text = document.createElement('span');
      text.textContent = `${photo.name} ${Math.ceil(photo.blob.size / 1000)} KB`;
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'button button-quiet';
      button.textContent = words.remove;
      button.setAttribute('aria-label', `${words.remove} ${photo.name}`);
      button.addEventListener('click', () => {
        draft.photos.splice(n, 1);
        showPhotos();
        keepPhotos();
        chooser.focus();
      });
      item.append(text, button);
      return item;
    }),
  );
}

// --- the place --------------------------------------------------------------------------------------------

function showPlace() {
  const { latitude, longitude, accuracy } = form.elements;
  byId('here-text').textContent = latitude.value
    ? say('located', { latitude: latitude.value, longitude: longitude.value, accuracy: accuracy.value || '?' })
    : '';
}

byId('here').hidden = false;
byId('here-button').addEventListener('click', () => {
  const text = byId('here-text');
  if (!window.isSecureContext || !navigator.geolocation) {
    text.textContent = words.not_secure;
    return;
  }
  text.textContent = words.locating;
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      form.elements.latitude.value = coords.latitude.toFixed(6);
      form.elements.longitude.value = coords.longitude.toFixed(6);
      form.elements.accuracy.value = Math.round(coords.accuracy);
      showPlace();
      keep();
    },
    () => {
      text.textContent = words.not_located;
    },
    { enableHighAccuracy: true, timeout: 20_000, maximumAge: 30_000 },
  );
});

// --- sending ----------------------------------------------------------------------------------------------

let sending = false;

/** What is in the form, as it waits and is sent. */
function reportOf() {
  const fields = Object.fromEntries(TEXTS.map((name) => [name, form.elements[name].value]));
  const { author, by } = form.dataset;
  const action = new URL(form.action).pathname;
  return { key: draft.key, action, author, by, drill: Boolean(form.elements.drill), began: draft.began, pressed: Date.now(), fields, photos: draft.photos };
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (sending) return;
  sending = true;
  draft.began ??= Date.now();
  for (const id of ['done', 'problem']) byId(id).textContent = '';
  byId('sending').textContent = words.sending;
  keep();
  try {
    const report = reportOf();
    await heard(await submit(report), report);
  } finally {
    sending = false;
    byId('sending').textContent = '';
  }
});

async function heard({ result, waits }, report) {
  if (result.state === 'sent') {
    const left = result.unread.map((each) => say('unread', each));
    await forget();
    empty();
    byId('send').textContent = words.send;
    byId('done').textContent = [say(result.again ? 'doubled' : 'sent', { n: result.report }), ...left].join(' ');
    byId('done').scrollIntoView({ block: 'center' });
  } else if (result.state === 'refused') {
    // For what it says: to be put right here, and the key stays, for nothing was taken.
    await drop(report.key).catch(() => undefined);
    byId('problem').textContent = say('refused', { why: result.why });
    byId('problem').scrollIntoView({ block: 'center' });
    (form.elements[result.field]?.focus ? form.elements[result.field] : null)?.focus({ preventScroll: true });
  } else if (waits) {
    await forget();
    empty();
    byId('problem').textContent = words[{ signed_out: 'queued_signed_out', other: 'queued_other' }[result.state] ?? 'queued'];
    byId('problem').scrollIntoView({ block: 'center' });
    askForSync();
  } else {
    failed(result.state === 'away' ? 'failed' : 'signed_out');
  }
  await showWaiting();
}

/** There is no store in this browser: it stays in the form. */
function failed(key) {
  byId('problem').textContent = `${words[key]} ${keeping ? words.kept : words.not_kept}`;
  byId('send').textContent = words.again;
  byId('problem').scrollIntoView({ block: 'center' });
}

/** Puts a report that was refused back into the form; false where something else is in it. */
async function takeBack(report) {
  if (draft.photos.length || TEXTS.some((name) => form.elements[name].value)) return false;
  for (const name of TEXTS) form.elements[name].value = report.fields[name] ?? '';
  Object.assign(draft, { key: report.key, began: report.began, photos: report.photos });
  await keepPhotos();
  await drop(report.key);
  showPhotos();
  showPlace();
  showKept('restored');
  form.elements.text.focus();
  return true;
}

byId('discard').addEventListener('click', async () => {
  await forget();
  empty();
  byId('send').textContent = words.send;
  form.elements.text.focus();
});

form.addEventListener('input', keep);
await restore();
const home = { path: new URL(form.action).pathname, author: form.dataset.author, copy: 'copy' in form.dataset };
await begin({ ...home, done: byId('done'), problem: byId('problem') }, words, takeBack);
document.documentElement.dataset.ready = 'yes';
