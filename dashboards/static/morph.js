// Makes one element say what another says, changing only what differs: focus, half-written notes, opened details and
// scroll positions stay where the reader left them. What a script has put into the page (data-island, see islands.js)
// stays too, since the server knows nothing of it.

/** Turns `old` into `fresh` (an element of a parsed document). */
export function morph(old, fresh) {
  syncAttributes(old, fresh);
  syncChildren(old, fresh);
}

function syncAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isReaders(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !isReaders(old, name)) old.setAttribute(name, value);
  }
}

/** What the reader set: whether details are open, what stands in a field, what a script set for them (data-kept). */
function isReaders(element, name) {
  const set = { details: 'open', input: 'value' }[element.localName] ?? element.dataset.kept;
  return set?.split(' ').includes(name) ?? false;
}

function syncChildren(old, fresh) {
  const keyed = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = theirs(old.firstChild);
  for (const wanted of [...fresh.childNodes]) {
    const known = wanted.id ? keyed.get(wanted.id) : undefined;
    if (known && known !== at) {
      old.insertBefore(known, at);
      at = known;
    }
    if (at && matches(at, wanted)) {
      if (at.nodeType === Node.ELEMENT_NODE) morph(at, wanted);
      else if (at.data !== wanted.data) at.data = wanted.data;
      at = theirs(at.nextSibling);
    } else {
      old.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = theirs(at.nextSibling);
    at.remove();
    at = next;
  }
}

/** The node, or the next one after it, that is the server's. */
function theirs(node) {
  let at = node;
  while (at?.dataset?.island !== undefined) at = at.nextSibling;
  return at;
}

function matches(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id ?? '') === (b.id ?? '');
}
