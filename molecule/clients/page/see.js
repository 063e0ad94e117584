// What a browser's WebSocket sees. A page can't send fragments or pings, nor refuse compression.
"use strict";

const TEXT = "Grüße, 你好, 👋 — ".repeat(500);

// Calls `start(socket)` when the socket is open, and resolves with what `events` make of what comes.
function see(url, start, events, subprotocols = []) {
  const socket = new WebSocket(url, subprotocols);
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    for (const [name, happen] of Object.entries(events)) {
      socket.addEventListener(name, (event) => resolve(happen(event)));
    }
    socket.addEventListener("close", (event) => reject(new Error(`closed with ${event.code}`)));
    socket.addEventListener("open", () => {
      const value = start(socket);
      if (value !== undefined) resolve(value);
    });
  }).finally(() => socket.close());
}

function noise(size) {
  const bytes = new Uint8Array(size);
  for (let start = 0; start < size; start += 65536) {
    crypto.getRandomValues(bytes.subarray(start, start + 65536));
  }
  return bytes;
}

function same(data, bytes) {
  const found = new Uint8Array(data);
  return found.length === bytes.length && found.every((byte, place) => byte === bytes[place]);
}

async function seeAll(asked) {
  const query = asked.compression ? "" : "?compression=off";
  const url = (path) => `wss://${asked.host}${path}${query}`;
  const echoed = (message, path = "/echo") =>
    see(url(path), (socket) => socket.send(message), {
      message: ({ data }) => (typeof message === "string" ? data === message : same(data, message)),
    });
  const idle = () =>
    see(
      url("/echo"),
      (socket) => void setTimeout(() => socket.send("still here"), asked.idle * 1000),
      { message: ({ data }) => data === "still here" },
    );
  const tries = {
    extension: () => see(url("/echo"), (socket) => socket.extensions || null, {}),
    subprotocol: () => see(url("/echo"), (socket) => socket.protocol, {}, ["v1.echo", "v2.echo"]),
    text: () => echoed(TEXT),
    binary: () => echoed(noise(100000)),
    empty: () => echoed(""),
    "16 MiB of text": () => echoed("0123456789abcdef".repeat(asked.big / 16)),
    "16 MiB of noise": () => echoed(noise(asked.big)),
    "too big": () =>
      see(url("/echo"), (socket) => socket.send("x".repeat(asked.too_big)), {
        close: ({ code }) => code,
      }),
    "fragments received": () => echoed(TEXT, "/fragments"),
    "closed by server": () =>
      see(url("/close/4001"), () => undefined, { close: ({ code, reason }) => [code, reason] }),
    "closed by client": () =>
      see(url("/echo"), (socket) => socket.close(4002, "bye"), { close: ({ code }) => code }),
    refused: () => see(url("/busy"), () => "it is let in", { close: ({ code }) => code }),
  };
  const seen = {};
  for (const [name, attempt] of Object.entries(asked.idle ? { idle } : tries)) {
    seen[name] = await attempt().catch(String);
  }
  return seen;
}
