// What the picture's style sheet says, as layers of MapLibre: the same colours and widths, in the picture's own order.
//
// Every path of the picture with data-layer stands for the shapes whose property `layer` has that value; one with
// data-inlet for those of them that are of this inlet's block, which the others then are without. A line keeps its width
// while the whole town is seen, and grows as one comes closer, so that a street stays thinner than a road.

const GROWTH = 1.35; // a line's width from one zoom to the next
const FARTHEST = 10; // zoom at which a town is a dot

/** `container`: the box in which the picture's units become pixels. */
export function layers(picture, container) {
  const scale = container.clientWidth / picture.viewBox.baseVal.width;
  const whole = wholeTownZoom(container);
  const ground = getComputedStyle(picture.querySelector('.map-ground')).fill;
  const found = [{ id: 'ground', type: 'background', paint: { 'background-color': ground } }];
  for (const path of picture.querySelectorAll('path[data-layer]')) {
    const look = getComputedStyle(path);
    const name = path.dataset.layer;
    const { inlet } = path.dataset;
    const part = { source: 'town', filter: ['all', ['==', ['get', 'layer'], name], ofBlock(picture, name, inlet)] };
    const id = inlet ? `${name}-${inlet}` : name;
    if (look.fill !== 'none') {
      const paint = { 'fill-color': look.fill, 'fill-opacity': Number(look.fillOpacity), 'fill-antialias': false };
      found.push({ id: `${id}-area`, type: 'fill', ...part, paint });
    }
    if (look.stroke !== 'none') found.push({ id: `${id}-line`, type: 'line', ...part, ...line(look, scale, whole) });
  }
  return found;
}

function ofBlock(picture, name, inlet) {
  if (inlet) return ['==', ['get', 'inlet'], inlet];
  const apart = [...picture.querySelectorAll(`path[data-layer="${name}"][data-inlet]`)].map((path) => path.dataset.inlet);
  return ['!', ['in', ['get', 'inlet'], ['literal', apart]]];
}

function line(look, scale, whole) {
  const drawn = parseFloat(look.strokeWidth);
  const width = Math.max(0.6, drawn * Math.min(scale, 1.4));
  const paint = {
    'line-color': look.stroke,
    'line-width': ['interpolate', ['exponential', GROWTH], ['zoom'], whole, width, whole + 5, width * GROWTH ** 5],
  };
  if (look.strokeDasharray !== 'none') {
    paint['line-dasharray'] = look.strokeDasharray.split(',').map((length) => parseFloat(length) / drawn);
  }
  const layout = { 'line-cap': look.strokeLinecap, 'line-join': look.strokeLinejoin === 'round' ? 'round' : 'miter' };
  return { layout, paint };
}

/** About the zoom at which ten kilometres fill the box. */
function wholeTownZoom(container) {
  return Math.max(FARTHEST, Math.log2((container.clientWidth / 512) * (40_000 / 12)));
}
