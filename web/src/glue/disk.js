// Files from and to the student's disk. Entries are [path, Uint8Array]; the path is relative to what was picked.
const content = async (file, path) => [path, new Uint8Array(await file.arrayBuffer())];

/// What a file or folder picker holds. A file above `limit` octets is given without its content.
export function picked(input, limit) {
  const files = [...input.files];
  input.value = '';
  return Promise.all(files.map((file) => take(file, file.webkitRelativePath || file.name, limit)));
}

const take = (file, path, limit) => (file.size > limit ? [path, undefined] : content(file, path));

/// Are files what is dragged?
export const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');

/// What was dropped, folders with all that is in them, at most `most` files.
export function dropped(event, limit, most) {
  // The items are only there during the event: ask for all before the first wait.
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return collect(entries, limit, most);
}

async function collect(entries, limit, most) {
  const found = [];
  const rest = [...entries];
  while (rest.length && found.length < most) {
    const entry = rest.shift();
    if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!part.length) break;
        rest.push(...part);
      }
    } else {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push(await take(file, entry.fullPath.replace(/^\//, ''), limit));
    }
  }
  return found;
}

/// Saves octets as a file.
export function save(name, bytes, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
