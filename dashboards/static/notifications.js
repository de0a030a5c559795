// この端末に通知する: asks the browser for its owner's leave, and hands what it gives to the server by the page's form.
//
// A browser gives one subscription a service worker; the worker of these messages is the one for this page. Where the
// browser has one that the server does not know as this person's (somebody else used this machine, or the town's key is
// another one), it is given up first: the other side then knows that it is no more, and a new one is asked for.

const PAGE = '/notifications';
const form = document.getElementById('push-form');
const state = document.createElement('p');
state.id = 'push-state';
state.dataset.island = ''; // the server knows nothing of it
state.setAttribute('role', 'status');
form.before(state);
const words = JSON.parse(document.getElementById('push-words').textContent);

const say = (key, problem) => {
  state.textContent = words[key];
  state.className = problem ? 'push-state problem' : 'push-state';
  state.dataset.state = key;
};

const iphone = /iPhone|iPad/.test(navigator.userAgent) || (navigator.platform === 'MacIntel' && navigator.maxTouchPoints > 1);

/** Why this browser cannot take messages; nothing where it can. */
function obstacle() {
  if (!window.isSecureContext) return 'insecure';
  if (!('serviceWorker' in navigator) || !('PushManager' in window) || !('Notification' in window)) {
    return iphone ? 'iphone' : 'unable';
  }
  return Notification.permission === 'denied' ? 'denied' : null;
}

const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

/** The worker of this page, active. */
async function worker() {
  const registration = await navigator.serviceWorker.register('/worker.js', { scope: PAGE, updateViaCache: 'none' });
  await navigator.serviceWorker.ready;
  return registration;
}

/** The subscription that the server knows as this person's, for the present key; nothing where there is none. */
async function known() {
  const registration = await navigator.serviceWorker.getRegistration(PAGE);
  const subscription = await registration?.pushManager.getSubscription();
  return subscription && JSON.parse(form.dataset.known).includes(subscription.endpoint) && ours(subscription) ? subscription : null;
}

const ours = (subscription) => text(subscription.options.applicationServerKey) === form.dataset.key;

async function allow() {
  say('asking');
  if ((await Notification.requestPermission()) !== 'granted') {
    say('denied', true);
    return;
  }
  const { pushManager } = await worker();
  const before = await pushManager.getSubscription();
  await before?.unsubscribe();
  const given = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(form.dataset.key) });
  const fields = {
    endpoint: given.endpoint,
    p256dh: text(given.getKey('p256dh')),
    auth: text(given.getKey('auth')),
    key: form.dataset.key,
    old: before?.endpoint ?? '',
  };
  for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
  form.submit();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  allow().catch((error) => {
    say('failed', true);
    state.textContent += ` (${error.name}: ${error.message})`;
  });
});

const why = obstacle();
if (why) {
  say(why, true);
} else {
  const here = await known();
  say(here ? 'here' : 'not_here');
  form.hidden = Boolean(here);
  if (here) await worker(); // another release of it, where there is one
}
