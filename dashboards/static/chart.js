// Curves one can read with pointer or keyboard, and zoom: the picture's own numbers, lines and colours, drawn by uPlot.
// docs/dashboards.md tells the markup; api/pages/chart.py makes what stands in data-chart:
//
//   { library, style         addresses of uPlot
//     start, end             seconds since 1970: the time axis
//     ticks                  [[value, label], ...] of the value axis, from its low end to its high end
//     points                 [[seconds, value], ...]; value null: the line breaks here
//     doubted                [[seconds, quality], ...] of the points that should not simply be believed
//     reported               [[seconds, value], ...] what people read beside the series: marks, and no line
//     levels                 [[警戒レベル 1..5, value], ...]
//     named                  [[name, value], ...] of levels without a number
//     decimals, unit         how a value is written
//     qualities              the words for what is doubted, by quality: 'doubtful', 'bad'
//     words                  { in, out, whole } of the zoom buttons; null: no zoom
//     finer                  where the points stand for slices of a long range, null where each stands for itself:
//       { address            of the same series (GET /api/v1/.../observations): asked, with from and to, for what the
//                            reader zooms to
//         step, slice        what was read, 'raw', 'hour' or 'day'; seconds of a slice
//         words              { every, slices } say what is shown; holds: as qualities, of a slice
//         lengths }          words for the length of a slice, by its seconds }

import { drawLevels, drawPoints, drawReported } from './chart_marks.js';
import { island, settle, stylesheet } from './islands.js';

const LOWEST = 190; // px: on a phone the picture's proportions would leave a strip
const HIGHEST = 340;
const PICTURE = { width: 480, left: 44, right: 20 }; // of api/pages/chart.py, and of hyetograph.py
const TOP = 30; // px above the curve, for the reading
const SHORTEST = 900; // s: no closer zoom
const REST = 250; // ms without a further zoom before finer points are fetched

settle('data-chart', async (box) => {
  const plan = JSON.parse(box.dataset.chart);
  const [library] = await Promise.all([import(plan.library), stylesheet(plan.style)]);
  const curve = new Curve(library.default, box, plan);
  return { update: () => curve.take(JSON.parse(box.dataset.chart)), end: () => curve.end() };
});

const forced = matchMedia('(forced-colors: active)');
const paper = matchMedia('print'); // has the whole picture, zoomed or not

class Curve {
  constructor(UPlot, box, plan) {
    this.UPlot = UPlot;
    this.box = box;
    this.picture = box.querySelector('svg');
    this.zone = document.body.dataset.timeZone;
    this.plan = plan;
    this.finer = null; // { from, to, step, slice, points, doubted } fetched for about what the reader has zoomed to
    this.show();
    this.window = null; // [start, end] the reader has zoomed to
    this.island = island(box, 'chart-live');
    this.reading = part('p', 'chart-reading', this.island);
    this.reading.setAttribute('aria-hidden', 'true'); // the slider says it
    this.field = part('div', 'chart-field', this.island);
    this.plot = new UPlot(this.options(), this.data(), this.field);
    this.makeReadable();
    if (plan.words) this.makeZoomable();
    this.take(plan);
    this.island.classList.add('is-drawn');
    this.size = new ResizeObserver(() => {
      this.plot.setSize(this.room());
      this.moveRain();
    });
    this.size.observe(this.island);
    this.redraw = () => this.plot.redraw(false);
    forced.addEventListener('change', this.redraw);
    this.onPaper = () => this.moveRain();
    paper.addEventListener('change', this.onPaper);
  }

  end() {
    clearTimeout(this.waiting);
    this.asked?.abort();
    forced.removeEventListener('change', this.redraw);
    paper.removeEventListener('change', this.onPaper);
    this.size.disconnect();
    this.plot.destroy();
    this.island.remove();
    this.moveRain(true);
  }

  /** New numbers. What the reader has zoomed to, and where they read, stays. */
  take(plan) {
    const newest = this.plan.end;
    this.plan = plan;
    if (!plan.finer) this.finer = null;
    this.showAgain();
    if (this.window) {
      // Who looks at the newest hours goes on to see them.
      const on = this.window[1] >= newest ? plan.end - newest : 0;
      this.zoom(this.window[0] + on, this.window[1] + on, on > 0);
    } else {
      this.plot.setScale('x', {});
    }
    this.moveRain();
    if (this.readAt !== undefined && document.activeElement === this.field) queueMicrotask(() => this.goTo(this.readAt));
    this.field.setAttribute('aria-label', this.picture.getAttribute('aria-label'));
    this.say();
  }

