// Brings the editor's bundle when it is first needed.
let bundle;

export async function load() {
  bundle ??= await import(new URL('editor.js', document.baseURI));
}

export const create = (parent, text, label, onChange) => bundle.create(parent, text, label, onChange);
