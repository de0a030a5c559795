// The map that takes the picture's place where the browser has WebGL 2: the same shapes in the same colours, and the same
// stations with the same words, read from the picture. Here one can move and zoom; nothing comes from elsewhere.
//
//   <div class="map-box" data-map='{library, style, shapes, extent, tiles, words}'><svg>...</svg></div>
//
// library, style: addresses of MapLibre; shapes: GeoJSON of the town; extent: [west, south, east, north] to begin with;
// tiles: null, or a map of the real town below it (basemap_tiles.js);
// words: MapLibre's own texts in the page's language, and `whole` for the button that shows the whole town again.
// In the picture every a.map-mark has data-at="longitude latitude", a .mark and a .map-label.

import { tileBase } from './basemap_tiles.js';
import { island, settle, stylesheet } from './islands.js';
import { layers } from './map_layers.js';
import { picking } from './map_pick.js';
import { morph } from './morph.js';

const REACH = 17; // px from a pin's middle to its edge
const GAP = 4; // px between a pin and its label
const NAMED = ['river', 'block', 'district']; // kinds whose names are written; the town's and its sea's are known
const NARROW = 420; // px: on a phone the town needs the width more than the buttons do

settle('data-map', async (box) => {
  if (!capable()) return undefined;
  const picture = box.querySelector('svg');
  const plan = JSON.parse(box.dataset.map);
  const [library, shapes] = await Promise.all([import(plan.library), json(plan.shapes), stylesheet(plan.style)]);
  const ground = island(box, 'map-live');
  const base = await tileBase(library, plan.tiles, ground);
  let map;
  try {
    map = new library.Map(options(ground, picture, plan, shapes, base));
  } catch {
    ground.remove(); // no WebGL after all
    return undefined;
  }
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new library.NavigationControl({ showCompass: false }), 'top-right');
  map.addControl(wholeTown(plan.words.whole, () => fit()), 'top-right');
  map.addControl(new library.ScaleControl({ maxWidth: 90 }), 'bottom-left');
  if (base) map.addControl(base.credit, 'bottom-right');

  const labels = new Labels(map, ground);
  const pins = new Pins(library, map, picture, labels);
  const names = shapes.features.flatMap((shape) => placeName(library, map, picture, shape));
  labels.names = names;
  picking(library, map, box);

  let moved = false; // by the reader: then a box that changes its size must not jump back to the whole town
  const fit = () => {
    moved = false;
    map.fitBounds(plan.extent, { padding: edge(ground), duration: calm.matches ? 0 : 300 });
  };
  map.on('movestart', (event) => (moved ||= Boolean(event.originalEvent)));
  map.on('resize', () => moved || map.fitBounds(plan.extent, { padding: edge(ground), duration: 0 }));
  map.on('moveend', () => labels.place());
  map.once('load', () => {
    map.setMinZoom(map.getZoom() - 1);
    labels.place();
    ground.classList.add('is-drawn');
  });
  map.on('webglcontextlost', () => ground.classList.remove('is-drawn'));
  map.on('webglcontextrestored', () => ground.classList.add('is-drawn'));

  return {
    update: () => {
      plan.extent = JSON.parse(box.dataset.map).extent;
      if (!moved) fit();
    },
    end: () => {
      pins.end();
      map.remove();
      ground.remove();
    },
  };
});

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Asked before half a megabyte is fetched: a virtual desktop without WebGL, or who saves data, keeps the picture. */
function capable() {
  if (navigator.connection?.saveData) return false;
  const context = document.createElement('canvas').getContext('webgl2');
  context?.getExtension('WEBGL_lose_context')?.loseContext();
  return Boolean(context);
}

async function json(address) {
  const response = await fetch(address, { headers: { Accept: 'application/json' } });
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.json();
}

