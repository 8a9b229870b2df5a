// The demo page: choose a stock library, a transport and a channel; publish and watch.

import { TRANSPORTS, adapterFor } from "./adapters.js";
import { printed } from "./json.js";
import { people, tokenOf } from "./people.js";

const LONGEST_LOG = 500;

const $ = (id) => document.getElementById(id);
const subscriptions = new Map();
let adapter = null;

// Until the libraries are there nothing can be chosen: a choice made earlier would be lost.
function offerLibraries() {
  const libraries = Object.keys(TRANSPORTS);
  $("library").replaceChildren(...libraries.map((name) => new Option(name)));
  if (!libraries.length) {
    showState("broken", "the client libraries are not installed: npm ci in clients/web");
    return;
  }
  offerTransports();
  $("connect").disabled = false;
}

async function offerPeople() {
  const known = await people();
  $("person").append(...known.map((user) => new Option(`${user.user_name} · ${user.user_role}`, user.user_id)));
  $("people").hidden = known.length === 0;
}

function offerTransports() {
  $("transport").replaceChildren(...TRANSPORTS[$("library").value].map((name) => new Option(name)));
}

function showState(state, detail = "") {
  document.body.dataset.state = state;
  $("state").textContent = detail ? `${state}: ${detail}` : state;
  $("connect").textContent = adapter ? "Disconnect" : "Connect";
  $("connect").classList.toggle("primary", adapter === null);
  for (const id of ["library", "transport", "person", "token"]) $(id).disabled = adapter !== null;
  for (const form of ["subscription", "publication"]) $(form).elements[0].disabled = adapter === null;
}

function append(list, kind, tag, text) {
  const item = document.createElement("li");
  item.className = kind;
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  const label = document.createElement("span");
  label.className = "tag";
  label.textContent = tag;
  const body = document.createElement("pre");
  body.textContent = text;
  item.append(label, time, body);
  list.prepend(item);
  while (list.children.length > LONGEST_LOG) list.lastChild.remove();
}

function showWire(direction, message) {
  const kind = message.successful === false ? `${direction} refused` : direction;
  const arrow = direction === "sent" ? "→" : "←";
  append($("wire"), kind, `${arrow} ${message.channel ?? ""}`, printed(message));
}

function showEvent(message) {
  append($("events"), "event", message.channel, printed(message.data));
  countEvents();
}

function countEvents() {
  $("event-count").textContent = $("events").children.length;
}

function showProblem(text) {
  $("problem").textContent = text;
}

function subscribe(pattern) {
  if (subscriptions.has(pattern)) return;
  const forget = () => {
    subscriptions.get(pattern)?.item.remove();
    subscriptions.delete(pattern);
  };
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `${pattern} ×`;
  button.title = `Unsubscribe from ${pattern}`;
  item.append(button);
  $("subscriptions").append(item);
  const unsubscribe = adapter.subscribe(pattern, showEvent, (error) => {
    forget();
    showProblem(`${pattern}: ${error}`);
  });
  button.onclick = () => {
    unsubscribe();
    forget();
  };
  subscriptions.set(pattern, { item });
}

$("library").addEventListener("change", offerTransports);
$("person").addEventListener("change", async () => {
  const userId = $("person").value;
  $("token").value = userId && (await tokenOf(userId));
});

for (const button of document.querySelectorAll("[data-clears]")) {
  button.addEventListener("click", () => {
    $(button.dataset.clears).replaceChildren();
    countEvents();
  });
}

$("connection").addEventListener("submit", (event) => {
  event.preventDefault();
  if (adapter) {
    const leaving = adapter;
    adapter = null;
    subscriptions.clear();
    $("subscriptions").replaceChildren();
    leaving.disconnect();
    return;
  }
  adapter = adapterFor($("library").value, {
    url: new URL(document.body.dataset.mount, location.href).href,
    transport: $("transport").value,
    token: $("token").value.trim(),
    onState: showState,
    onWire: showWire,
  });
  showState("connecting");
  adapter.connect();
});

$("subscription").addEventListener("submit", (event) => {
  event.preventDefault();
  showProblem("");
  subscribe($("pattern").value.trim());
});

$("publication").addEventListener("submit", (event) => {
  event.preventDefault();
  showProblem("");
  let data;
  try {
    data = JSON.parse($("data").value);
  } catch (error) {
    showProblem(`Data is not JSON: ${error.message}`);
    return;
  }
  adapter.publish($("channel").value.trim(), data, showProblem);
});

showState("disconnected");
offerLibraries();
offerPeople();
