// The last events, as many as the server holds, and which of them are shown.

// All of a row that can be searched.
function textOf(row) {
  if (row.json !== undefined) return row.json;
  return [...row.words, ...row.events.map(([, json]) => json), row.body].join("\n");
}

function sizeOf(row) {
  return textOf(row).length + 200;
}

export class Store {
  rows = []; // oldest first
  view = []; // those of them that are shown
  session = null;
  cleared = 0;
  counts = {};
  total = 0;
  findings = 0; // rows that are not just well
  skipped = 0; // events that came too fast for this page
  fresh = 0; // events that came while it was paused
  #size = 0;
  #frozen = null; // the rows to show while it is paused
  #filter = { search: "", event: "", user: "", kinds: new Set(), findings: false };
  #matches = () => true;

  get paused() {
    return this.#frozen !== null;
  }

  get filter() {
    return this.#filter;
  }

  get isFiltered() {
    const { search, event, user, kinds, findings } = this.#filter;
    return Boolean(search || event || user || kinds.size || findings);
  }

  // Returns how many rows were added to the view.
  add(batch) {
    if (batch.session !== this.session || batch.cleared !== this.cleared) {
      this.#forget(batch);
    } else {
      this.skipped += batch.skipped;
    }
    this.counts = batch.counts;
    this.total = Object.values(batch.counts).reduce((sum, count) => sum + count, 0);
    batch.rows.forEach((row, index) => {
      row.number = batch.first + index;
      this.#size += sizeOf(row);
      this.findings += row.verdict !== "ok";
      this.rows.push(row);
    });
    this.#trim(batch.most);
    if (this.paused) {
      this.fresh += batch.rows.length;
      return 0;
    }
    const shown = batch.rows.filter(this.#matches);
    this.view.push(...shown);
    const oldest = this.rows.length ? this.rows[0].number : Infinity;
    let gone = 0;
    while (gone < this.view.length && this.view[gone].number < oldest) gone += 1;
    if (gone) this.view.splice(0, gone);
    return shown.length;
  }

  #forget(batch) {
    this.session = batch.session;
    this.cleared = batch.cleared;
    this.rows = [];
    this.view = [];
    this.findings = this.skipped = this.fresh = this.#size = 0;
    if (this.paused) this.#frozen = [];
  }

  #trim({ entries, bytes }) {
    const least = this.rows.length - entries;
    let gone = 0;
    while (gone < least || (this.#size > bytes && gone < this.rows.length - 1)) {
      this.#size -= sizeOf(this.rows[gone]);
      this.findings -= this.rows[gone].verdict !== "ok";
      gone += 1;
    }
    if (gone) this.rows.splice(0, gone);
  }

  pause(on) {
    this.#frozen = on ? this.rows.slice() : null;
    this.fresh = 0;
    this.#select();
  }

  show(change) {
    Object.assign(this.#filter, change);
    this.#matches = matcher(this.#filter);
    this.#select();
  }

  #select() {
    this.view = (this.#frozen ?? this.rows).filter(this.#matches);
  }

  // Where a row stands in the list, newest first; -1: it is not shown.
  placeOf(number) {
    let low = 0;
    let high = this.view.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.view[middle].number < number) low = middle + 1;
      else high = middle;
    }
    return this.view[low]?.number === number ? this.view.length - 1 - low : -1;
  }

  at(place) {
    return this.view[this.view.length - 1 - place];
  }
}

function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

function within(text) {
  return text && new RegExp(escaped(text), "i");
}

// In JSON as it came, what may have been copied from JSON as it is shown, or is meant as plain text.
function withinJson(text) {
  return text && new RegExp(escaped(text).replaceAll('": ', '": ?').replaceAll('"', '\\\\?"'), "i");
}

// In quotes, it is all of the name.
function named(text) {
  const quoted = /^"(.+)"$/s.exec(text);
  return quoted ? { test: (name) => name === quoted[1] } : within(text);
}

function matcher({ search, event, user, kinds, findings }) {
  const [inAll, inEvent, inUser] = [withinJson(search), named(event), named(user)];
  return (row) =>
    (!kinds.size || kinds.has(row.kind)) &&
    (!findings || row.verdict !== "ok") &&
    (!inEvent || inEvent.test(row.event)) &&
    (!inUser || inUser.test(row.user)) &&
    (!inAll || inAll.test(textOf(row)));
}
