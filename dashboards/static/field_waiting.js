// What waits to be sent, whether the page could be opened without a network, and how old what it shows is: of the report
// form and of the page of a leak case. The store and the sending are field_queue.js, which the service worker shares.

const { SYNC, keepForm: keep, keptAt, waiting, drop, sendAll, wentOut } = self.fieldQueue;
const LOOK = 20_000; // ms between two tries while the page is open and something waits
const READ = 3_000; // ms until what a page says counts as read: one that is left before is followed by one that says it too

const byId = (id) => document.getElementById(id);
const fill = (text, values) => Object.entries(values).reduce((said, [name, value]) => said.replace(`{${name}}`, value), text);

let home; // the page: {path, author, copy, done, problem, stale}
let words;
let takeBack; // puts a report back into its form; false where it is not empty
let trying = false;
const told = new Set(); // the keys of what this page has said to have gone out

const clock = (ms) =>
  new Date(ms).toLocaleString(document.documentElement.lang, { month: 'numeric', day: 'numeric', hour: '2-digit', minute: '2-digit' });

function ago(ms) {
  const minutes = Math.round((Date.now() - ms) / 60_000);
  const [n, unit] = minutes < 90 ? [minutes, 'minute'] : minutes < 36 * 60 ? [Math.round(minutes / 60), 'hour'] : [Math.round(minutes / 1440), 'day'];
  return new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: 'auto' }).format(-n, unit);
}

// --- what waits -------------------------------------------------------------------------------------------

/** Whether a report was written here, by whom this page is for. */
const isMine = (report) => report.author === home.author && report.action === home.path;

export async function showWaiting() {
  const all = (await waiting().catch(() => [])).filter((report) => !report.sent);
  const mine = all.filter(isMine);
  byId('waiting').hidden = !all.length;
  byId('waiting-list').replaceChildren(...mine.map(line));
  byId('waiting-others').hidden = mine.length === all.length;
  byId('waiting-others').textContent = fill(words.waiting_others, { n: all.length - mine.length });
  byId('waiting-send').hidden = !all.some((report) => !report.refused);
  return all;
}

function line(report) {
  const item = document.createElement('li');
  const said = document.createElement('p');
  const text = report.label || report.fields.text.trim() || report.fields.place?.trim() || words.nothing_said;
  said.textContent = fill(words.waiting_line, { time: clock(report.began), text: text.length > 60 ? `${text.slice(0, 60)}…` : text });
  if (report.photos.length) said.textContent += ` ${fill(words.waiting_photos, { n: report.photos.length })}`;
  item.append(said);
  if (report.refused) {
    const why = document.createElement('p');
    why.className = 'problem';
    why.textContent = report.refused.why ? fill(words.waiting_refused, { why: report.refused.why }) : words.waiting_old;
    item.append(why, home.stale?.(report) ? look() : button(words.waiting_edit, text, () => edit(report)));
  }
  // Twice, as a wet finger presses once by itself.
  const away = button(words.waiting_drop, text, async () => {
    if (away.dataset.sure) {
      await drop(report.key);
      await showWaiting();
    } else {
      away.dataset.sure = 'yes';
      away.textContent = words.waiting_drop_sure;
      away.setAttribute('aria-label', `${words.waiting_drop_sure} ${text.slice(0, 20)}`);
    }
  });
  item.append(away);
  return item;
}

/** To what was entered meanwhile, which this page does not show. */
function look() {
  const link = document.createElement('a');
  link.className = 'button button-link';
  link.href = home.path;
  link.textContent = words.waiting_look;
  return link;
}

function button(label, of, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = 'button button-quiet';
  made.textContent = label;
  made.setAttribute('aria-label', `${label} ${of.slice(0, 20)}`);
  made.addEventListener('click', act);
  return made;
}

async function edit(report) {
  if (!(await takeBack(report))) byId('waiting-state').textContent = words.waiting_busy;
  await showWaiting();
}

/** Tries what waits, and says what went out: also what the worker sent while no page was open. */
async function trySending() {
  if (trying) return;
  trying = true;
  try {
    const tried = await sendAll().catch(() => []);
    const sent = (await wentOut().catch(() => [])).filter((report) => isMine(report) && !told.has(report.key));
    if (sent.length) {
      home.done.textContent = fill(words.sent_meanwhile, { n: sent.map((report) => report.sent.report).join(', ') });
      if (home.problem.dataset.queued) clearQueued();
      for (const { key } of sent) told.add(key);
      setTimeout(() => sent.forEach(({ key }) => drop(key).catch(() => undefined)), READ);
    }
    const mine = new Set((await waiting().catch(() => [])).filter(isMine).map((report) => report.key));
    const state = tried.find((each) => mine.has(each.key) && ['signed_out', 'other'].includes(each.state))?.state;
    byId('waiting-state').textContent = state ? words[`queued_${state}`] : '';
    await showWaiting();
  } finally {
    trying = false;
  }
}

/** What was said of a report that waits is not so any more. */
function clearQueued() {
  home.problem.textContent = '';
  delete home.problem.dataset.queued;
}

/** Asks the browser to wake the worker when there is a network, where it can do that: also when the page is closed. */
export async function askForSync() {
  home.problem.dataset.queued = 'yes';
  const registration = await navigator.serviceWorker?.getRegistration(home.path);
  await registration?.sync?.register(SYNC).catch(() => undefined);
}

// --- without a network ------------------------------------------------------------------------------------

async function sayOffline() {
  const at = await keptAt(new URL(location.href));
  byId('offline').hidden = false;
  byId('offline').textContent = fill(words.offline, { time: at ? clock(at) : '?', ago: at ? ago(at) : '?' });
}

/** Lets this form be opened without a network from now on; says whether it can be. */
async function keepForm() {
  const able = byId('offline-able');
  able.hidden = false;
  if (!window.isSecureContext) {
    able.textContent = words.insecure;
    return;
  }
  try {
    await keep(home.path, new URL(location.href));
    able.textContent = words.able;
  } catch {
    able.textContent = words.unable;
  }
}

/** `page`: its `path`, the `author` who is signed in, whether it is a `copy`, the elements `done` and `problem`, and
 *  where a report may have been refused for what the page does not show, `stale(report)`. */
export async function begin(page, itsWords, itsTakeBack) {
  [home, words, takeBack] = [page, itsWords, itsTakeBack];
  byId('waiting-send').addEventListener('click', trySending);
  window.addEventListener('online', trySending);
  setInterval(async () => {
    if ((await waiting().catch(() => [])).some((report) => !report.refused)) await trySending();
  }, LOOK);
  await showWaiting();
  await (home.copy ? sayOffline() : keepForm());
  trySending();
}
