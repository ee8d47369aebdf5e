// epoxy-tls' client (Rust, as wasm) against our relay: `node epoxy.mjs ws://ADDRESS/wisp/ ECHO_PORT REFUSING_PORT`.
// Prints one line for each thing that worked; ends with an error at the first that did not.

import { WebSocket } from "ws";
import { requests, same, serve } from "./web.mjs";

globalThis.WebSocket = WebSocket;
// It wraps a body into a request to "/", which has a meaning in a page only.
const NodeRequest = globalThis.Request;
globalThis.Request = function (to, options) {
  return new NodeRequest(new URL(to, "http://page"), options);
};
const { default: epoxy } = await import("@mercuryworkshop/epoxy-tls");

const [url, echoPort, refusingPort] = process.argv.slice(2);
const { EpoxyClient } = await epoxy();
const client = await new EpoxyClient(url, "test", 10);

await requests((to, options) => client.fetch(to, options), await serve());

const got = await new Promise((resolve, reject) => {
  const nothing = () => {};
  client
    .connect_udp(nothing, nothing, reject, resolve, `udp://127.0.0.1:${echoPort}`)
    .then((stream) => stream.send(new TextEncoder().encode("a datagram")), reject);
});
same("UDP echo", new TextDecoder().decode(got), "a datagram");

const refused = await client.fetch(`http://127.0.0.1:${refusingPort}/`, {}).then(() => false, () => true);
same("refused", refused, true);
const denied = await client.fetch("http://192.168.1.1/", {}).then(() => false, () => true);
same("not allowed", denied, true);
process.exit(0);
