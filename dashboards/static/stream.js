// One event stream for all tabs of a browser.
//
// Over HTTP/1.1 a browser opens six connections to a server, and an event stream holds one for good: a seventh tab
// would wait for ever. So one tab leads: it holds a Web Lock and the only EventSource, and passes on over a
// BroadcastChannel what it hears. When it goes, however it goes, the browser gives the lock to the next tab, which
// asks the server for what came after the last event that any tab was told of. Where there are no locks (plain HTTP
// from another machine), each tab has a stream of its own.

const REOPEN = 3_000; // until the next try of a stream that the server refused
const KINDS = ['observations', 'alerts', 'headquarters', 'reset', 'clock'];

/**
 * Listens to the stream of a town at an address. Calls back
 *   opened()            a connection has begun: what happened before it may have been missed
 *   lost()              it has ended; a new one is tried without end
 *   told(kind, data)    an event, data as text
 * Returns start() and stop(), for a page that goes to sleep and comes back.
 */
export function listen(town, address, { opened, lost, told }) {
  // Who shares: pages of one town, and of one release, which is in this module's address.
  const name = `${town} ${import.meta.url}`;
  const shared = 'locks' in navigator && 'BroadcastChannel' in window;
  let last = null; // id of the newest event that this tab knows of
  let source = null; // of the leading tab, or of the tab that shares with nobody
  let streaming = false;
  let channel = null;
  let waiting = null; // for the lock
  let yieldLock = null;
  let retry = 0;

  function hear({ what, kind, data, id }) {
    if (id) last = id;
    if (what === 'told') told(kind, data);
    else if (what === 'opened') {
      streaming = true;
      opened();
    } else if (what === 'lost') {
      streaming = false;
      lost();
    }
  }

  function pass(message) {
    channel?.postMessage(message);
    hear(message);
  }

  function connect() {
    const from = last === null ? '' : `?last_event_id=${encodeURIComponent(last)}`;
    source = new EventSource(address + from);
    source.addEventListener('open', () => pass({ what: 'opened' }));
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => pass({ what: 'told', kind, data: event.data, id: event.lastEventId }));
    }
    source.addEventListener('error', () => {
      pass({ what: 'lost' });
      // A refused stream (503 while the database is away) is closed for good by the browser: open a new one.
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(connect, REOPEN);
    });
  }

  function lead() {
    connect();
    return new Promise((resolve) => {
      yieldLock = resolve;
    });
  }

  function start() {
    if (!shared) {
      connect();
      return;
    }
    channel = new BroadcastChannel(name);
    channel.addEventListener('message', ({ data }) => {
      // A new tab asks whether somebody leads already; who has long been told hears nothing new in the answer.
      if (data.what === 'asked') {
        if (source && streaming) channel.postMessage({ what: 'leading', id: last });
      } else if (data.what !== 'leading') hear(data);
      else if (!streaming) hear({ what: 'opened', id: data.id });
    });
    channel.postMessage({ what: 'asked' });
    waiting = new AbortController();
    navigator.locks.request(name, { signal: waiting.signal }, lead).catch((error) => {
      if (error.name !== 'AbortError') connect(); // refused by the browser's settings
    });
  }

  function stop() {
    clearTimeout(retry);
    source?.close();
    source = null;
    yieldLock?.();
    yieldLock = null;
    waiting?.abort();
    channel?.close();
    channel = null;
    streaming = false;
  }

  start();
  return { start, stop };
}
