// The parts of the page, and what leads from one to another.

import { Detail } from "./detail.js";
import { Faults, clear } from "./faults.js";
import { Kinds } from "./kinds.js";
import { List } from "./list.js";
import { Rate } from "./rate.js";
import { copy, curlOf, jsonOf, save } from "./share.js";
import { Store } from "./store.js";
import { listen } from "./stream.js";
import { zoneAt } from "./words.js";

const $ = (id) => document.getElementById(id);
const MOST_SUGGESTIONS = 100;

const store = new Store();
$("arrived").textContent = `Arrived ${zoneAt(Date.now())}`;
const list = new List(store, $("scroller"), $("canvas"), open);
const rate = new Rate($("spark"), $("rate"));
const detail = new Detail({
  panel: $("detail"), title: $("detail-title"), meta: $("detail-meta"), words: $("detail-words"),
  body: $("detail-body"), onlyEvent: $("only-event"), onlyUser: $("only-user"),
});
const kinds = new Kinds($("kinds"), (chosen, findings) => filter({ kinds: chosen, findings }));
const faults = new Faults(
  {
    form: $("fault-form"), status: $("fault-status"), share: $("fault-share"), shares: $("fault-shares"),
    latency: $("fault-latency"), limit: $("fault-limit"), disabled: $("fault-disabled"),
    heal: $("fault-heal"), words: $("fault-words"),
  },
  $("faults-open"),
);
const fields = { search: $("search"), event: $("by-event"), user: $("by-user") };
const suggested = new Set();
let connection = "connecting";
let isDrawing = false;

// Drawing: at most once a frame, however much has come.

function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    list.draw();
    kinds.show(store.counts, store.findings);
    turn();
    const state = store.paused ? "paused" : connection;
    const words = store.paused ? `paused, ${store.fresh.toLocaleString()} new` : connection;
    write($("status"), words);
    $("status").dataset.is = state;
    const held = store.rows.length;
    const parts = [`${store.view.length.toLocaleString()} shown`];
    if (store.total > held || store.isFiltered) parts.push(`${held.toLocaleString()} held`);
    if (store.total > held) parts.push(`${store.total.toLocaleString()} came`);
    if (store.skipped) parts.push(`${store.skipped.toLocaleString()} too fast for this page`);
    write($("shown"), parts.join(" · "));
    $("empty").hidden = store.view.length > 0;
    $("empty-start").hidden = held > 0;
    $("empty-filter").hidden = held === 0;
    document.title = store.total ? `(${store.total.toLocaleString()}) rudder-logging` : "rudder-logging";
  });
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function toast(words) {
  $("toast").textContent = words;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => ($("toast").hidden = true), 2_500);
}

// What comes from the server.

listen({
  onBatch(batch) {
    const isNew = batch.session !== store.session || batch.cleared !== store.cleared;
    list.grow(store.add(batch));
    if (isNew) {
      list.selected = null; // its number may soon be another event's
      close();
    }
    rate.note(store.total, isNew);
    suggest(batch.rows);
    draw();
  },
  onState(state) {
    faults.show(state);
    const key = state.key ?? "...";
    write($("empty-env"), `RUDDER_DATA_PLANE_URL=${location.origin}\nRUDDER_WRITE_KEY=${key}`);
    const target = `--data-plane-url ${location.origin} \\\n  --write-key ${key}`;
    write($("empty-send"), `rudder-logging send track --user-id 42 \\\n  --event "Article Read" \\\n  ${target}`);
  },
  onStatus(status) {
    connection = status;
    if (status === "live") faults.restart();
    draw();
  },
});

function suggest(rows) {
  for (const { event, kind } of rows) {
    if (kind === "refused" || suggested.has(event) || suggested.size >= MOST_SUGGESTIONS) continue;
    suggested.add(event);
    const option = document.createElement("option");
    option.value = event;
    $("known-events").append(option);
  }
}

// What the reader does.

function open(number) {
  const place = store.placeOf(number);
  if (place < 0) return;
  list.selected = number;
  detail.open(store.at(place));
  turn();
  list.reveal(place);
}

// The buttons that lead on from an open event.
function turn() {
  if (!detail.row) return;
  const place = store.placeOf(detail.row.number);
  const count = store.view.length;
  $("detail-newer").disabled = !count || place === 0;
  $("detail-older").disabled = !count || place === count - 1;
  write($("detail-place"), place < 0 ? "" : `${(place + 1).toLocaleString()} of ${count.toLocaleString()}`);
}

function close() {
  if ($("detail").contains(document.activeElement)) $("scroller").focus({ preventScroll: true });
  detail.close();
  list.draw();
}

function move(by) {
  const number = list.move(by);
  if (number !== null && detail.row) open(number);
}

function filter(change) {
  store.show(change);
  $("scroller").scrollTop = 0;
  draw();
}

function only(name, text) {
  const quoted = `"${text}"`;
  fields[name].value = quoted;
  filter({ [name]: quoted }); // a field would take a name's line breaks away
}

function pause() {
  store.pause(!store.paused);
  $("pause").ariaPressed = String(store.paused);
  $("pause").textContent = store.paused ? "Go on" : "Pause";
  draw();
}

function toggleFaults() {
  $("faults").hidden = !$("faults").hidden;
  $("faults-open").ariaExpanded = String(!$("faults").hidden);
  if (!$("faults").hidden) $("fault-status").focus();
}

async function copied(text, what) {
  await copy(text);
  toast(`${what} copied`);
}

const actions = {
  pause,
  clear: () => clear().catch((error) => toast(error.message)),
  export: () => toast(`${save(store.view).toLocaleString()} events saved`),
  "faults-open": toggleFaults,
  theme: () => toast(`Colours: ${globalThis.nextTheme()}`),
  "help-open": () => $("help").showModal(),
  "detail-newer": () => move(-1),
  "detail-older": () => move(1),
  "detail-close": close,
  "copy-env": () => copied($("empty-env").textContent, "Settings"),
  "copy-send": () => copied($("empty-send").textContent, "Command"),
  "copy-json": () => detail.row && copied(jsonOf(detail.row), "JSON"),
  "copy-curl": () => detail.row && copied(curlOf(detail.row), "Command"),
  "only-event": () => only("event", detail.row.event),
  "only-user": () => only("user", detail.row.user),
  reset() {
    Object.values(fields).forEach((field) => (field.value = ""));
    kinds.reset();
    filter({ search: "", event: "", user: "", kinds: new Set(), findings: false });
  },
};
for (const [id, act] of Object.entries(actions)) $(id).addEventListener("click", act);
for (const [name, field] of Object.entries(fields)) {
  field.addEventListener("input", () => filter({ [name]: field.value.trim() }));
}

const keys = {
  "/": () => fields.search.focus(),
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  Home: () => ($("scroller").scrollTop = 0),
  Enter: () => list.selected !== null && open(list.selected),
  Escape: close,
  c: actions["copy-curl"],
  y: actions["copy-json"],
  p: pause,
  e: actions.export,
  f: toggleFaults,
  t: actions.theme,
  X: actions.clear,
  "?": actions["help-open"],
};
addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (target.matches("input, select, textarea")) {
    if (key === "Escape") target.blur();
    return;
  }
  if (target.matches("button, summary") && key === "Enter") return;
  if (keys[key]) {
    event.preventDefault();
    keys[key]();
  }
});
