// A map of the real town under the town's own shapes: vector tiles out of the PMTiles file that the operator put on the
// server, read by Range. It is drawn in quiet colours (app.css, --tile-*), so that what the town itself says stays on top.
//
//   const base = await tileBase(library, plan.tiles, ground)   // undefined where there is none, or it cannot be read
//   base.sources, base.under(layers), base.credit              // for the style; a control that says whose data it is
//
// plan.tiles: {library, address, credit, link}. Layers are understood by their names, those of GSI's optimal_bvmap and
// those that are usual elsewhere; what has another name is not drawn. docs/dashboards.md lists them.

const SOURCE = 'tiles';
// Of the town's own layers, those that the tiles lie on: areas that would hide them.
const BELOW = /^(ground|(sea|terrain|terrain-\d|coast|town)-area)$/;

const MAIN_ROADS = ['motorway', 'trunk', 'primary', 'secondary', 'highway', 'major_road', '高速自動車国道等', '国道', '都道府県道', '主要道路'];
const isMain = ['in', ['to-string', ['coalesce', ['get', 'vt_rdctg'], ['get', 'class'], ['get', 'kind'], '']], ['literal', MAIN_ROADS]];
const growing = (near, far) => ['interpolate', ['exponential', 1.5], ['zoom'], 10, near, 17, far];
const area = ['==', ['geometry-type'], 'Polygon'];
const way = ['==', ['geometry-type'], 'LineString'];

/** From below to above: the names a layer may have, and how it is drawn in a colour. */
const LOOKS = [
  { id: 'land', names: ['earth', 'land', 'municipalities', 'context'], type: 'fill', filter: area, paint: (colour) => ({ 'fill-color': colour }) },
  { id: 'water', names: ['water', 'ocean', 'WA'], type: 'fill', filter: area, paint: (colour) => ({ 'fill-color': colour, 'fill-antialias': false }) },
  { id: 'river', names: ['water', 'waterway', 'waterways', 'river', 'rivers', 'RvrCL'], type: 'line', filter: way, paint: (colour) => ({ 'line-color': colour, 'line-width': growing(1, 4) }) },
  { id: 'building', names: ['building', 'buildings', 'BldA'], type: 'fill', minzoom: 14, filter: area, paint: (colour) => ({ 'fill-color': colour }) },
  {
    id: 'road', names: ['transportation', 'road', 'roads', 'RdCL'], type: 'line', filter: way,
    paint: (colour) => ({ 'line-color': colour, 'line-width': ['interpolate', ['exponential', 1.5], ['zoom'], 10, ['case', isMain, 1.2, 0.4], 17, ['case', isMain, 9, 4]] }),
  },
  { id: 'rail', names: ['railway', 'railways', 'rail', 'RailCL'], type: 'line', filter: way, paint: (colour) => ({ 'line-color': colour, 'line-width': growing(0.8, 3), 'line-dasharray': [4, 2] }) },
  { id: 'boundary', names: ['boundary', 'boundaries', 'AdmBdry'], type: 'line', filter: way, paint: (colour) => ({ 'line-color': colour, 'line-width': 1, 'line-dasharray': [5, 3] }) },
  {
    id: 'label', names: ['place', 'places', 'place_label', 'labels', 'Anno'], type: 'symbol', filter: ['==', ['geometry-type'], 'Point'],
    layout: () => ({ 'text-field': nameOf(), 'text-size': 11, 'text-padding': 6, 'text-max-width': 9 }),
    paint: (colour) => ({ 'text-color': colour, 'text-halo-color': '#fff', 'text-halo-width': 1.5 }),
  },
];

export async function tileBase(library, tiles, ground) {
  if (!tiles) return undefined;
  try {
    await script(tiles.library);
    const archive = new window.pmtiles.PMTiles(new URL(tiles.address, location.href).href);
    const { vector_layers: known = [] } = await archive.getMetadata();
    const names = new Set(known.map(({ id }) => id));
    protocolOf(library).add(archive);
    const drawn = LOOKS.flatMap((look) => layersOf(look, names, getComputedStyle(ground)));
    return {
      sources: { [SOURCE]: { type: 'vector', url: `pmtiles://${archive.source.getKey()}` } },
      under: (layers) => {
        const ours = layers.findLastIndex(({ id }) => BELOW.test(id)) + 1;
        return [...layers.slice(0, ours), ...drawn, ...layers.slice(ours)];
      },
      credit: credit(tiles),
    };
  } catch (error) {
    console.warn(`the map ${tiles.address} is not shown: ${error.message}`); // the town's own shapes are a map, too
    return undefined;
  }
}

function layersOf({ id, names, type, filter, minzoom = 0, paint, layout }, known, style) {
  const colour = style.getPropertyValue(`--tile-${id}`).trim();
  return names
    .filter((name) => known.has(name))
    .map((name) => ({
      id: `tiles-${id}-${name}`, type, source: SOURCE, 'source-layer': name, minzoom, filter, paint: paint(colour), layout: layout?.() ?? {},
    }));
}

/** A feature's name in the page's language, else in its own. */
function nameOf() {
  const wanted = document.documentElement.lang === 'en' ? ['name:en', 'name_en'] : ['name:ja', 'name_ja'];
  return ['coalesce', ...[...wanted, 'name', 'vt_text'].map((key) => ['get', key]), ''];
}

let protocol;
function protocolOf(library) {
  if (!protocol) {
    protocol = new window.pmtiles.Protocol();
    library.addProtocol('pmtiles', protocol.tile);
  }
  return protocol;
}

/** A control with the words that the data's licence asks for, always open. */
function credit({ credit: words, link }) {
  const group = document.createElement('div');
  group.className = 'maplibregl-ctrl map-credit';
  const text = document.createElement(link ? 'a' : 'span');
  if (link) {
    text.href = link;
    text.rel = 'noopener';
  }
  text.textContent = words;
  group.append(text);
  return { onAdd: () => group, onRemove: () => group.remove() };
}

let loading;
function script(address) {
  loading ??= new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = address;
    element.addEventListener('load', resolve);
    element.addEventListener('error', () => reject(new Error(`${address} cannot be loaded`)));
    document.head.append(element);
  });
  return loading;
}