function options(container, picture, plan, shapes, base) {
  const [west, south, east, north] = plan.extent;
  const [width, height] = [east - west, north - south];
  const own = layers(picture, container);
  return {
    container,
    style: {
      version: 8,
      sources: { town: { type: 'geojson', data: shapes }, ...base?.sources },
      layers: base ? base.under(own) : own,
    },
    bounds: plan.extent,
    fitBoundsOptions: { padding: edge(container) },
    maxBounds: [west - width / 2, south - height / 2, east + width / 2, north + height / 2],
    maxZoom: 17,
    maxPitch: 0,
    renderWorldCopies: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    cooperativeGestures: true, // the wheel and one finger belong to the page
    attributionControl: false, // the shapes are the town's own, and tiles bring their credit with them
    fadeDuration: 0,
    locale: plan.words,
  };
}

/** Pixels kept free around the town for pins, labels and buttons. */
function edge(container) {
  const narrow = container.clientWidth < NARROW;
  return { top: 26, right: narrow ? 26 : 52, bottom: narrow ? 26 : 40, left: 26 };
}

/** A control with a word on it. */
function wholeTown(word, press) {
  const group = document.createElement('div');
  group.className = 'maplibregl-ctrl maplibregl-ctrl-group';
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'map-whole';
  button.textContent = word;
  button.addEventListener('click', press);
  group.append(button);
  return { onAdd: () => group, onRemove: () => group.remove() };
}

// --- stations ---------------------------------------------------------------------------------------------

/** One pin for each mark of the picture, in its order (which is the order of Tab), saying what the mark says. */
class Pins {
  constructor(library, map, picture, labels) {
    this.library = library;
    this.map = map;
    this.picture = picture;
    this.labels = labels;
    this.known = new Map(); // href of the mark -> { marker, link, said }
    this.follow();
    this.watch = new MutationObserver(() => this.follow());
    this.watch.observe(picture, { attributes: true, characterData: true, childList: true, subtree: true });
  }

  follow() {
    const seen = new Set();
    let changed = false;
    for (const mark of this.picture.querySelectorAll('a.map-mark')) {
      const key = mark.getAttribute('href');
      seen.add(key);
      const pin = this.known.get(key) ?? this.add(key);
      const said = mark.outerHTML;
      if (pin.said === said) continue;
      pin.said = said;
      changed = true;
      const fresh = pinFor(mark);
      morph(pin.link, fresh);
      const [longitude, latitude] = mark.dataset.at.split(' ').map(Number);
      pin.marker.setLngLat([longitude, latitude]);
      if (!pin.added) pin.marker.addTo(this.map);
      pin.added = true;
      pin.rank = Number(/\bmark-([1-5])\b/.exec(said)?.[1] ?? 0);
      pin.marker.getElement().style.zIndex = String(1 + pin.rank);
    }
    for (const [key, pin] of this.known) {
      if (seen.has(key)) continue;
      pin.marker.remove();
      this.known.delete(key);
      changed = true;
    }
    if (!changed) return;
    this.labels.pins = [...this.known.values()].sort((a, b) => b.rank - a.rank);
    this.labels.place();
  }

  add(key) {
    // A bare wrapper for MapLibre, which places it: a style on it would move the pin away from its place.
    const element = document.createElement('div');
    element.className = 'map-pin-place';
    const link = document.createElement('a');
    element.append(link);
    const pin = { marker: new this.library.Marker({ element }), link, said: '', added: false, rank: 0 };
    this.known.set(key, pin);
    return pin;
  }

  end() {
    this.watch.disconnect();
    for (const pin of this.known.values()) pin.marker.remove();
  }
}

function pinFor(mark) {
  const link = document.createElement('a');
  link.className = mark.classList.contains('is-silent') ? 'map-pin is-silent' : 'map-pin';
  link.setAttribute('href', mark.getAttribute('href'));
  link.setAttribute('aria-label', mark.getAttribute('aria-label'));
  link.setAttribute('draggable', 'false');
  const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const shape = mark.querySelector('.mark');
  drawing.setAttribute('class', shape.getAttribute('class'));
  drawing.setAttribute('viewBox', '0 0 32 32');
  drawing.setAttribute('aria-hidden', 'true');
  for (const part of shape.childNodes) drawing.append(part.cloneNode(true));
  const label = document.createElement('span');
  label.className = 'map-pin-label';
  label.textContent = mark.querySelector('.map-label').textContent;
  link.append(drawing, ' ', label);
  return link;
}

