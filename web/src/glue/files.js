// What the browser keeps and gives: storage, the student's disk, archives, the clipboard. One file, as each module is a request.

// One object store of strings in IndexedDB. It works on plain http; where storage is forbidden the promises reject.
const open = () =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open('socketlab', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('files');
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

let database;

async function run(mode, action) {
  database ??= open();
  const store = (await database).transaction('files', mode).objectStore('files');
  const request = action(store);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export const read = (key) => run('readonly', (store) => store.get(key));
export const write = (key, value) => run('readwrite', (store) => store.put(value, key));
export const forget = (key) => run('readwrite', (store) => store.delete(key));

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

// Brings the archive bundle when it is first needed.
let bundle;

export async function load() {
  bundle ??= await import(new URL('archive.js', document.baseURI));
}

export const pack = (text) => bundle.pack(text);
export const unpack = (packed, limit) => bundle.unpack(packed, limit);
export const zip = (entries) => bundle.zip(entries);
export const unzip = (bytes, limit) => bundle.unzip(bytes, limit);

// The clipboard API exists on https and localhost only; elsewhere the old command still works.
export function copy(text) {
  if (navigator.clipboard) {
    navigator.clipboard.writeText(text).catch(() => {});
    return;
  }
  const field = document.createElement('textarea');
  field.value = text;
  field.style.position = 'fixed';
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}
