// Choosing a place on the map: a press puts a pin there and writes where it is into a field; what is typed there moves
// the pin. The field alone is enough: whoever has no map types or pastes "latitude, longitude".
//
//   <div class="map-box" data-pick="the field's id">

const DIGITS = 6; // of a degree: a decimetre
// what stands between two numbers: 33.5597, 133.5311 / 33.5597 133.5311 / 33.5597、133.5311
const PLACE = /^\s*([-+]?\d+(?:\.\d+)?)\s*[,、，\s]\s*([-+]?\d+(?:\.\d+)?)\s*$/;

/** Makes the map of the box one to choose on, where the box asks for it. */
export function picking(library, map, box) {
  const field = document.getElementById(box.dataset.pick ?? '');
  if (!field) return;
  const element = document.createElement('div');
  element.className = 'map-chosen';
  element.setAttribute('aria-hidden', 'true'); // the field says it in words
  const marker = new library.Marker({ element, draggable: true, anchor: 'bottom' });
  const write = ({ lng, lat }) => {
    field.value = `${lat.toFixed(DIGITS)}, ${lng.toFixed(DIGITS)}`;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const show = () => {
    const place = PLACE.exec(halfWidth(field.value));
    const [latitude, longitude] = place ? place.slice(1).map(Number) : [];
    if (!place || Math.abs(latitude) > 90 || Math.abs(longitude) > 180) marker.remove();
    else marker.setLngLat([longitude, latitude]).addTo(map);
  };
  map.getCanvas().style.cursor = 'crosshair';
  map.on('click', (event) => {
    // a station's pin is a link of its own
    if (!event.originalEvent.target.closest('a')) write(event.lngLat);
  });
  marker.on('dragend', () => write(marker.getLngLat()));
  field.addEventListener('input', show);
  show();
}

/** Digits, point and minus as a Japanese keyboard may write them. */
function halfWidth(text) {
  return text.normalize('NFKC').replace(/[−ー]/g, '-');
}
