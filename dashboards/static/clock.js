// The town's time in the browser, and the ages that follow from it.
//
// The server says what time it is in the town when it renders; from there the page counts on by its own monotonic
// clock times the town's speed. The visitor's own clock, which may be wrong, is never asked.

let townAt = 0; // ms since the epoch, town time, at...
let pageAt = 0; // ...this reading of performance.now()
let speed = 1;
let zone = 'UTC';

export function setClock(body) {
  speed = Number(body.dataset.speed);
  zone = body.dataset.timeZone;
  correctClock(body.dataset.townNow);
}

/** A newer word of the server about the town's time (ISO 8601). */
export function correctClock(iso) {
  const at = Date.parse(iso ?? '');
  if (Number.isNaN(at)) return;
  townAt = at;
  pageAt = performance.now();
}

export function townNow() {
  return townAt + (performance.now() - pageAt) * speed;
}

/** Real milliseconds between two looks at the ages: 15 s, less where the town's clock runs fast. */
export function tickLength() {
  return Math.min(15_000, Math.max(1_000, 15_000 / speed));
}

export function hourAndMinute(ms) {
  return new Intl.DateTimeFormat('ja-JP', { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(ms);
}

const UNITS = [
  ['age.days', 86_400],
  ['age.hours', 3_600],
  ['age.minutes', 60],
];

/** The same words as api/pages/formats.py: the largest whole unit. */
export function ageText(since, words) {
  const seconds = Math.floor((townNow() - since) / 1000);
  for (const [key, length] of UNITS) {
    if (seconds >= length) return words[key].replace('{n}', String(Math.floor(seconds / length)));
  }
  return words['age.now'];
}
