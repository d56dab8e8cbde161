// Counts by type, which are filters as well.

import { counted } from "./words.js";

const ALWAYS = "track"; // the others are shown once there are any

export class Kinds {
  #chips = new Map();
  #findings;
  #onChange;

  // `onChange` gets the kinds that are chosen (none: all), and whether only findings are wanted.
  constructor(group, onChange) {
    this.#onChange = onChange;
    this.#findings = this.#chip("findings");
    this.#findings.append(document.createElement("b"));
    group.append(this.#findings);
  }

  #tell() {
    const chosen = [...this.#chips].filter(([, chip]) => chip.ariaPressed === "true");
    this.#onChange(new Set(chosen.map(([kind]) => kind)), this.#findings.ariaPressed === "true");
  }

  #add(kind) {
    const chip = this.#chip(kind);
    chip.append(document.createElement("b"));
    this.#chips.set(kind, chip);
    this.#findings.before(chip);
    return chip;
  }

  #chip(kind) {
    const chip = document.createElement("button");
    chip.className = "chip";
    chip.dataset.kind = kind;
    chip.ariaPressed = "false";
    chip.append(kind);
    chip.addEventListener("click", () => {
      chip.ariaPressed = String(chip.ariaPressed !== "true");
      this.#tell();
    });
    return chip;
  }

  // The counts by kind, all kinds there are; and how many of those held have findings.
  show(counts, findings) {
    for (const [kind, count] of Object.entries(counts)) {
      const chip = this.#chips.get(kind) ?? this.#add(kind);
      chip.hidden = !count && chip.ariaPressed !== "true" && kind !== ALWAYS;
      const what = kind === "refused" ? counted(count, "refused request") : counted(count, `${kind} event`);
      tell(chip, count, `${what} came. Press to see only these; several chips show all of theirs`);
    }
    const what = `${counted(findings, "line")} held with findings`;
    tell(this.#findings, findings, `${what}: a warning, off the plan, lost later, or refused. Press to see only these`);
  }

  reset() {
    for (const chip of [...this.#chips.values(), this.#findings]) chip.ariaPressed = "false";
  }
}

function tell(chip, count, title) {
  if (chip.title === title) return;
  chip.title = title;
  chip.lastChild.textContent = count.toLocaleString();
}
