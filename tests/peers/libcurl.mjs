// libcurl.js (curl, as wasm, over Wisp) against our relay: `node libcurl.mjs ws://ADDRESS/wisp/ ECHO_PORT REFUSING_PORT`.
// Prints one line for each thing that worked; ends with an error at the first that did not.

import { WebSocket } from "ws";
import { requests, same, serve } from "./web.mjs";

globalThis.WebSocket = WebSocket;
// It was built for pages, and looks around whether it is in one.
globalThis.window = globalThis.self = globalThis;
globalThis.document = new EventTarget();
globalThis.CloseEvent ??= class extends Event {
  constructor(type, { code }) {
    super(type);
    this.code = code;
  }
};
const { versions } = process;
globalThis.navigator ??= { userAgent: "test" };
new Request("http://page");
Object.defineProperty(process, "versions", { value: {}, configurable: true });
const { libcurl } = await import("libcurl.js/bundled");
Object.defineProperty(process, "versions", { value: versions });

const [url, , refusingPort] = process.argv.slice(2);
await libcurl.load_wasm();
libcurl.set_websocket(url);

await requests((to, options) => libcurl.fetch(to, options), await serve());

const refused = await libcurl.fetch(`http://127.0.0.1:${refusingPort}/`).then(() => false, () => true);
same("refused", refused, true);
const denied = await libcurl.fetch("http://192.168.1.1/").then(() => false, () => true);
same("not allowed", denied, true);
process.exit(0);
