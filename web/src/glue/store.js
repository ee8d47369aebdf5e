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