// --- names ------------------------------------------------------------------------------------------------

/** The name of a shape that has one in the picture's style, with the places where it may stand: a marker of its own. */
function placeName(library, map, picture, shape) {
  const { kind, name, name_en: english } = shape.properties;
  const text = document.documentElement.lang === 'en' ? english : name;
  if (!text || !NAMED.includes(kind) || !picture.querySelector(`.map-${kind}`)) return [];
  const { type, coordinates } = shape.geometry;
  const ring = type === 'Polygon' ? coordinates[0].slice(1) : coordinates;
  const middle = [0, 1].map((i) => ring.reduce((sum, point) => sum + point[i], 0) / ring.length);
  const spots = type === 'Polygon' ? [middle] : fromTheMiddle(ring);
  const element = document.createElement('div');
  element.className = `map-pin-name map-name-${kind}`;
  element.setAttribute('aria-hidden', 'true');
  element.textContent = text;
  const marker = new library.Marker({ element }).setLngLat(middle).addTo(map);
  return [{ marker, element, spots, beside: type !== 'Polygon' }];
}

function fromTheMiddle(points) {
  const inner = points.slice(1, -1);
  const half = (inner.length - 1) / 2;
  return inner.map((point, i) => [Math.abs(i - half), point]).sort((a, b) => a[0] - b[0]).map(([, point]) => point);
}

/** Puts labels where they cover nothing: the highest level first, then the names of shapes; what finds no room is hidden. */
class Labels {
  constructor(map, ground) {
    this.map = map;
    this.ground = ground;
    this.pins = [];
    this.names = [];
  }

  place() {
    const frame = this.ground.getBoundingClientRect();
    const [width, height] = [frame.width, frame.height];
    // All measured before anything is changed.
    const taken = [...this.ground.querySelectorAll('.maplibregl-ctrl')].map((control) => {
      const box = control.getBoundingClientRect();
      return [box.left - frame.left, box.top - frame.top, box.right - frame.left, box.bottom - frame.top];
    });
    const pins = this.pins.map((pin) => {
      const label = pin.link.querySelector('.map-pin-label');
      return { label, at: this.map.project(pin.marker.getLngLat()), size: [label.offsetWidth, label.offsetHeight] };
    });
    const names = this.names.map((name) => ({ ...name, size: [name.element.offsetWidth, name.element.offsetHeight] }));
    const free = ([left, top, right, bottom]) =>
      left >= 2 && top >= 2 && right <= width - 2 && bottom <= height - 2 &&
      !taken.some((box) => left < box[2] && box[0] < right && top < box[3] && box[1] < bottom);

    for (const { at } of pins) taken.push([at.x - REACH, at.y - REACH, at.x + REACH, at.y + REACH]);
    for (const { label, at, size } of pins) {
      const found = Object.entries(sides(at, size)).find(([, box]) => free(box));
      if (found) taken.push(found[1]);
      label.dataset.side = found ? found[0] : 'none';
    }
    for (const { marker, element, spots, beside, size } of names) {
      const found = spots.flatMap((spot) => around(spot, this.map.project(spot), size, beside)).find(({ box }) => free(box));
      element.classList.toggle('is-crowded', !found);
      if (!found) continue;
      taken.push(found.box);
      marker.setOffset(found.offset).setLngLat(found.spot);
    }
  }
}

function sides({ x, y }, [w, h]) {
  const far = REACH + GAP;
  return {
    right: [x + far, y - h / 2, x + far + w, y + h / 2],
    left: [x - far - w, y - h / 2, x - far, y + h / 2],
    below: [x - w / 2, y + REACH, x + w / 2, y + REACH + h],
    above: [x - w / 2, y - REACH - h, x + w / 2, y - REACH],
  };
}

function around(spot, { x, y }, [w, h], beside) {
  const offsets = beside ? [[-w / 2 - 8, 0], [w / 2 + 8, 0]] : [[0, 0]];
  return offsets.map(([dx, dy]) => ({
    spot,
    offset: [dx, dy],
    box: [x + dx - w / 2, y + dy - h / 2, x + dx + w / 2, y + dy + h / 2],
  }));
}
