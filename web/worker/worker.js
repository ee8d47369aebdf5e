// Starts the lab worker's wasm, as `new Worker("worker.js", { type: "module" })`. Trunk keeps the names.
import init from "./socketlab-worker.js";

await init({ module_or_path: new URL("./socketlab-worker_bg.wasm", import.meta.url) });
