// The same room on Node's `ws`: one `send` for each socket, no database.
import http from "node:http";
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(process.argv[2])("ws");
const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const text = Buffer.concat(parts);
    for (const socket of room.clients) socket.send(text, { binary: false });
    response.writeHead(201, { "content-type": "application/json" }).end("{}");
  });
});
const room = new WebSocketServer({ server, perMessageDeflate: false });
server.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`));