  /** A margin of the picture in px, and no less than digits need. */
  margin(side) {
    return Math.max(PICTURE[side], Math.round((this.island.clientWidth * PICTURE[side]) / PICTURE.width));
  }

  data() {
    return [this.points.map(([time]) => time), this.points.map(([, value]) => value)];
  }

  /** What is drawn: the plan's points, and where finer ones were fetched, those. */
  show() {
    const { plan, finer } = this;
    this.points = finer
      ? [...plan.points.filter(([time]) => time < finer.from), ...finer.points, ...plan.points.filter(([time]) => time > finer.to)]
      : plan.points;
    this.known = this.points.flatMap(([, value], i) => (value === null ? [] : [i]));
    const coarse = finer ? plan.doubted.filter(([time]) => time < finer.from || time > finer.to) : plan.doubted;
    this.doubted = new Map([...coarse, ...(finer?.doubted ?? [])]); // qualities by time
  }

  /** The same in a plot that is there. Where the reader reads stays, if that moment still has a value. */
  showAgain() {
    const at = this.readAt === undefined ? undefined : this.points[this.readAt]?.[0];
    this.show();
    const again = at === undefined ? -1 : this.points.findIndex(([time, value]) => time === at && value !== null);
    this.readAt = again < 0 ? undefined : again;
    this.plot.setData(this.data(), false);
  }

  room() {
    const width = Math.floor(this.island.clientWidth);
    return { width, height: Math.min(HIGHEST, Math.max(LOWEST, Math.round((width * 170) / 480))) };
  }

  // --- how it looks: as the picture does ---------------------------------------------------------------

  look = (selector, property) => {
    const found = this.picture.querySelector(selector);
    return found ? getComputedStyle(found)[property] : getComputedStyle(this.picture).color;
  };

  options() {
    const family = getComputedStyle(document.body).fontFamily;
    const text = () => this.look('.tick', 'fill');
    const line = () => this.look('.line', 'stroke');
    const axis = { stroke: text, font: `12px ${family}`, ticks: { show: false }, gap: 6 };
    return {
      ...this.room(),
      padding: [TOP, () => this.margin('right'), 0, 0],
      legend: { show: false },
      tzDate: (time) => this.UPlot.tzDate(new Date(time * 1000), this.zone),
      cursor: {
        y: false,
        drag: { x: Boolean(this.plan.words), y: false, setScale: false },
        points: { size: 9, stroke: '#fff', width: 1.5, fill: line },
        // The nearest moment with a value: a gap has none to read.
        dataIdx: (plot, series, near) => this.nearest(near),
      },
      scales: {
        x: { range: () => this.window ?? [this.plan.start, this.plan.end] },
        y: { range: () => [this.plan.ticks[0][0], this.plan.ticks.at(-1)[0]] },
      },
      axes: [
        { ...axis, space: 60, size: 26, grid: { show: false }, values: (plot, times) => this.timeLabels(times) },
        {
          ...axis,
          size: () => this.margin('left'),
          grid: { stroke: () => this.look('.grid', 'stroke'), width: 1 },
          splits: () => this.plan.ticks.map(([value]) => value),
          values: () => this.plan.ticks.map(([, label]) => label),
        },
      ],
      series: [{}, { stroke: line, width: 2.25, points: { show: false } }],
      hooks: {
        drawAxes: [(plot) => drawLevels(plot, this.plan, this.look, family)],
        draw: [
          (plot) => drawPoints(plot, this, this.look),
          (plot) => drawReported(plot, this.plan.reported, this.look),
        ],
        setCursor: [(plot) => this.point(plot.cursor.left < 0 || plot.cursor.idx === null ? undefined : plot.cursor.idxs[1])],
        setSelect: [(plot) => this.select(plot)],
      },
    };
  }

  timeLabels(times) {
    return times.map((time) => (this.clock(time) === '00:00' ? this.day(time) : this.clock(time)));
  }

