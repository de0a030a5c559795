// Reports that wait for the network, and the copies of the forms: what the pages and their service worker share. The forms
// are the report from the field, the page of a leak case with its steps, and those for counts; what waits of counts is
// entry_keep.js's. The copy of a case says where pipes are: it is dropped after seven days.
//
// Not a module: a service worker of today's browsers takes a script by importScripts everywhere, a module not yet.
// Everything is in `self.fieldQueue`. A report waits in IndexedDB under its key, by which the server knows a repetition:
// page and worker may both send it, and it is one report. A report of staff goes out only by the account that wrote it.

self.fieldQueue = (() => {
  const COPIES = 'mimamori-field'; // the form as it was last opened, and its files
  const SYNC = 'field';
  const PATIENCE = 90_000; // ms until a try counts as failed
  const OLDEST = 7 * 86_400_000; // ms: the server takes no older sight
  const FORGOTTEN = 30 * 86_400_000; // ms: what nobody has come back for
  const STAFF = '/disaster/field';
  const COUNTS = ['/tourism/entry', '/tourism/hours', '/tourism/gatherings', '/tourism/months']; // one copy each for all spots
  const CASES = '/water/leaks/'; // one copy for each case
  const CASE = /^\/water\/leaks\/\d{1,9}$/;
  const CASE_KEPT = 7 * 86_400_000; // ms
  const LINK = /^\/(field|count)\/[\w-]{20,100}$/;

  const countOf = (path) => COUNTS.find((count) => path === count || path.startsWith(`${count}/`));
  const isCase = (path) => CASE.test(path);
  const isForm = (path) => path === STAFF || isCase(path) || countOf(path) !== undefined || LINK.test(path);

  // --- copies of the form

  /** Under which name a copy is kept: a drill's form is another one, its language and what was sent last are not. */
  const nameOf = (url) => (countOf(url.pathname) ?? url.pathname) + (url.searchParams.get('drill') === '1' ? '?drill=1' : '');

  async function copyOf(url) {
    const copy = await caches.match(nameOf(url), { cacheName: COPIES, ignoreVary: true });
    if (!copy || !isOver(url.pathname, copy)) return copy;
    await dropCopies(url.pathname);
    return undefined;
  }

  const isOver = (path, copy) => isCase(path) && !(Date.now() - Number(copy.headers.get('X-Kept-At')) < CASE_KEPT);

  /** Keeps the form of this address with the files it names, and forgets the files that no form names any more. */
  async function keepCopy(url) {
    const asked = new URL(nameOf(url), url);
    asked.searchParams.set('copy', '1');
    const answer = await fetch(asked, { redirect: 'error', headers: { Accept: 'text/html' } });
    if (!answer.ok) throw new Error(`the form answered ${answer.status}`);
    const html = await answer.text();
    const named = new DOMParser().parseFromString(html, 'text/html').querySelectorAll('head [href], head [src]');
    const files = [...named].map((each) => each.getAttribute('href') ?? each.getAttribute('src'));
    const copies = await caches.open(COPIES);
    for (const file of files) if (!(await copies.match(file))) await copies.add(file);
    const headers = new Headers(answer.headers);
    for (const name of ['Content-Encoding', 'Content-Length', 'Vary']) headers.delete(name); // of the way, not of the copy
    headers.set('X-Kept-At', String(Date.now()));
    headers.set('X-Files', JSON.stringify(files));
    await copies.put(nameOf(url), new Response(html, { headers }));
    await tidy(copies);
  }

  async function tidy(copies) {
    const needed = new Set();
    const kept = await copies.keys();
    for (const request of kept) {
      const copy = await copies.match(request);
      if (isOver(new URL(request.url).pathname, copy)) {
        await copies.delete(request);
        continue;
      }
      const files = copy.headers.get('X-Files');
      for (const file of files ? JSON.parse(files) : []) needed.add(new URL(file, self.location.origin).pathname);
    }
    for (const request of kept) {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith('/static/') && !needed.has(pathname)) await copies.delete(request);
    }
  }

  /** Lets the form at this address be opened without a network from now on: the worker for its path, and a copy. */
  async function keepForm(path, url) {
    const scope = isCase(path) ? CASES : path;
    const registration = await navigator.serviceWorker.register('/worker.js', { scope, updateViaCache: 'none' });
    await active(registration);
    await keepCopy(url);
  }

  function active(registration) {
    const worker = registration.active ? null : (registration.installing ?? registration.waiting);
    return new Promise((resolve, reject) => {
      const look = () => {
        if (registration.active) resolve();
        else if (worker?.state === 'redundant') reject(new Error('the worker could not be installed'));
      };
      worker?.addEventListener('statechange', look);
      look();
    });
  }

  /** When the copy of this address was kept, in ms; nothing where there is none. */
  async function keptAt(url) {
    const copy = await copyOf(url).catch(() => undefined);
    return copy && Number(copy.headers.get('X-Kept-At'));
  }

  /** Forgets the copies at this address; at CASES those of all cases. */
  async function dropCopies(path) {
    const copies = await caches.open(COPIES);
    for (const request of await copies.keys()) {
      const { pathname } = new URL(request.url);
      if (pathname === path || (path === CASES && isCase(pathname))) await copies.delete(request);
    }
    await tidy(copies);
  }

  // --- the store

  function store(name, mode, act) {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open('mimamori-field', 2);
      opening.onupgradeneeded = () => {
        for (const each of ['drafts', 'waiting']) {
          if (!opening.result.objectStoreNames.contains(each)) opening.result.createObjectStore(each);
        }
      };
      opening.onblocked = () => reject(new Error('another page holds the store'));
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const database = opening.result;
        database.onversionchange = () => database.close();
        const transaction = database.transaction(name, mode);
        const request = act(transaction.objectStore(name));
        transaction.oncomplete = () => {
          database.close();
          resolve(request.result);
        };
        transaction.onerror = transaction.onabort = () => {
          database.close();
          reject(transaction.error);
        };
      };
    });
  }

  const waiting = async () => (await store('waiting', 'readonly', (all) => all.getAll())).sort((a, b) => a.began - b.began);
  const wait = (report) => store('waiting', 'readwrite', (all) => all.put(report, report.key));
  /** Changes a report that still waits. */
  const note = (key, change) =>
    store('waiting', 'readwrite', (all) => {
      const found = all.get(key);
      found.onsuccess = () => {
        if (found.result) all.put({ ...found.result, ...change }, key);
      };
      return found;
    });
  const drop = (key) => store('waiting', 'readwrite', (all) => all.delete(key));

  /** A random UUID, also where there is no crypto.randomUUID: on plain HTTP. */
  function newKey() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return [...bytes].map((byte, n) => ([4, 6, 8, 10].includes(n) ? '-' : '') + byte.toString(16).padStart(2, '0')).join('');
  }

  // --- sending

  /** Who is signed in now: {login, csrf_token}; nothing where nobody is; `away` where nobody can tell. */
  async function session() {
    const answer = await fetch('/api/v1/session', { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 401) return null;
    if (!answer.ok) throw new Error(`the session answered ${answer.status}`);
    return answer.json();
  }

  /**
   * One try of one report. {state}: sent (with `report`, `again`, `unread`), refused (`why`, `field`, `code`), signed_out,
   * other (somebody else is signed in), or away.
   */
  async function send(report) {
    if (Date.now() - report.began > OLDEST) return { state: 'refused', why: null, field: null };
    try {
      const body = new FormData();
      for (const [name, value] of Object.entries(report.fields)) body.set(name, value);
      body.set('key', report.key);
      const ago = (ms) => String(Math.max(0, Math.round((Date.now() - ms) / 1000)));
      body.set('waited', ago(report.began));
      body.set('since', ago(report.pressed));
      if (report.drill) body.set('drill', '1');
      if (report.author) {
        const now = await session();
        if (!now) return { state: 'signed_out' };
        if (now.login !== report.author) return { state: 'other' };
        body.set('csrf_token', now.csrf_token);
      }
      for (const photo of report.photos) body.append('photos', photo.blob, photo.name);
      const answer = await fetch(report.action, {
        method: 'POST',
        body,
        headers: { Accept: 'application/json' },
        redirect: 'error',
        signal: AbortSignal.timeout(PATIENCE),
      });
      const said = await answer.json();
      if (answer.ok) return { state: 'sent', ...said };
      if (answer.status >= 500) return { state: 'away' };
      if (answer.status === 401 || said.code === 'cross_site') return { state: 'signed_out' };
      return { state: 'refused', why: [said.detail, said.action].filter(Boolean).join(' '), field: said.field ?? null, code: said.code };
    } catch {
      return { state: 'away' };
    }
  }

  /** One after the other; page and worker take turns where the browser lets them. */
  let turn = Promise.resolve();
  const alone = (act) => (navigator.locks ? navigator.locks.request('mimamori-field', act) : (turn = turn.then(act, act)));

  const submitting = new Set(); // keys: what became of these is told where they were entered

  /**
   * Sends what was just entered: {result, waits}, the latter false where this browser has no store. It waits before it is
   * sent, so that it goes out whatever becomes of the page; what the worker sent meanwhile is not sent again.
   */
  async function submit(report) {
    submitting.add(report.key);
    try {
      const waits = await wait(report).then(() => true, () => false);
      const found = () => store('waiting', 'readonly', (all) => all.get(report.key)).catch(() => undefined);
      const result = await alone(async () => (await found())?.sent ?? send(report));
      if (result.state === 'sent') await drop(report.key).catch(() => undefined);
      return { result, waits };
    } finally {
      submitting.delete(report.key);
    }
  }

  /** What went out since somebody looked last, but for what is just being entered. */
  const wentOut = async () => (await waiting()).filter((report) => report.sent && !submitting.has(report.key));

  /**
   * Tries every report that waits, and notes what became of it: one that was sent stays as a line (`sent`) until its
   * page has shown it for long enough to be read, one that was refused with the reason, until somebody puts it right.
   */
  function sendAll() {
    return alone(async () => {
      const results = [];
      for (const report of await waiting()) {
        if (report.sent || report.refused) {
          if (Date.now() - report.began > FORGOTTEN) await drop(report.key);
          continue;
        }
        const result = await send(report);
        if (result.state === 'sent') await note(report.key, { photos: [], sent: result });
        if (result.state === 'refused') await note(report.key, { refused: { why: result.why, code: result.code } });
        results.push({ key: report.key, ...result });
        if (result.state === 'away') break; // the others would wait as long, one after the other
      }
      return results;
    });
  }

  return { COPIES, SYNC, STAFF, COUNTS, CASES, isCase, isForm, keepForm, copyOf, keptAt, dropCopies, session, store, waiting, note, drop, newKey, submit, sendAll, wentOut };
})();
