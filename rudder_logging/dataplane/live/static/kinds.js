// Counts by type, which are filters as well.

const KINDS = ["track", "identify", "page", "screen", "group", "alias", "merge", "other", "refused"];

export class Kinds {
  #chips = new Map();
  #findings;

  // `onChange` gets the kinds that are chosen (none: all), and whether only findings are wanted.
  constructor(group, onChange) {
    const chosen = () => new Set(KINDS.filter((kind) => this.#chips.get(kind).ariaPressed === "true"));
    const tell = () => onChange(chosen(), this.#findings.ariaPressed === "true");
    for (const kind of KINDS) {
      const chip = this.#chip(kind, `Only ${kind} events; choose several to see all of those`);
      chip.append(document.createElement("b"));
      this.#chips.set(kind, chip);
    }
    this.#chips.get("refused").title = "Only requests that were refused";
    this.#findings = this.#chip("findings", "Only what has a warning, is off the plan, or was refused");
    for (const chip of [...this.#chips.values(), this.#findings]) {
      chip.addEventListener("click", () => {
        chip.ariaPressed = String(chip.ariaPressed !== "true");
        tell();
      });
      group.append(chip);
    }
  }

  #chip(kind, title) {
    const chip = document.createElement("button");
    chip.className = "chip";
    chip.dataset.kind = kind;
    chip.ariaPressed = "false";
    chip.title = title;
    chip.append(kind);
    return chip;
  }

  show(counts) {
    for (const [kind, chip] of this.#chips) {
      const count = counts[kind] ?? 0;
      chip.hidden = !count && chip.ariaPressed !== "true" && !["track", "identify"].includes(kind);
      const text = count.toLocaleString();
      if (chip.lastChild.textContent !== text) chip.lastChild.textContent = text;
    }
  }

  reset() {
    for (const chip of [...this.#chips.values(), this.#findings]) chip.ariaPressed = "false";
  }
}
