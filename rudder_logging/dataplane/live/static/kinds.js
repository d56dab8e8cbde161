// Counts by type, which are filters as well.

const ALWAYS = "track"; // the others are shown once there are any

export class Kinds {
  #chips = new Map();
  #findings;
  #onChange;

  // `onChange` gets the kinds that are chosen (none: all), and whether only findings are wanted.
  constructor(group, onChange) {
    this.#onChange = onChange;
    this.#findings = this.#chip("findings", "Only what has a warning, is off the plan, or was refused");
    group.append(this.#findings);
  }

  #tell() {
    const chosen = [...this.#chips].filter(([, chip]) => chip.ariaPressed === "true");
    this.#onChange(new Set(chosen.map(([kind]) => kind)), this.#findings.ariaPressed === "true");
  }

  #add(kind) {
    const what = kind === "refused" ? "requests that were refused" : `${kind} events`;
    const chip = this.#chip(kind, `Only ${what}; choose several to see all of those`);
    chip.append(document.createElement("b"));
    this.#chips.set(kind, chip);
    this.#findings.before(chip);
    return chip;
  }

  #chip(kind, title) {
    const chip = document.createElement("button");
    chip.className = "chip";
    chip.dataset.kind = kind;
    chip.ariaPressed = "false";
    chip.title = title;
    chip.append(kind);
    chip.addEventListener("click", () => {
      chip.ariaPressed = String(chip.ariaPressed !== "true");
      this.#tell();
    });
    return chip;
  }

  // The counts by kind, all kinds there are.
  show(counts) {
    for (const [kind, count] of Object.entries(counts)) {
      const chip = this.#chips.get(kind) ?? this.#add(kind);
      chip.hidden = !count && chip.ariaPressed !== "true" && kind !== ALWAYS;
      const text = count.toLocaleString();
      if (chip.lastChild.textContent !== text) chip.lastChild.textContent = text;
    }
  }

  reset() {
    for (const chip of [...this.#chips.values(), this.#findings]) chip.ariaPressed = "false";
  }
}
