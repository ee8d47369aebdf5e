// Starts the page's wasm. A file of its own, because the server's content security policy allows no inline script.
const script = document.querySelector('script[data-wasm]');
const { default: init } = await import(new URL(script.dataset.js, document.baseURI));
await init({ module_or_path: new URL(script.dataset.wasm, document.baseURI) });
