// One event, whole; or a refused request with the event it was refused for.

import { layOut } from "./json.js";
import { timesOf, verdictOf } from "./list.js";
import { visible } from "./unseen.js";
import { counted } from "./words.js";

const MOST_OTHERS = 200; // events of a refused batch that are listed beside the offending one

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = visible(text);
  return made;
}

function block(json) {
  const pre = element("pre", "json");
  pre.append(layOut(json));
  return pre;
}

export class Detail {
  row = null;
  #parts;

  constructor(parts) {
    this.#parts = parts;
  }

  close() {
    this.row = null;
    this.#parts.panel.hidden = true;
  }

  open(row) {
    const { panel, title, meta, words, body, onlyEvent, onlyUser } = this.#parts;
    const isOther = this.row !== row;
    this.row = row;
    panel.hidden = false;
    if (!isOther) return;
    panel.dataset.kind = row.kind;
    panel.dataset.verdict = row.verdict;
    const name = visible(row.event || row.type || "no type");
    title.textContent = row.kind === "refused" ? `Refused: ${verdictOf(row)}` : name;
    const facts = [
      row.kind === "refused" ? null : row.type || "no type",
      ...timesOf(row),
      `${row.method ?? "POST"} ${row.path}`,
      row.count > 1 ? `${counted(row.count, "event")} in the request` : null,
    ];
    meta.textContent = visible(facts.filter(Boolean).join(" · "));
    words.replaceChildren(...row.words.map((sentence) => element("li", "", sentence)));
    onlyEvent.hidden = !row.event;
    onlyUser.hidden = !row.user;
    body.replaceChildren(...(row.kind === "refused" ? refusal(row) : [block(row.json)]));
    body.scrollTop = 0;
  }
}

function* refusal(row) {
  if (row.body) yield element("pre", "json raw", row.body);
  const culprit = row.events.find(([index]) => index === row.culprit);
  if (culprit) {
    const figure = element("figure", "culprit");
    const place = row.count > 1 ? `event ${culprit[0] + 1} of ${row.count.toLocaleString()}` : "the event";
    figure.append(element("figcaption", "", `${place}: the offending one`), block(culprit[1]));
    yield figure;
  }
  const others = row.events.filter((event) => event !== culprit);
  if (others.length) yield element("h3", "", culprit ? "Refused with it" : "The events");
  for (const [index, json] of others.slice(0, MOST_OTHERS)) {
    const details = element("details");
    details.open = others.length === 1;
    details.append(element("summary", "", `${index + 1}  ${json.slice(0, 160)}`));
    const fill = () => details.open && details.childElementCount === 1 && details.append(block(json));
    details.addEventListener("toggle", fill);
    fill();
    yield details;
  }
  const more = others.length - MOST_OTHERS;
  if (more > 0) yield element("p", "note", `… and ${more.toLocaleString()} more`);
}
