// Keeps the page as the server renders it: when its run changes, the page is fetched again and patched in place, so that
// focus, selection, scroll position, opened details and typed text stay. Without this script the pages work, and stand still.
//
// What pages may use: data-follow (on body: a run, or * for all), data-state (on body), data-keep (never patched),
// data-same (not patched while its value is the same),
// data-key and data-key-name (a key that leads there), data-item (j and k), data-copy (the text to copy), time[data-at].
import { Idiomorph } from "/static/vendor/idiomorph.js";

const REFRESH_MS = 20_000; // what is no event, such as an owner that died
const body = document.body;
const live = document.querySelector("#live");
document.documentElement.classList.add("js");

// --- patching --------------------------------------------------------------------------------------

const touched = new WeakSet(); // details that a person opened or closed
addEventListener("click", (event) => {
  const summary = event.target.closest?.("summary");
  if (summary) touched.add(summary.parentElement);
});

function isTyped(field) {
  return field.matches?.("textarea, input:not([type=hidden])") &&
    (field.value !== field.defaultValue || field.checked !== field.defaultChecked);
}

function isSame(old, next) {
  return Boolean(old.dataset?.same) && old.dataset.same === next.dataset?.same;
}

function patch(page) {
  const unsent = [...document.querySelectorAll("main textarea")].filter(isTyped).map((field) => [field, field.value]);
  const focused = document.activeElement;
  const selected = focused?.matches("textarea, input") ? [focused.selectionStart, focused.selectionEnd] : null;
  Idiomorph.morph(document.querySelector("main"), page.querySelector("main"), {
    morphStyle: "outerHTML",
    callbacks: {
      beforeNodeMorphed: (old, next) => !(old.dataset?.keep !== undefined || isTyped(old) || isSame(old, next)),
      beforeAttributeUpdated: (name, node) => !(name === "open" && touched.has(node)),
    },
  });
  if (focused?.isConnected && document.activeElement !== focused) { // a node that is moved loses it
    focused.focus({ preventScroll: true });
    if (selected?.[0] !== null) focused.setSelectionRange?.(...(selected ?? []));
  }
  for (const [field, text] of unsent) if (!field.isConnected) keepText(text);
  document.title = page.title;
  document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").getAttribute("href");
  const before = { ...body.dataset };
  body.dataset.follow = page.body.dataset.follow ?? "";
  body.dataset.state = page.body.dataset.state ?? "";
  body.dataset.waiting = page.body.dataset.waiting ?? "0";
  if (Number(body.dataset.waiting) > Number(before.waiting ?? 0)) notify();
  document.dispatchEvent(new Event("drawn"));
}

// The question is gone that this text was typed for.
function keepText(text) {
  const box = document.createElement("p");
  box.className = "unsent";
  box.setAttribute("role", "status");
  box.textContent = `This was answered meanwhile. Your text was not sent: ${text}`;
  document.querySelector("main").before(box);
}

let asking = false;
let again = false;
async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.ok) patch(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch { /* the stream tells that the server is gone, and it is asked again when it is back */ } finally {
    asking = false;
    if (again) { again = false; soon(); }
  }
}

let due = 0;
function soon() { clearTimeout(due); due = setTimeout(refresh, document.hidden ? 2000 : 120); }

// --- the stream ------------------------------------------------------------------------------------

const WORDS = { connecting: "connecting …", live: "live", lost: "not connected: trying again" };
let wasLost = false;
function hear(message) {
  if (message.state) {
    live.textContent = WORDS[message.state];
    if (message.state === "live" && wasLost) soon();
    wasLost = message.state === "lost";
  }
  const mine = body.dataset.follow;
  if (message.runs && mine && (mine === "*" || mine in message.runs)) soon();
}

