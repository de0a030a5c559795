// The service worker: messages of web push, and the forms that open without a network (reports, counts, leak cases).
// Nothing else.
//
// It is registered for the page '/notifications', for each of these forms by itself and for the folder of the cases: no
// other page of this site is ever answered by it, so that none can be shown from a store in a flood. The server puts the release of the page's files
// before this script: another release is another script, and the browser takes it at the next look.

const SHOWN = 'mimamori-shown'; // the keys of the messages that were shown: a repetition says that it is one
const MOST_SHOWN = 100;
const LATE = 6_000; // ms: a network that has not answered by then is as good as none
const AWAY = new Set([502, 503, 504]); // the reverse proxy answers, the server does not

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

// --- messages ---------------------------------------------------------------------------------------------

self.addEventListener('push', (event) => event.waitUntil(show(event.data)));

async function show(data) {
  let said;
  try {
    said = data.json();
  } catch {
    said = {}; // a browser wants something shown for everything that comes
  }
  const key = String(said.key ?? '');
  const again = key !== '' && (await known(key));
  await self.registration.showNotification(said.title ?? '見守り', {
    body: (again ? '（再送）' : '') + (said.body ?? ''),
    tag: key, // a repetition stands in the place of the first
    icon: `/static/${RELEASE}/icon-192.png`,
    lang: 'ja',
    silent: again,
    requireInteraction: true,
    data: { url: said.url ?? '/alerts' },
  });
}

async function known(key) {
  try {
    const shown = await caches.open(SHOWN);
    const address = `/shown/${encodeURIComponent(key)}`;
    if (await shown.match(address)) return true;
    await shown.put(address, new Response());
    const all = await shown.keys();
    for (const old of all.slice(0, Math.max(0, all.length - MOST_SHOWN))) await shown.delete(old);
  } catch {
    // no room: then a repetition is not known for one
  }
  return false;
}

// A tap opens the page, and only the button on it acknowledges.
self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(self.clients.openWindow(event.notification.data.url));
});

// --- the forms --------------------------------------------------------------------------------------------

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate') {
    if (self.fieldQueue.isForm(url.pathname)) event.respondWith(form(request, url));
  } else if (url.pathname.startsWith('/static/')) {
    event.respondWith(file(request));
  }
});

async function form(request, url) {
  const answer = fetch(request).catch(() => null);
  const late = new Promise((resolve) => setTimeout(resolve, LATE, null));
  const first = await Promise.race([answer, late]);
  if (first && !AWAY.has(first.status)) {
    // the link is over, or this account may not see pipes any more
    if (first.status === 404 || (first.status === 403 && self.fieldQueue.isCase(url.pathname))) await self.fieldQueue.dropCopies(url.pathname);
    return first;
  }
  return (await self.fieldQueue.copyOf(url)) ?? (await answer) ?? Response.error();
}

/** A file is named by its content: what is kept under its name is it. */
async function file(request) {
  return (await caches.match(request, { cacheName: self.fieldQueue.COPIES, ignoreVary: true })) ?? fetch(request);
}

self.addEventListener('sync', (event) => {
  if (event.tag === self.fieldQueue.SYNC) event.waitUntil(sync());
});

async function sync() {
  const results = await self.fieldQueue.sendAll();
  // a promise that fails is tried again by the browser
  if (results.some(({ state }) => state === 'away')) throw new Error('there are reports that did not go out');
}
