// The list of events: only as many elements as the window has room for, whatever the list holds.

import { visible } from "./unseen.js";
import { arrivedAt, counted, happenedAt, zoneAt } from "./words.js";

const SPARE = 6; // rows beyond the window's edges
const NARROW = 620; // pixels, up to which a row has two lines; list.css has the same
const CELLS = ["time", "type", "event", "user", "verdict"];
const VERDICTS = { ok: "stored", warn: "warning", plan: "off plan", lost: "lost later" };
const SELF_TOLD = new Set(["warn", "plan"]);

// Of its arrival, and of its own.
export function timesOf(row) {
  const happened = happenedAt(row);
  return [`arrived ${arrivedAt(row)} ${zoneAt(row.time)}`, ...(happened ? [`happened ${happened}`] : [])];
}

export function refusedOf(row) {
  return row.count ? `refused request with ${counted(row.count, "event")}` : "refused request";
}

export function verdictOf(row) {
  return row.kind === "refused" ? `${row.status ?? "cut"}` : VERDICTS[row.verdict];
}

export class List {
  selected = null; // a row's number
  #store;
  #scroller;
  #canvas;
  #pool = [];
  #height = -1;
  #rowHeight = 34;

  constructor(store, scroller, canvas, onOpen) {
    this.#store = store;
    this.#scroller = scroller;
    this.#canvas = canvas;
    scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.#fit()).observe(scroller.parentElement);
    canvas.addEventListener("click", (event) => {
      const element = event.target.closest(".row");
      if (element) onOpen(Number(element.dataset.number));
    });
  }

  // Rows of another height, with the same one on top.
  #fit() {
    const height = this.#scroller.parentElement.clientWidth <= NARROW ? 58 : 34;
    const top = (this.#scroller.scrollTop / this.#rowHeight) * height;
    if (height !== this.#rowHeight) {
      this.#rowHeight = height;
      this.#stretch();
      this.#scroller.scrollTop = top;
    }
    this.draw();
  }

  // Rows were added on top: a reader who is further down keeps what he reads.
  grow(count) {
    if (count && this.#scroller.scrollTop > 0) {
      this.#stretch();
      this.#scroller.scrollTop += count * this.#rowHeight;
    }
  }

  #stretch() {
    const height = this.#store.view.length * this.#rowHeight;
    if (height !== this.#height) {
      this.#height = height;
      this.#canvas.style.height = `${height}px`;
    }
  }

  draw() {
    const rowHeight = this.#rowHeight;
    const count = this.#store.view.length;
    this.#stretch();
    const from = Math.max(0, Math.floor(this.#scroller.scrollTop / rowHeight) - SPARE);
    const room = Math.ceil(this.#scroller.clientHeight / rowHeight) + 2 * SPARE;
    const to = Math.min(count, from + room);
    while (this.#pool.length < to - from) this.#pool.push(this.#element());
    this.#pool.forEach((element, index) => {
      const place = from + index;
      element.root.hidden = place >= to;
      if (place < to) this.#fill(element, this.#store.at(place), place, place * rowHeight, count);
    });
    const active = this.#pool.find(({ root, row }) => !root.hidden && row.number === this.selected);
    if (active) this.#scroller.setAttribute("aria-activedescendant", active.root.id);
    else this.#scroller.removeAttribute("aria-activedescendant");
  }

  #element() {
    const root = document.createElement("div");
    root.className = "row";
    root.id = `row-${this.#pool.length}`;
    root.setAttribute("role", "option");
    const cells = CELLS.map((name) => {
      const cell = document.createElement("span");
      cell.className = name;
      root.append(cell);
      return cell;
    });
    this.#canvas.append(root);
    return { root, cells, row: null, top: -1 };
  }

  #fill(element, row, place, top, count) {
    const { root, cells } = element;
    if (element.top !== top) {
      element.top = top;
      root.style.transform = `translateY(${top}px)`;
    }
    const isSelected = row.number === this.selected;
    if (root.ariaSelected !== String(isSelected)) root.ariaSelected = String(isSelected);
    root.setAttribute("aria-posinset", place + 1);
    root.setAttribute("aria-setsize", count);
    if (element.row === row) return; // by number, another session's would be taken for it
    element.row = row;
    root.dataset.number = row.number;
    root.dataset.kind = row.kind;
    root.dataset.verdict = row.verdict;
    const verdict = verdictOf(row);
    const [first = verdict] = row.words; // a warning's words say by whom
    const isPlain = SELF_TOLD.has(row.verdict) || first.startsWith(verdict);
    const words = isPlain ? first : `${verdict} · ${first}`;
    const rest = row.words.length - 1;
    const more = rest > 0 ? ` (+${rest.toLocaleString()} more)` : "";
    const isRefused = row.kind === "refused";
    const type = isRefused ? `refused ${row.count || ""}` : row.type || "no type";
    const event = row.event || (isRefused && !row.count ? `${row.method} ${row.path}` : "");
    [arrivedAt(row), type, event, row.user, words + more].forEach((text, index) => {
      cells[index].textContent = visible(text);
    });
    const times = timesOf(row);
    const what = isRefused ? refusedOf(row) : type;
    const findings = rest > 0 ? [words, `and ${counted(rest, "more finding")}`] : [words];
    root.ariaLabel = visible([...times, what, event, row.user, ...findings].filter(Boolean).join(", "));
    [times.join("\n"), what, event, row.user, row.words.join("\n") || words].forEach((text, index) => {
      cells[index].title = visible(text);
    });
  }

  // Select the row so many places further down; returns its number.
  move(by) {
    const count = this.#store.view.length;
    if (!count) return null;
    const place = this.selected === null ? -1 : this.#store.placeOf(this.selected);
    const next = place < 0 ? this.#firstVisible() : Math.min(count - 1, Math.max(0, place + by));
    this.selected = this.#store.at(next).number;
    this.reveal(next);
    return this.selected;
  }

  #firstVisible() {
    return Math.ceil(this.#scroller.scrollTop / this.#rowHeight);
  }

  reveal(place) {
    const top = place * this.#rowHeight;
    const bottom = top + this.#rowHeight;
    const { scrollTop, clientHeight } = this.#scroller;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.#scroller.scrollTop = bottom - clientHeight;
    this.draw();
  }
}
