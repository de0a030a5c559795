// The forms for counts on a bad network: what was typed is not lost, and is entered once.
//
// A form with data-keep is put into this browser's store before it is sent, under the key by which the server knows a
// repetition; it is taken out when the server has answered. Without a network it waits there, and goes out from the next
// of these pages that is open when there is one, by the account that wrote it. Where the server asks back (another
// number meanwhile, ten times the usual) the entry waits for its person. Without this script the forms are ordinary.
//
// A page that is open without a network can be led to another spot or day by its own lists: then the form says that
// nobody knows what stands there, and the server asks back where something does. A page with data-home can be opened
// without one, too, and with it the other forms of the kind: the service worker shows a copy (data-copy) that holds no
// number and no token, and chooses by itself.

const QUEUE = 'mimamori-entries'; // [{key, by, action, label, fields, at, asked?, refused?}]
const LOOK = 30_000; // ms between tries
const PATIENCE = 20_000; // ms until a try counts as failed
const FRESH = 86_400_000; // ms: a copy of another form that is older is kept anew

const place = document.getElementById('entry-waiting-here');
place.after(place.content.firstElementChild.cloneNode(true)); // a renewal of the page leaves it alone: it is an island
const section = document.getElementById('entry-waiting');
const words = JSON.parse(document.getElementById('entry-words').textContent);
const byId = (id) => document.getElementById(id);
const { by, home } = place.dataset;
const copy = document.querySelector('form[data-copy]'); // this page was kept, and knows nothing of today
const say = (key, values = {}) => Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), words[key]);

// --- the store

function all() {
  try {
    return JSON.parse(localStorage.getItem(QUEUE)) ?? [];
  } catch {
    return [];
  }
}

const mine = () => all().filter((entry) => entry.by === by);

/** Puts an entry in the place of the one with its key; false where this browser keeps nothing. */
function put(entry) {
  try {
    localStorage.setItem(QUEUE, JSON.stringify([...all().filter(({ key }) => key !== entry.key), entry]));
    return true;
  } catch {
    return false; // a private window, say
  }
}

function drop(key) {
  try {
    localStorage.setItem(QUEUE, JSON.stringify(all().filter((entry) => entry.key !== key)));
  } catch {
    // nothing was kept
  }
}

// --- sending

/** The token with which this account may send now; a link needs none. {state} where it may not. */
async function allowed() {
  if (!copy || !('login' in copy.dataset)) return { csrf: place.dataset.csrf };
  const now = await self.fieldQueue.session();
  if (!now) return { state: 'signed_out' };
  return now.login === by ? { csrf: now.csrf_token } : { state: 'other' };
}

/** What the server says to an entry: {state: 'done' | 'asked', address} | {state: 'refused', why} | 'away' | 'signed_out'
 *  | 'other' (somebody else is signed in). */
