// Photos on their way over a bad network: made smaller before they wait or are sent, and a small one to look at.

const LONGEST = 1600; // pixels; the server takes no more
const ENOUGH = 600_000; // bytes: what is smaller goes as it is
const LOOKS = 96; // pixels of a small picture in a list

/** {blob, name, look}: `look` a data URL, nothing where this browser cannot read the picture, which goes as it is. */
export async function smaller(file) {
  const canvas = await drawn(file, LONGEST);
  if (!canvas) return { blob: file, name: file.name, look: null };
  const look = (await drawn(file, LOOKS)).toDataURL('image/jpeg', 0.7);
  if (file.size <= ENOUGH && file.type === 'image/jpeg') return { blob: file, name: file.name, look };
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.8));
  return blob && blob.size < file.size ? { blob, name: file.name, look } : { blob: file, name: file.name, look };
}

/** A picture at most so long as a canvas; nothing where the browser cannot read it. */
async function drawn(file, longest) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas;
}
