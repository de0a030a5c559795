// The page of a leak case on a bad network, and without one: it opens for who opened it before, and a step entered there
// is not lost and is taken once.
//
// A step waits in this browser before it is sent (field_queue.js) and goes out by this page or the service worker as soon
// as there is a network, with its photos, by the account that wrote it. Where somebody else entered something meanwhile
// it comes back: it stays in the list with the reason until the person has looked and sends it again, or drops it.
// Without this script the forms are ordinary ones.

import { askForSync, begin, showWaiting } from './field_waiting.js';
import { smaller } from './smaller.js';

const { note, drop, newKey, submit } = self.fieldQueue;
const byId = (id) => document.getElementById(id);
const place = byId('case-waiting-here');
place.after(place.content.firstElementChild.cloneNode(true)); // a renewal of the page leaves it alone: it is an island
const words = JSON.parse(byId('case-words').textContent);
const [done, problem] = [byId('case-done'), byId('case-problem')];
const home = { path: place.dataset.path, author: place.dataset.author, copy: 'copy' in place.dataset, done, problem, stale };
const begun = new WeakMap(); // form -> the step that was taken back into it, or was tried and could not wait

/** Whether this page is as old as what was refused, and does not show what was entered meanwhile. */
function stale(report) {
  return report.refused.code === 'changed' && Number(place.dataset.seen) <= Number(report.fields.seen);
}

/** The fields of a form that its person fills. */
const typed = (form) => [...form.elements].filter(({ name, type }) => name && !['hidden', 'file', 'submit'].includes(type));

/** What the list says of a step. */
function labelOf(form) {
  const said = typed(form).map(({ value, selectedOptions }) => (value && selectedOptions ? selectedOptions[0].textContent : value.trim()));
  return [form.dataset.label, ...said.filter(Boolean)].join(' ');
}

async function stepOf(form) {
  const fields = Object.fromEntries([...new FormData(form)].filter(([name, value]) => !['csrf_token', 'key'].includes(name) && typeof value === 'string'));
  const photos = [];
  for (const file of form.elements.photos?.files ?? []) photos.push(await smaller(file));
  const now = Date.now();
  const before = begun.get(form);
  const made = { key: before?.key ?? newKey(), began: before?.began ?? now, pressed: before && before.time === fields.time ? before.pressed : now };
  begun.set(form, { ...made, time: fields.time }); // pressed again it is the same one
  return { ...made, action: home.path, author: home.author, drill: false, label: labelOf(form), fields, photos };
}

function clear(form) {
  begun.delete(form);
  for (const field of typed(form)) field.value = '';
  if (form.elements.photos) form.elements.photos.value = '';
  form.closest('details')?.removeAttribute('open');
}

let sending = false;

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.matches('form[data-step]')) return;
  event.preventDefault();
  if (sending) return;
  sending = true;
  done.textContent = words.sending;
  say('');
  try {
    const step = await stepOf(form);
    await heard(await submit(step), step, form);
  } finally {
    sending = false;
    if (done.textContent === words.sending) done.textContent = '';
  }
});

function say(text) {
  problem.textContent = text;
  if (text) problem.scrollIntoView({ block: 'center' });
}

async function heard({ result, waits }, step, form) {
  if (result.state === 'sent') {
    begun.delete(form);
    const query = new URLSearchParams({ done: `step_${step.fields.do}` });
    if (result.unread.length) query.set('unread', result.unread[0].code);
    location.assign(`${home.path}?${query}`);
    return;
  }
  if (result.state === 'refused' && result.code === 'changed' && waits) {
    await note(step.key, { refused: { why: result.why, code: result.code } });
    clear(form);
    say(words.changed.replace('{why}', result.why));
  } else if (result.state === 'refused') {
    await drop(step.key).catch(() => undefined); // nothing was taken: it is to be put right here
    say(words.refused.replace('{why}', result.why ?? words.waiting_old));
    form.elements[result.field]?.focus?.({ preventScroll: true });
  } else if (waits) {
    clear(form);
    say(words[{ signed_out: 'queued_signed_out', other: 'queued_other' }[result.state] ?? 'queued']);
    askForSync();
  } else {
    say(words.failed); // there is no store in this browser: it stays in the form
  }
  await showWaiting();
}

/** Puts a step that was refused back into its form, or where the case takes none of its kind any more, its words into a
 *  note; false where something else stands there. */
async function takeBack(step) {
  const own = document.querySelector(`form[data-step="${step.fields.do}"]`);
  const form = own ?? document.querySelector('form[data-step="note"]');
  if (typed(form).some(({ value }) => value) || form.elements.photos?.files.length) return false;
  if (own) for (const field of typed(form)) field.value = step.fields[field.name] ?? '';
  else form.elements.text.value = step.label;
  form.elements.seen.value = place.dataset.seen; // the person has seen what the page shows now
  if (form.elements.photos) {
    const chosen = new DataTransfer();
    for (const { blob, name } of step.photos) chosen.items.add(new File([blob], name, { type: blob.type }));
    form.elements.photos.files = chosen.files;
  }
  const old = !step.refused.why; // too old to be sent: the person gives the time
  if (!old) begun.set(form, { key: step.key, began: step.began, pressed: step.pressed, time: step.fields.time });
  await drop(step.key);
  form.closest('details')?.setAttribute('open', '');
  typed(form)[0].focus();
  return true;
}

await begin(home, words, takeBack);
document.documentElement.dataset.ready = 'yes';
