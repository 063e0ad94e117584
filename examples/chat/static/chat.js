// The page of the chat: one connection, opened again whenever it ends.

const SHORTEST = 250; // milliseconds before connecting again, at least
const FIRST = 2_000; // the first pause, at most
const LONGEST = 30_000; // any pause, at most
const STABLE = 10_000; // a connection that lasted this long starts the pauses anew
const KEPT = 500; // lines on the page

const CODES = {
  1000: "the connection was closed",
  1001: "the server moved this connection away",
  1006: "the connection was lost",
  1008: "the server refused what was sent",
  1011: "the server had an error",
  1012: "the server restarts",
  1013: "the server is full",
};

const element = (id) => document.getElementById(id);
const log = element("log");

let socket = null;
let nick = sessionStorage.getItem("nick");
let failures = 0;

function show(...parts) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  item.append(...parts);
  log.append(item);
  while (log.childElementCount > KEPT) {
    log.firstElementChild.remove();
  }
  if (atEnd) {
    log.scrollTop = log.scrollHeight;
  }
  return item;
}

function showEvent(text, kind = "") {
  show(text).className = `event ${kind}`;
}

function showLine(event) {
  const name = document.createElement("b");
  const time = document.createElement("time");
  const at = new Date(event.at);
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  name.append(event.nick, time);
  show(name, event.text).className = event.nick === nick ? "line mine" : "line";
}

function showState(state, text) {
  element("state").dataset.state = state;
  element("state-text").textContent = text;
  element("send").disabled = state !== "on";
}

function receive(event) {
  switch (event.type) {
    case "welcome": {
      nick = event.nick;
      const release = event.release ? `, release ${event.release.slice(0, 12)}` : "";
      element("served").textContent = `served by ${event.host}, process ${event.process}${release}`;
      showState("on", "connected");
      break;
    }
    case "line":
      showLine(event);
      break;
    case "joined":
      showEvent(event.nick === nick ? `you joined as ${nick}` : `${event.nick} joined`);
      break;
    case "left":
      showEvent(`${event.nick} left`);
      break;
  }
}

function connect() {
  const url = new URL("ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  showState("waiting", "connecting");
  let opened = 0;
  socket = new WebSocket(url);
  socket.onopen = () => {
    opened = performance.now();
    socket.send(JSON.stringify({ nick }));
  };
  socket.onmessage = (message) => receive(JSON.parse(message.data));
  socket.onclose = ({ code, reason }) => {
    const lasted = opened ? performance.now() - opened : 0;
    ended(lasted, code, reason);
  };
}

function ended(lasted, code, reason) {
  const what = `${CODES[code] ?? "the connection ended"} (close code ${code})`;
  if (code === 1008) {
    // Sending the same again would end the same way.
    showState("off", "not connected");
    showEvent(`${what}: ${reason}`, "warn");
    return;
  }
  failures = lasted > STABLE ? 0 : failures + 1;
  // Many clients lose their connection together. The random part keeps them from coming back
  // together; the growing part leaves a server that is in trouble alone.
  const most = Math.min(LONGEST, FIRST * 2 ** failures);
  const pause = SHORTEST + Math.random() * (most - SHORTEST);
  const seconds = (pause / 1000).toFixed(1);
  showState("waiting", `connecting again in ${seconds} s`);
  if (lasted) {
    showEvent(`${what}, connecting again in ${seconds} s`, "warn");
  }
  setTimeout(connect, pause);
}

function join() {
  sessionStorage.setItem("nick", nick);
  element("join").hidden = true;
  element("say").hidden = false;
  element("text").focus();
  connect();
}

element("join").addEventListener("submit", (event) => {
  event.preventDefault();
  nick = element("nick").value.trim();
  if (nick) {
    join();
  }
});

element("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = element("text");
  const text = input.value.trim();
  // What is written while there is no connection stays in its field.
  if (text && socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ text }));
    input.value = "";
  }
});

if (nick) {
  join();
}
