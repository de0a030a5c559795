// Where a script draws something better than the picture the server sent: an island.
//
// The picture stays in the page under it: it is what is printed, what is shown where the script cannot draw, and the
// one source of words, colours and numbers, which live.js keeps true. An island is an element with data-island;
// morph.js leaves it alone.

/**
 * Calls start(box) for each element with the attribute, once it comes near to what the reader sees and the page has
 * nothing more urgent to do; also for boxes that appear later. start resolves to { update(), end() }: update is called
 * when the attribute has changed, end when the box has gone. It resolves to nothing where the picture has to do.
 */
export function settle(attribute, start) {
  const started = new Map(); // box -> promise of what start gave; null until it comes near
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting || !started.has(target)) continue;
        near.unobserve(target);
        started.set(target, idle().then(() => start(target)).catch(() => undefined));
      }
    },
    { rootMargin: '400px' },
  );

  function look() {
    for (const box of document.querySelectorAll(`[${attribute}]`)) {
      if (started.has(box)) continue;
      started.set(box, null);
      near.observe(box);
    }
    for (const [box, given] of started) {
      if (box.isConnected) continue;
      near.unobserve(box);
      started.delete(box);
      given?.then((island) => island?.end());
    }
  }

  function changed(records) {
    const boxes = new Set(records.filter((record) => record.type === 'attributes').map((record) => record.target));
    for (const box of boxes) started.get(box)?.then((island) => box.isConnected && island?.update());
    if (records.some((record) => record.type === 'childList')) look();
  }

  look();
  const main = document.getElementById('main');
  if (main) {
    new MutationObserver(changed).observe(main, { attributes: true, attributeFilter: [attribute], childList: true, subtree: true });
  }
}

/** An empty island before the picture in the box. */
export function island(box, className) {
  const element = document.createElement('div');
  element.className = className;
  element.dataset.island = '';
  box.prepend(element);
  return element;
}

/** Makes sure that a style sheet is there. */
export function stylesheet(href) {
  sheets[href] ??= new Promise((resolve, reject) => {
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = href;
    link.addEventListener('load', resolve);
    link.addEventListener('error', reject);
    // Before our own, which has the last word.
    document.head.insertBefore(link, document.head.querySelector('link[rel=stylesheet]'));
  });
  return sheets[href];
}

const sheets = {};

function idle() {
  return new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(() => resolve()));
}
