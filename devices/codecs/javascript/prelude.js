// What a context gets before its codec. It is parsed for every fresh context, where a token costs more than what it does:
// so a part (from its heading to the next) is only there for a codec whose source has, or has not, one of the words in
// the heading. A codec that does not write a word has no use for it, and finds nothing under that name.

// --- always
(() => {
  const { parse, stringify } = JSON;
  let now, asked, entry, last;
  delete globalThis.performance;
// --- without: Date recvTime
  delete globalThis.Date;
// --- with: Date recvTime
  // The clock stands at the message's time, however it is asked for.
  const Real = Date, make = Reflect.construct, clock = () => (asked = true, now);
  Real.now = clock;
  const Pinned = globalThis.Date = Real.prototype.constructor = new Proxy(Real, {
    construct: (target, values, type) => make(target, values.length ? values : [clock()], type),
    apply: () => new Real(clock()).toString(),
  });
// --- without: random
  delete Math.random;
// --- with: random
  // The same numbers for every decode (mulberry32).
  let seed = 0;
  Math.random = () => {
    asked = true;
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
// --- with: console
  let said = [];
  const text = String, line = (...values) => {
    if (said.length < 20) said.push(values.map((each) => text(each)).join(" ").slice(0, 200));
  };
  globalThis.console = new Proxy({}, { get: () => line });
// --- always
  // 0 decode an input, 1 the entry, 2 the last answer, 3 set the clock (was it asked for?), 4 what was printed
  return function mimamori(what, value, time) {
    if (what) {
      if (what === 1) entry = value;
      else if (what === 3) now = value;
// --- with: console
      else if (what === 4) return stringify(said);
// --- always
      return what === 2 ? last : asked;
    }
    const input = parse(value);
// --- with: Date recvTime
    now = time;
    input.recvTime = new Pinned(time);
// --- with: random
    seed = 1;
// --- with: console
    said = [];
// --- always
    last = entry(input);
    if (typeof last === "object" && last) return typeof last.then === "function" ? "promise" : stringify(last);
    return typeof last === "number" ? "number " + last : last === null ? "null" : typeof last;
  };
})()
