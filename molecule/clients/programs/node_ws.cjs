// ws for node: what it sees.
"use strict";

const { randomBytes } = require("node:crypto");
const { readFileSync } = require("node:fs");
// Where Debian has it: NODE_PATH=/usr/share/nodejs
const WebSocket = require("ws");

const asked = JSON.parse(process.argv[2]);
// Cut anywhere, also within a character.
const TEXT = "Grüße, 你好, 👋 — ".repeat(500);
const PIECES = [];
for (let start = 0; start < Buffer.byteLength(TEXT); start += 999) {
  PIECES.push(Buffer.from(TEXT).subarray(start, start + 999));
}

function connect(path, { subprotocols = [], ca = readFileSync(asked.ca_file) } = {}) {
  return new WebSocket(`wss://${asked.host}${path}`, subprotocols, {
    ca,
    lookup: (_name, options, found) =>
      options.all
        ? found(null, [{ address: asked.address, family: 4 }])
        : found(null, asked.address, 4),
    perMessageDeflate: asked.compression,
  });
}

// Calls `start(socket)` when the socket is open, and resolves with what `events` make of what comes.
function see(path, start, events, options) {
  const socket = connect(path, options);
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`closed with ${code}`)));
    for (const [name, happen] of Object.entries(events)) {
      socket.prependListener(name, (...values) => resolve(happen(...values)));
    }
    socket.on("open", () => Promise.resolve(start(socket)).then(resolve_if_any, reject));
    function resolve_if_any(value) {
      if (value !== undefined) resolve(value);
    }
  }).finally(() => socket.terminate());
}

const echoed = (message, path = "/echo") =>
  see(path, (socket) => socket.send(message), {
    message: (data, binary) =>
      binary === (typeof message !== "string") && data.equals(Buffer.from(message)),
  });

const tries = {
  extension: () => see("/echo", (socket) => socket.extensions || null, {}),
  subprotocol: () =>
    see("/echo", (socket) => socket.protocol, {}, { subprotocols: ["v1.echo", "v2.echo"] }),
  text: () => echoed(TEXT),
  binary: () => echoed(randomBytes(100000)),
  empty: () => echoed(""),
  "16 MiB of text": () => echoed("0123456789abcdef".repeat(asked.big / 16)),
  "16 MiB of noise": () => echoed(randomBytes(asked.big)),
  "too big": () =>
    see("/echo", (socket) => socket.send("x".repeat(asked.too_big)), { close: (code) => code }),
  "fragments sent": () =>
    see(
      "/echo",
      (socket) =>
        PIECES.forEach((piece, number) => {
          socket.send(piece, { binary: false, fin: number === PIECES.length - 1 });
          socket.ping();
        }),
      { message: (data, binary) => !binary && data.toString() === TEXT },
    ),
  "fragments received": () => echoed(TEXT, "/fragments"),
  ping: () =>
    see("/echo", (socket) => socket.ping("are you there?"), {
      pong: (data) => data.toString() === "are you there?",
    }),
  "closed by server": () =>
    see("/close/4001", () => undefined, { close: (code, reason) => [code, reason.toString()] }),
  "closed by client": () =>
    see("/echo", (socket) => socket.close(4002, "bye"), { close: (code) => code }),
  refused: () =>
    see("/busy", () => "it is let in", {
      "unexpected-response": (request, response) => {
        request.destroy();
        return [response.statusCode, /^\d+$/.test(response.headers["retry-after"])];
      },
    }),
  stranger: () =>
    see("/echo", () => false, {}, { ca: [] }).catch(
      (error) => error.code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE" || error.code,
    ),
};

const idle = () =>
  see(
    "/echo",
    (socket) => setTimeout(() => socket.send("still here"), asked.idle * 1000) && undefined,
    { message: (data) => data.toString() === "still here" },
  );

async function main() {
  const seen = {};
  for (const [name, attempt] of Object.entries(asked.idle ? { idle } : tries)) {
    seen[name] = await attempt().catch(String);
  }
  const { version } = require("ws/package.json");
  process.stdout.write(JSON.stringify({ version: `ws ${version}, node ${process.version}`, seen }));
}

main();
