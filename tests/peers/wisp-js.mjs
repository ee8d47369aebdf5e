// The reference client in JavaScript against our relay: `node wisp-js.mjs ws://ADDRESS/wisp/ ECHO_PORT REFUSING_PORT`.
// Prints one line for each thing that worked; ends with an error at the first that did not.

import { client as wisp } from "@mercuryworkshop/wisp-js/client";

const [url, echoPort, refusingPort] = process.argv.slice(2);
const host = "127.0.0.1";

const opened = (version) =>
  new Promise((resolve, reject) => {
    const connection = new wisp.ClientConnection(url, { wisp_version: version });
    connection.onopen = () => resolve(connection);
    connection.onerror = () => reject(new Error("no connection"));
  });

const reason = (stream) => new Promise((resolve) => { stream.onclose = resolve; });

function same(what, got, expected) {
  if (got !== expected) throw new Error(`${what}: ${got} instead of ${expected}`);
  console.log(`${what}: ${got}`);
}

async function echo(connection, octets) {
  const sent = new Uint8Array(octets).map((_, at) => (at ^ (at >> 8) ^ (at >> 16)) & 255);
  const stream = connection.create_stream(host, Number(echoPort));
  const got = [];
  let length = 0;
  const done = new Promise((resolve, reject) => {
    stream.onmessage = (data) => {
      got.push(Buffer.from(data));
      length += data.length;
      if (length >= octets) resolve();
    };
    stream.onclose = (why) => reject(new Error(`closed: ${why}`));
  });
  for (let at = 0; at < octets; at += 50_000) stream.send(sent.subarray(at, at + 50_000));
  await done;
  same(`TCP echo of ${octets} octets`, Buffer.concat(got).equals(Buffer.from(sent)), true);
  stream.close();
}

async function datagram(connection) {
  const stream = connection.create_stream(host, Number(echoPort), "udp");
  const got = new Promise((resolve) => { stream.onmessage = resolve; });
  stream.send(new TextEncoder().encode("a datagram"));
  same("UDP echo", new TextDecoder().decode(await got), "a datagram");
  stream.close();
}

for (const version of [1, 2]) {
  const connection = await opened(version);
  same(`offered version ${version}, speaks`, connection.wisp_version, version);
  await echo(connection, 5);
  await echo(connection, 20_000_000);
  await datagram(connection);
  same("refused", await reason(connection.create_stream(host, Number(refusingPort))), 0x44);
  same("not allowed", await reason(connection.create_stream("192.168.1.1", 80)), 0x48);
  same("no host", await reason(connection.create_stream("127.1", 80)), 0x41);
  connection.close();
}
