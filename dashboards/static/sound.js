// 音で知らせる: a tone that repeats while an alert waits for somebody, on the page of somebody who wants to hear it.
//
// A browser lets a page sound only after a person has pressed something on it. So the switch is never on by itself: what
// was chosen is remembered in this browser, but every time the page is loaded it has to be pressed anew, and says so.
// The page says which alerts wait (#alarms, rendered by the server with every refresh of live.js); it sounds for those
// at or above the chosen rank that nobody has acknowledged and nobody has silenced here. One that rises sounds again.
// A drill has a sound of its own, soft and single, and the words beside the switch say that it is one.

const KEPT = 'mimamori.sound';
const VOICES = {
  // [frequency in Hz, from and to in seconds] of each tone, how loud, and seconds until it begins again
  actual: { tones: [[880, 0, 0.35], [660, 0.4, 0.75], [880, 0.8, 1.15]], gain: 0.5, every: 2.5 },
  drill: { tones: [[440, 0, 0.3]], gain: 0.12, every: 6 },
};

const place = document.getElementById('sound');
const words = JSON.parse(document.getElementById('sound-words').textContent);
const pressed = document.getElementById('sound-switch');
const least = document.getElementById('sound-least');
const hush = document.getElementById('sound-hush');
const said = document.getElementById('sound-state');
const lamp = document.getElementById('lamp');

let context = null; // there is one from the first press on
let wanted = false;
let timer = 0;
let voice = null;
const silenced = new Set(); // "id:rank" of what somebody has silenced here
let tones = 0;

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // a browser that keeps nothing, or something else under the name
  }
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ wanted, least: least.value }));
  } catch {
    // it is asked again next time
  }
}

/** What waits and should be heard: [{id, rank, drill}]. */
function waiting() {
  const found = document.getElementById('alarms');
  const alarms = found ? JSON.parse(found.dataset.alarms) : [];
  return alarms.filter((alarm) => alarm.rank >= Number(least.value));
}

const key = (alarm) => `${alarm.id}:${alarm.rank}`;

function play() {
  const { gain, every, tones: notes } = VOICES[voice];
  const start = context.currentTime + 0.05;
  for (const [frequency, from, to] of notes) {
    const oscillator = new OscillatorNode(context, { type: voice === 'drill' ? 'sine' : 'triangle', frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, start + from);
    volume.gain.linearRampToValueAtTime(gain, start + from + 0.02); // no click
    volume.gain.setValueAtTime(gain, start + to - 0.05);
    volume.gain.linearRampToValueAtTime(0, start + to);
    oscillator.connect(volume).connect(context.destination);
    oscillator.start(start + from);
    oscillator.stop(start + to);
    tones += 1;
  }
  place.dataset.tones = tones;
  timer = setTimeout(play, every * 1_000);
}

function stop() {
  clearTimeout(timer);
  timer = 0;
  voice = null;
}

/** Brings what is heard, and the words beside the switch, in line with what waits. */
function settle() {
  const running = context?.state === 'running';
  const heard = waiting().filter((alarm) => !silenced.has(key(alarm)));
  const next = !wanted || !running || !heard.length ? null : heard.every((alarm) => alarm.drill) ? 'drill' : 'actual';
  if (next !== voice) {
    stop();
    voice = next;
    if (voice) play();
  }
  let state = 'off';
  if (wanted && !context) state = 'again';
  else if (wanted && !running) state = 'blocked';
  else if (voice) state = voice;
  else if (wanted && lamp.dataset.state === 'lost') state = 'cut';
  else if (wanted) state = waiting().length ? 'hushed' : 'on';
  place.dataset.state = state;
  document.body.dataset.sound = wanted && running ? 'on' : 'off'; // live.js does not rest in a hidden page then
  const on = String(wanted && running);
  if (pressed.getAttribute('aria-pressed') !== on) pressed.setAttribute('aria-pressed', on);
  const text = words[state].replace('{n}', heard.length);
  if (said.textContent !== text) said.textContent = text;
  hush.hidden = !voice;
}

pressed.addEventListener('click', async () => {
  wanted = !(wanted && context?.state === 'running');
  keep();
  if (wanted) {
    if (!context) {
      context = new AudioContext();
      context.addEventListener('statechange', settle); // the system may take the sound away, and give it back
    }
    settle();
    await context.resume().catch(() => undefined);
  } else silenced.clear();
  settle();
});
hush.addEventListener('click', () => {
  for (const alarm of waiting()) silenced.add(key(alarm));
  settle();
  pressed.focus(); // the button goes with what it did
});
least.addEventListener('change', () => {
  keep();
  settle();
});

const before = kept();
if ([...least.options].some((option) => option.value === before.least)) least.value = before.least;
wanted = before.wanted === true;
place.hidden = false;
place.dataset.tones = 0;
settle();
new MutationObserver(settle).observe(document.getElementById('strip'), { subtree: true, childList: true, attributes: true });
new MutationObserver(settle).observe(lamp, { attributeFilter: ['data-state'] });
