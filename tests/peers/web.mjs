// A web server of the test's own, for clients that speak HTTP: GET gives so many octets as the path says, POST gives
// back what was sent. And what all of these programs print.

import http from "node:http";

export function pattern(octets) {
  return Buffer.from(new Uint8Array(octets).map((_, at) => (at ^ (at >> 8) ^ (at >> 16)) & 255));
}

export function same(what, got, expected) {
  if (got !== expected) throw new Error(`${what}: ${got} instead of ${expected}`);
  console.log(`${what}: ${got}`);
}

export function serve() {
  const server = http.createServer(async (request, response) => {
    if (request.method === "GET") return response.end(pattern(Number(request.url.slice(1))));
    const parts = [];
    for await (const part of request) parts.push(part);
    response.end(Buffer.concat(parts));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

// The same three requests by anything that is like fetch; then several at a time.
export async function requests(fetch, server) {
  const get = async (octets) => Buffer.from(await (await fetch(`${server}/${octets}`, {})).arrayBuffer());
  same("GET of 5 octets", (await get(5)).equals(pattern(5)), true);
  same("GET of 5,000,000 octets", (await get(5_000_000)).equals(pattern(5_000_000)), true);
  const body = pattern(400_000);
  const answer = await fetch(`${server}/`, { method: "POST", body });
  same("POST of 400,000 octets", Buffer.from(await answer.arrayBuffer()).equals(body), true);
  const sizes = [1, 10, 100, 1_000, 10_000, 100_000];
  const all = await Promise.all(sizes.map(get));
  same("6 at a time", all.every((got, at) => got.equals(pattern(sizes[at]))), true);
}
