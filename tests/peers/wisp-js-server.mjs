// The reference relay in JavaScript, for our client: listens on a free port of 127.0.0.1 and prints its number.

import http from "node:http";
import { server as wisp, logging } from "@mercuryworkshop/wisp-js/server";

logging.set_level(logging.NONE);
wisp.options.allow_loopback_ips = true;
wisp.options.allow_private_ips = true;

const server = http.createServer();
server.on("upgrade", (request, socket, head) => wisp.routeRequest(request, socket, head));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