  clock(time) {
    this.clockFormat ??= new Intl.DateTimeFormat('en-GB', { timeZone: this.zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
    return this.clockFormat.format(time * 1000);
  }

  day(time) {
    const { lang } = document.documentElement;
    this.dayFormat ??= new Intl.DateTimeFormat(lang, { timeZone: this.zone, month: 'numeric', day: 'numeric', weekday: 'short' });
    return this.dayFormat.format(time * 1000);
  }

  /** The day, with its year where there may be two of them. */
  date(time) {
    if (this.plan.end - this.plan.start < 180 * 86_400) return this.day(time);
    const { lang } = document.documentElement;
    this.dateFormat ??= new Intl.DateTimeFormat(lang, { timeZone: this.zone, dateStyle: 'medium' });
    return this.dateFormat.format(time * 1000);
  }

  // --- reading -----------------------------------------------------------------------------------------

  nearest(near) {
    return this.known.reduce((best, i) => (Math.abs(i - near) < Math.abs(best - near) ? i : best), this.known[0] ?? null);
  }

  /** The arrow keys go from moment to moment; a screen reader says each as the value of a slider. */
  makeReadable() {
    this.field.tabIndex = 0;
    this.field.setAttribute('role', 'slider');
    this.field.addEventListener('keydown', (event) => {
      const at = this.readAt === undefined ? this.known.length - 1 : this.known.indexOf(this.readAt);
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -6, PageUp: 6, Home: -Infinity, End: Infinity };
      if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey || !this.known.length) return;
      event.preventDefault();
      this.goTo(this.known[Math.min(this.known.length - 1, Math.max(0, at + steps[event.key]))]);
    });
    this.field.addEventListener('blur', () => this.plot.setCursor({ left: -10, top: -10 }));
  }

  goTo(index) {
    const [time, value] = this.points[index];
    const [start, end] = this.window ?? [this.plan.start, this.plan.end];
    if (time < start || time > end) this.zoom(time - (end - start) / 2, time + (end - start) / 2);
    this.plot.setCursor({ left: this.plot.valToPos(time, 'x'), top: this.plot.valToPos(value, 'y') });
    this.point(index);
  }

  point(index) {
    this.readAt = index ?? undefined;
    this.say();
  }

  say() {
    const index = this.readAt ?? this.known.at(-1);
    const text = index === undefined ? '' : this.words(this.points[index]);
    if (this.reading.textContent !== text) this.reading.textContent = text;
    this.field.setAttribute('aria-valuemin', '0');
    this.field.setAttribute('aria-valuemax', String(Math.max(0, this.known.length - 1)));
    this.field.setAttribute('aria-valuenow', String(Math.max(0, this.known.indexOf(index))));
    this.field.setAttribute('aria-valuetext', text || '–');
  }

  words([time, value]) {
    const long = this.plan.end - this.plan.start > 86_400;
    const number = value.toLocaleString('en', { minimumFractionDigits: this.plan.decimals });
    const doubt = this.doubt(time);
    return `${long ? `${this.date(time)} ` : ''}${this.when(time)}  ${number} ${this.plan.unit}${doubt && ` (${doubt})`}`;
  }

  /** Why a value should not simply be believed: its own quality, or what the slice holds that it stands for. */
  doubt(time) {
    const quality = this.doubted.get(time);
    if (quality === undefined) return '';
    const { qualities, finer } = this.plan;
    const { slice } = this.finerAt(time) ?? finer ?? { slice: null };
    return slice === null ? qualities[quality] : finer.words.holds[quality];
  }

  /** A value that was read from hours stands in the middle of its hour: when in it, nobody knows. */
  when(time) {
    const { step } = this.finerAt(time) ?? this.plan.finer ?? { step: 'raw' };
    if (step === 'day') return '';
    return step === 'hour' ? `${this.clock(time - 1800)}–${this.clock(time + 1800)}` : this.clock(time);
  }

  // --- zooming: by dragging over a stretch, or by buttons ------------------------------------------------

  makeZoomable() {
    const tools = part('p', 'chart-tools', this.island);
    const { words } = this.plan;
    for (const [name, factor] of [['in', 0.5], ['out', 2], ['whole', Infinity]]) {
      const button = part('button', 'button button-quiet', tools);
      button.type = 'button';
      button.textContent = words[name];
      button.addEventListener('click', () => this.zoomBy(factor));
    }
    this.buttons = [...tools.children];
    if (this.plan.finer) {
      this.shown = part('span', 'chart-shown', tools);
      this.shown.setAttribute('role', 'status');
      tools.prepend(this.shown);
      this.sayStep();
    }
    this.field.addEventListener('dblclick', () => this.zoomBy(Infinity));
    this.showWindow();
  }