function shared() {
  const { port } = new SharedWorker("/static/stream.js");
  const leave = () => { port.postMessage("leave"); live.textContent = ""; };
  port.onmessage = ({ data }) => hear(data);
  document.addEventListener("drawn", () => { if (!body.dataset.follow) leave(); }); // after its end nothing comes any more
  addEventListener("pagehide", leave);
  addEventListener("pageshow", () => { if (body.dataset.follow) port.postMessage("follow"); });
}

// Where there are no shared workers, a tab that nobody sees has no stream.
function alone() {
  let source = null;
  const toggle = () => {
    source?.close();
    source = null;
    if (document.hidden || !body.dataset.follow) return;
    source = new EventSource("/api/v1/changes");
    source.onopen = () => { hear({ state: "live" }); soon(); };
    source.onerror = () => hear({ state: "lost" });
    source.addEventListener("changes", (event) => { hear({ runs: JSON.parse(event.data).runs }); if (!body.dataset.follow) toggle(); });
  };
  document.addEventListener("visibilitychange", toggle);
  addEventListener("pagehide", () => source?.close());
  toggle();
}

if (body.dataset.follow) {
  (window.SharedWorker ? shared : alone)();
  setInterval(() => { if (body.dataset.follow && !document.hidden) refresh(); }, REFRESH_MS);
}

// --- notifications ---------------------------------------------------------------------------------

const bell = document.querySelector("#notify");
function notify() {
  if (document.hidden && window.Notification?.permission === "granted") new Notification(document.title, { tag: location.pathname });
}
if (bell && body.dataset.follow && window.Notification?.permission === "default") {
  bell.hidden = false;
  bell.addEventListener("click", async () => { await Notification.requestPermission(); bell.hidden = true; });
}

// --- keys ------------------------------------------------------------------------------------------

function step(by) {
  const items = [...document.querySelectorAll("[data-item]")].filter((item) => item.offsetParent !== null);
  const now = items.findIndex((item) => item.contains(document.activeElement));
  const next = items[Math.min(items.length - 1, Math.max(0, now + by))];
  next?.querySelector("a, summary, button")?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

// A key never decides: it leads to the button, and Enter presses it.
function lead(key) {
  const target = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key && one.offsetParent !== null);
  target?.closest("details")?.setAttribute("open", "");
  target?.focus();
  target?.scrollIntoView({ block: "center" });
  return Boolean(target);
}

const KEYS = { j: ["next", () => step(1)], k: ["previous", () => step(-1)], "?": ["these keys", help] };
function help() {
  let box = document.querySelector("#keys");
  if (!box) {
    box = document.createElement("dialog");
    box.id = "keys";
    body.append(box);
  }
  const named = [...document.querySelectorAll("[data-key]")].map((one) => [one.dataset.key, one.dataset.keyName ?? one.textContent.trim()]);
  const all = new Map([...Object.entries(KEYS).map(([key, [name]]) => [key, name]), ...named]);
  const list = document.createElement("dl");
  for (const [key, name] of all) {
    const row = document.createElement("div");
    row.append(Object.assign(document.createElement("dt"), { textContent: key }), Object.assign(document.createElement("dd"), { textContent: name }));
    list.append(row);
  }
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  close.addEventListener("click", () => box.close());
  box.replaceChildren(Object.assign(document.createElement("h2"), { textContent: "Keys" }), list, close);
  box.showModal();
}

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const known = KEYS[event.key];
  if (known) { event.preventDefault(); known[1](); } else if (lead(event.key)) event.preventDefault();
});

// --- copying and times -----------------------------------------------------------------------------

addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const words = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = words; }, 1500);
});

const STEPS = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
function ago(at) {
  const passed = Date.now() / 1000 - at;
  if (passed < 5) return "now";
  const [size, unit] = STEPS.find(([size]) => passed >= size);
  return `${Math.floor(passed / size)} ${unit} ago`;
}
function tick() { for (const time of document.querySelectorAll("time[data-at]")) time.textContent = ago(Number(time.dataset.at)); }
setInterval(tick, 5_000);
