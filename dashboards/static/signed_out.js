// After signing out: the staff's forms that open without a network leave this browser, with what was typed into the
// report. What was to be sent and could not be stays, as the town hall has not got it: the page says so of reports and of
// steps of a leak case, and a button takes them away; counts stand on the form of whoever typed them.

const { STAFF, COUNTS, CASES, dropCopies, store, waiting, drop } = self.fieldQueue;
const byId = (id) => document.getElementById(id);

async function leave() {
  for (const name of Object.keys(localStorage)) {
    if (name === STAFF || name.startsWith(`${STAFF}#`)) localStorage.removeItem(name);
  }
  const went = (await waiting().catch(() => [])).filter((report) => report.author && report.sent);
  for (const report of went) await drop(report.key);
  for (const name of [STAFF, `${STAFF}#drill`]) await store('drafts', 'readwrite', (all) => all.delete(name)).catch(() => undefined);
  for (const path of [STAFF, ...COUNTS, CASES]) {
    if (self.caches) await dropCopies(path);
    const registration = await navigator.serviceWorker?.getRegistration(path);
    if (registration && new URL(registration.scope).pathname === path) await registration.unregister();
  }
}

async function show() {
  const mine = (await waiting().catch(() => [])).filter((report) => report.author && !report.sent);
  byId('left').hidden = !mine.length;
  byId('left-text').textContent = byId('left').dataset.words.replace('{n}', mine.length);
  return mine;
}

byId('left-drop').addEventListener('click', async () => {
  for (const report of await show()) await drop(report.key);
  await show();
});

await leave();
await show();
document.documentElement.dataset.left = 'done';