  select(plot) {
    const { left, width } = plot.select;
    if (width < 8) return;
    this.zoom(plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'));
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  /** About the moment that is read, else towards the newest end. */
  zoomBy(factor) {
    const [start, end] = this.window ?? [this.plan.start, this.plan.end];
    const length = (end - start) * factor;
    const at = this.readAt === undefined ? end : this.points[this.readAt][0];
    const share = (at - start) / (end - start);
    this.zoom(at - length * share, at + length * (1 - share));
  }

  zoom(from, to, changed = false) {
    const { start, end } = this.plan;
    const length = Math.max(to - from, SHORTEST);
    if (!(length < end - start)) this.window = null;
    else {
      const begin = Math.min(Math.max(from, start), end - length);
      this.window = [begin, begin + length];
    }
    this.plot.setScale('x', {});
    this.moveRain();
    this.showWindow();
    this.lookCloser(changed);
  }

  // --- finer points, where the picture has slices only ---------------------------------------------------

  finerAt(time) {
    return this.finer && time >= this.finer.from && time <= this.finer.to ? this.finer : null;
  }

  /** Asks for finer points of what the reader has come to rest at; `changed`: also of what was asked for before. */
  lookCloser(changed) {
    if (!this.plan.finer) return;
    clearTimeout(this.waiting);
    this.asked?.abort();
    if (!this.window) {
      if (this.finer) {
        this.finer = null;
        this.showAgain();
        this.plot.setScale('x', {});
        this.say();
      }
    } else if (changed || !this.fineEnough()) {
      this.waiting = setTimeout(() => this.fetchFiner(), REST);
    }
    this.sayStep();
  }

  fineEnough() {
    const [start, end] = this.window;
    const { finer } = this;
    if (!finer || start < finer.from || end > finer.to) return false;
    return finer.slice === null || finer.to - finer.from <= 2.5 * (end - start);
  }

  async fetchFiner() {
    const [start, end] = this.window;
    const aside = (end - start) / 2; // to be moved along without asking again
    const [from, to] = [Math.max(this.plan.start, start - aside), Math.min(this.plan.end, end + aside)];
    const address = new URL(this.plan.finer.address, location.href);
    address.searchParams.set('from', new Date(from * 1000).toISOString());
    address.searchParams.set('to', new Date(to * 1000).toISOString());
    this.asked = new AbortController();
    const { signal } = this.asked;
    let answer;
    try {
      const response = await fetch(address, { headers: { Accept: 'application/json' }, signal });
      if (!response.ok) return; // the coarser curve is true as well
      answer = await response.json();
    } catch {
      return;
    }
    if (signal.aborted || !this.window) return;
    const length = { raw: null, hour: 3600, day: 86_400 }[answer.step];
    const points = answer.points.map(({ time, value }) => [Date.parse(time) / 1000, value]);
    const doubted = answer.points
      .filter(({ value, quality }) => value !== null && quality in this.plan.qualities)
      .map(({ time, quality }) => [Date.parse(time) / 1000, quality]);
    this.finer = { from, to, step: answer.step, slice: answer.slice_seconds ?? length, points, doubted };
    this.showAgain();
    this.plot.setScale('x', {});
    this.say();
    this.sayStep();
  }

  /** Whether what is seen are observations, or lowest and highest of what. */
  sayStep() {
    const { finer } = this.plan;
    if (!this.shown) return;
    const [start, end] = this.window ?? [this.plan.start, this.plan.end];
    const inside = this.finerAt(start) && this.finerAt(end);
    const slice = (inside ? this.finer : finer)?.slice ?? null;
    const text = !finer ? '' : slice === null ? finer.words.every : finer.words.slices.replace('{length}', finer.lengths[slice] ?? '');
    if (this.shown.textContent !== text) this.shown.textContent = text;
  }

  /** The rain that hangs above shows the same stretch of time over the same width; or, in the end, as the server drew it. */
  moveRain(whole = paper.matches) {
    const across = PICTURE.width - PICTURE.left - PICTURE.right;
    const { start, end } = this.plan;
    const [from, to] = (!whole && this.window) || [start, end];
    const unit = PICTURE.width / (this.island.clientWidth || PICTURE.width); // of the picture, a px
    const [left, right] = whole ? [PICTURE.left, PICTURE.right] : ['left', 'right'].map((side) => this.margin(side) * unit);
    const place = (time) => PICTURE.left + (across * (time - start)) / (end - start);
    for (const field of this.box.closest('[data-time-axis]')?.querySelectorAll('.rain-field') ?? []) {
      field.setAttribute('x', left);
      field.setAttribute('width', PICTURE.width - left - right);
      field.setAttribute('viewBox', `${place(from)} 0 ${place(to) - place(from)} ${field.getAttribute('height')}`);
    }
  }

  showWindow() {
    for (const button of this.buttons?.slice(1) ?? []) button.disabled = this.window === null;
  }
}

function part(name, className, parent) {
  const element = document.createElement(name);
  element.className = className;
  parent.append(element);
  return element;
}
