// Parts of a page with the attribute data-live are replaced when the server tells that something changed, and new
// lines of a log are added. Text of others is set as text, never as markup; without this file pages work too.
"use strict";

const MOST_LINES = 5000;
const connection = document.getElementById("connection");
const say = (text) => {
  if (connection && connection.textContent !== text) connection.textContent = text;
};

let busy = false;
let again = false;

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
    say(answer.ok ? "Live" : "This page cannot be read any more: reload it");
  } catch {
    say("No connection to kubectl strake ui");
  }
  busy = false;
  if (again) {
    again = false;
    setTimeout(refresh, 1000);
  }
}

function replaceParts(fresh) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.getElementById(old.id);
    if (!part || part.innerHTML === old.innerHTML) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const same = focused && (focused.id ? `#${CSS.escape(focused.id)}` : selector(focused));
    old.replaceChildren(...part.childNodes);
    if (same) old.querySelector(same)?.focus({ preventScroll: true });
  }
}

function selector(element) {
  const name = element.hasAttribute("href") ? "href" : "aria-label";
  return `[${name}="${CSS.escape(element.getAttribute(name) ?? "")}"]`;
}

function watch(path) {
  const events = new EventSource(path);
  events.addEventListener("open", () => {
    say("Live");
    refresh();
  });
  events.addEventListener("error", () => say("No connection to kubectl strake ui"));
  events.addEventListener("change", refresh);
}

function shown([style, text]) {
  if (!style) return text;
  const part = document.createElement("span");
  part.className = style;
  part.textContent = text;
  return part;
}

function follow(path) {
  const log = document.getElementById("log");
  const events = new EventSource(path);
  events.addEventListener("lines", (event) => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    for (const [number, pieces] of JSON.parse(event.data)) {
      const line = document.createElement("div");
      const label = document.createElement("span");
      label.className = "line";
      label.textContent = number;
      line.append(label, " ", ...pieces.map(shown));
      log.append(line);
    }
    while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
    document.getElementById("log-sum").textContent = `${log.childElementCount} lines.`;
    if (atEnd) log.scrollTop = log.scrollHeight;
  });
  events.addEventListener("end", (event) => {
    events.close();
    document.getElementById("log-state").textContent = JSON.parse(event.data) || "The run has ended.";
  });
}

if (document.body.dataset.events) watch(document.body.dataset.events);
if (document.body.dataset.log) follow(document.body.dataset.log);
