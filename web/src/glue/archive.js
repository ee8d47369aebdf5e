// Brings the archive bundle when it is first needed.
let bundle;

export async function load() {
  bundle ??= await import(new URL('archive.js', document.baseURI));
}

export const pack = (text) => bundle.pack(text);
export const unpack = (packed, limit) => bundle.unpack(packed, limit);
export const zip = (entries) => bundle.zip(entries);
export const unzip = (bytes, limit) => bundle.unzip(bytes, limit);