async function send(entry) {
  let answer;
  try {
    const { state, csrf } = await allowed();
    if (state) return { state };
    answer = await fetch(entry.action, {
      method: 'POST',
      body: new URLSearchParams([...entry.fields, ['csrf_token', csrf]]),
      headers: { Accept: 'application/json' },
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    return { state: 'away' };
  }
  const at = new URL(answer.url);
  if (answer.status === 401 || answer.status === 403 || at.pathname === '/sign-in') return { state: 'signed_out' };
  if (answer.status >= 500 || answer.status === 429) return { state: 'away' };
  if (!answer.ok) return { state: 'refused', why: await answer.json().then(({ title, detail }) => detail ?? title, () => String(answer.status)) };
  return { state: at.searchParams.has('saved') ? 'done' : 'asked', address: at.pathname + at.search };
}

let sending = false;

async function sendAll() {
  const ready = mine().filter((entry) => !entry.asked && !entry.refused);
  if (sending || !ready.length) return;
  sending = true;
  let sent = 0;
  let last = 'done';
  for (const entry of ready) {
    const result = await send(entry);
    last = result.state;
    if (last === 'done') {
      drop(entry.key);
      sent += 1;
    } else if (last === 'asked') put({ ...entry, asked: result.address });
    else if (last === 'refused') put({ ...entry, refused: result.why });
    else break;
  }
  sending = false;
  show(sent ? say('sent', { n: sent }) : { away: words.away, signed_out: words.signed_out, other: words.other }[last] ?? '');
  if (copy && last !== 'away') byId('entry-live').hidden = false;
}

function show(state) {
  const waiting = mine();
  section.hidden = !waiting.length && !state;
  byId('entry-waiting-n').textContent = say('count', { n: waiting.length });
  if (state !== undefined) byId('entry-waiting-state').textContent = state;
  byId('entry-waiting-send').hidden = !waiting.some((entry) => !entry.asked && !entry.refused);
  byId('entry-waiting-list').replaceChildren(
    ...waiting.map((entry) => {
      const item = document.createElement('li');
      item.append(entry.label);
      if (entry.asked) {
        const link = document.createElement('a');
        link.href = entry.asked;
        link.textContent = words.look;
        item.append(` ${words.asked} `, link);
      }
      if (entry.refused) item.append(` ${say('refused', { why: entry.refused })}`);
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'button button-quiet';
      button.textContent = words.drop;
      button.setAttribute('aria-label', `${words.drop} ${entry.label}`);
      button.addEventListener('click', () => {
        if (!window.confirm(say('drop_sure', { what: entry.label }))) return;
        drop(entry.key);
        show('');
      });
      item.append(' ', button);
      return item;
    }),
  );
}

function go(address) {
  const to = new URL(address, location.href);
  if (to.pathname + to.search === location.pathname + location.search) location.reload();
  else location.assign(to);
}

/** What the list says of an entry: the fields that its form names (data-keep), or its hours. */
function typedIn(form) {
  if (form.dataset.keep) return form.dataset.keep.split(' ').map((name) => form.elements[name].value);
  return [...form.querySelectorAll('.hour-field input:not([type="hidden"], :disabled)')]
    .filter((field) => field.value !== form.elements[field.name.replace('h', 's')].value)
    .map((field) => `${field.labels[0].textContent} ${field.value || '–'}`);
}

/** Makes room for the next entry. The hours of an open page stay: emptied they would be taken back. */
function clear(form) {
  if (form === copy) {
    const chosen = [...form.querySelectorAll('select, [type="date"]')].map((field) => [field, field.value]);
    form.reset();
    for (const [field, value] of chosen) field.value = value;
  } else if (form.dataset.keep) for (const name of form.dataset.keep.split(' ')) form.elements[name].value = '';
}

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.matches('[data-keep]')) return;
  event.preventDefault();
  if (form.dataset.sending) return;
  form.dataset.sending = '1';
  form.elements.key.value ||= self.fieldQueue.newKey();
  const fields = [...new FormData(form)].filter(([name]) => name !== 'csrf_token');
  const action = new URL(form.action).pathname;
  const entry = { key: form.elements.key.value, by, action, label: [form.dataset.label, ...typedIn(form)].filter(Boolean).join(' '), fields, at: Date.now() };
  const kept = put(entry);
  const result = await send(entry);
  delete form.dataset.sending;
  if (result.state === 'done' || result.state === 'asked') {
    drop(entry.key); // what is asked stands in the form of the page it leads to
    go(result.address + (result.state === 'done' ? '#main' : '#which-number'));
  } else if (result.state === 'refused' || !kept) {
    drop(entry.key);
    form.submit(); // the server's own page says what is wrong
  } else {
    form.elements.key.value = self.fieldQueue.newKey();
    clear(form); // it stands in the list
    show({ away: words.queued, other: words.other }[result.state] ?? words.signed_out);
    section.scrollIntoView({ block: 'center' });
  }
});

// --- another spot or day without a network

