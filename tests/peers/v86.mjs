// v86's network adapter against our relay, without a guest: `node v86.mjs ws://ADDRESS/wisp/ ECHO_PORT REFUSING_PORT`.
// The guest's side of ARP and TCP is played by hand, frame by frame.
// Prints one line for each thing that worked; ends with an error at the first that did not.

import { readFileSync } from "node:fs";
import { WebSocket } from "ws";
import { same } from "./web.mjs";

const [url, echoPort, refusingPort] = process.argv.slice(2);

globalThis.WebSocket = WebSocket;
// The build whose inner names are there: the guest's end of the bus is one.
const { V86 } = await import("../node_modules/v86/build/libv86-debug.mjs");

const emulator = new V86({
  wasm_fn: async (imports) => {
    const file = new URL("../node_modules/v86/build/v86.wasm", import.meta.url);
    const { instance } = await WebAssembly.instantiate(readFileSync(file), imports);
    return instance.exports;
  },
  net_device: { type: "ne2k", relay_url: url.replace("ws://", "wisp://") },
  autostart: false,
  log_level: 0,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
});
await new Promise((resolve) => emulator.add_listener("emulator-loaded", resolve));

// It would hold a CONNECT for ever that came before the relay's greeting.
for (let left = 2_000; !(emulator.network_adapter.connections[0]?.congestion > 0); left -= 1) {
  if (left === 0) throw new Error("no greeting");
  await new Promise((resolve) => setTimeout(resolve, 10));
}

const frames = [];
let wake = () => {};
emulator.emulator_bus.register("net0-receive", (frame) => {
  frames.push(Buffer.from(frame));
  wake();
});

// The next frame that is looked for.
async function frame(wanted) {
  const end = Date.now() + 20_000;
  for (;;) {
    while (frames.length > 0) {
      const next = frames.shift();
      if (wanted(next)) return next;
    }
    if (Date.now() > end) throw new Error("no frame came");
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, 1_000);
    });
  }
}

const guest = Buffer.from("002215070707", "hex");
const guestIp = Buffer.from([192, 168, 86, 100]);
let router = Buffer.alloc(6, 0xff);

function send(type, payload) {
  const out = Buffer.concat([router, guest, Buffer.from(type, "hex"), payload, Buffer.alloc(60)]);
  emulator.emulator_bus.send("net0-send", new Uint8Array(out.subarray(0, Math.max(60, 14 + payload.length))));
}

// Internet checksum (RFC 1071).
function sum(octets) {
  let total = 0;
  for (let at = 0; at < octets.length; at += 2) total += (octets[at] << 8) | (octets[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return ~total & 0xffff;
}

class Connection {
  constructor(from, port) {
    Object.assign(this, { from, port: Number(port), seq: 1000, ack: 0 });
  }

  // FIN 1, SYN 2, PSH 8, ACK 16.
  send(flags, data = Buffer.alloc(0)) {
    const to = Buffer.from([127, 0, 0, 1]);
    const tcp = Buffer.alloc(20 + data.length);
    tcp.writeUInt16BE(this.from, 0);
    tcp.writeUInt16BE(this.port, 2);
    tcp.writeUInt32BE(this.seq, 4);
    tcp.writeUInt32BE(this.ack, 8);
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    tcp.writeUInt16BE(64_000, 14);
    data.copy(tcp, 20);
    const pseudo = Buffer.concat([guestIp, to, Buffer.from([0, 6, tcp.length >> 8, tcp.length & 255])]);
    tcp.writeUInt16BE(sum(Buffer.concat([pseudo, tcp])), 16);
    const ip = Buffer.alloc(20);
    ip[0] = 0x45;
    ip.writeUInt16BE(20 + tcp.length, 2);
    ip[8] = 64;
    ip[9] = 6;
    guestIp.copy(ip, 12);
    to.copy(ip, 16);
    ip.writeUInt16BE(sum(ip), 10);
    send("0800", Buffer.concat([ip, tcp]));
    this.seq += data.length + (flags & 3 ? 1 : 0);
  }

  // The next segment for this connection: its flags and octets.
  async next() {
    const mine = (f) => f.readUInt16BE(12) === 0x0800 && f[23] === 6 && f.readUInt16BE(36) === this.from;
    const found = await frame(mine);
    const start = 34 + (found[46] >> 4) * 4;
    const data = found.subarray(start, 14 + found.readUInt16BE(16));
    const flags = found[47];
    this.ack = found.readUInt32BE(38) + data.length + (flags & 3 ? 1 : 0);
    return { flags, data };
  }
}

const question = Buffer.from("0001080006040001" + guest.toString("hex") + "c0a85664" + "000000000000" + "c0a85601", "hex");
send("0806", question);
const answer = await frame((f) => f.readUInt16BE(12) === 0x0806);
router = Buffer.from(answer.subarray(22, 28));
same("ARP", answer.readUInt16BE(20), 2);

const echo = new Connection(40_001, echoPort);
echo.send(2);
same("SYN, ACK", (await echo.next()).flags & 18, 18);
echo.send(16);
echo.send(24, Buffer.from("hej from a guest"));
let got = "";
while (got.length < 16) {
  const { data } = await echo.next();
  got += data;
  if (data.length > 0) echo.send(16);
}
same("TCP echo", got, "hej from a guest");

const refused = new Connection(40_002, refusingPort);
refused.send(2);
await refused.next();
refused.send(16);
let flags = 0;
while ((flags & 5) === 0) ({ flags } = await refused.next());
same("refused", (flags & 5) !== 0, true);
process.exit(0);