let elsewhere = false; // the lists of the page no longer say what stands at the chosen spot and day

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-entry]');
  const form = document.querySelector('form[data-keep="value"]');
  if (!link || !form || navigator.onLine) return;
  event.preventDefault();
  const to = new URL(link.href);
  const day = to.searchParams.get('day');
  const other = { spot: to.pathname !== new URL(form.action).pathname, day: day !== form.elements.day.value };
  form.action = to.pathname;
  form.elements.day.value = day;
  form.elements.seen.value = elsewhere || (other.spot && other.day) ? 'none' : link.dataset.seen;
  form.elements.value.value = '';
  elsewhere = true;
  form.dataset.kept = 'action data-kept data-label data-spot data-day'; // a renewal of the page is of the other one
  for (const [name, changed] of Object.entries(other)) if (changed) form.dataset[name] = link.dataset.entry;
  form.dataset.label = `${form.dataset.spot} ${form.dataset.day}`;
  byId('which-number').textContent = say('number', { spot: form.dataset.spot, day: form.dataset.day });
  for (const each of link.closest('ul').querySelectorAll('a')) each.removeAttribute('aria-current');
  link.setAttribute('aria-current', 'true');
  for (const facts of document.querySelectorAll('[data-of-day]')) {
    facts.hidden = true;
    facts.dataset.kept = 'hidden data-kept';
  }
  byId('entry-offline').textContent = words.offline;
  form.elements.value.focus();
});

// --- opened without a network

/** Lets this form be opened without a network from now on, and says at the end of the page whether it can be. The other
 *  forms for counts come with it: who goes where there is no network may need another one. */
async function keepForms() {
  const able = document.createElement('p');
  able.className = 'note';
  able.id = 'entry-able';
  able.dataset.island = 'able';
  document.getElementById('main').append(able);
  if (!window.isSecureContext) able.textContent = words.insecure;
  else able.textContent = await self.fieldQueue.keepForm(home, new URL(location.href)).then(keepOthers).then(() => words.able, () => words.unable);
}

async function keepOthers() {
  const { COUNTS, keptAt } = self.fieldQueue;
  for (const other of COUNTS.includes(home) ? COUNTS : []) {
    const url = new URL(other, location.href);
    const at = other === home ? Date.now() : await keptAt(url);
    // one that cannot be kept (no spot has months, say) is no fault of this one
    if (!(Date.now() - at < FRESH)) await self.fieldQueue.keepForm(other, url).catch(() => undefined);
  }
}

const asDay = (date) => [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) => String(n).padStart(2, '0')).join('-');

/** A copy has no today: its day is the telephone's, yesterday in the morning as with a network. */
async function beginCopy() {
  const { day } = copy.elements;
  const now = new Date();
  if (day) {
    day.max = asDay(now);
    day.value = asDay(now.getHours() < 12 ? new Date(now - 86_400_000) : now);
  }
  const at = await self.fieldQueue.keptAt(new URL(location.href)).catch(() => undefined);
  const time = at && new Date(at).toLocaleString(document.documentElement.lang, { dateStyle: 'short', timeStyle: 'short' });
  byId('entry-copy').textContent = say('copy', { time: time ?? '?' });
  const choose = () => {
    const spot = copy.querySelector('select');
    if (spot) copy.action = spot.value;
    copy.dataset.label = [spot ? spot.selectedOptions[0].textContent : copy.dataset.spot, day?.value].filter(Boolean).join(' ');
    const today = new Date();
    for (const hour of copy.querySelectorAll('[data-hour]')) {
      hour.disabled = day.value === asDay(today) && Number(hour.dataset.hour) > today.getHours(); // not begun
    }
  };
  copy.addEventListener('input', choose);
  choose();
}

// --- life

const query = new URLSearchParams(location.search);
if (query.has('saved') && query.has('key')) drop(query.get('key'));
byId('entry-waiting-send').addEventListener('click', sendAll);
window.addEventListener('online', async () => {
  await sendAll();
  const form = document.querySelector('form[data-keep="value"]');
  if (!elsewhere || !form) return;
  // "Online" is said of any network: what is typed does not leave the page before the town has answered.
  if (!(await fetch(form.action, { signal: AbortSignal.timeout(PATIENCE) }).catch(() => null))) return;
  const { day, value, note } = form.elements; // now the server knows what stands there
  location.assign(`${form.action}?${new URLSearchParams({ day: day.value, value: value.value, note: note.value })}`);
});
window.addEventListener('storage', () => show());
setInterval(sendAll, LOOK);
show();
if (copy) await beginCopy();
else if (home) keepForms();
sendAll();
document.documentElement.dataset.ready = 'yes';
