// The switches that make the server misbehave. The server tells all open pages how they stand.

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", body: body && JSON.stringify(body) });
  const words = (await answer.text()).trim();
  if (!answer.ok) throw new Error(words);
  return words;
}

export function clear() {
  return post("/live/clear");
}

export class Faults {
  #state = { shares: [] };
  #version = 0;
  #pending = 0;
  #parts;
  #open;

  constructor(parts, open) {
    this.#parts = parts;
    this.#open = open;
    const { form, status, share, latency, limit, disabled, heal } = parts;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = new Map(this.#state.shares);
      wanted.set(Number(status.value), Number(share.value) / 100);
      this.#send({ shares: [...wanted] });
    });
    latency.addEventListener("change", () => this.#send({ latency: Number(latency.value) / 1000 }));
    limit.addEventListener("change", () => this.#send({ limit: Math.round(Number(limit.value) * 1024) }));
    disabled.addEventListener("change", () => this.#send({ enabled: !disabled.checked }));
    heal.addEventListener("click", () =>
      this.#send({ shares: [], latency: 0, limit: this.#state.limit_default, enabled: true }),
    );
  }

  async #send(change) {
    const { words } = this.#parts;
    words.textContent = "";
    let state = this.#state;
    this.#pending += 1;
    try {
      state = JSON.parse(await post("/live/faults", change));
    } catch (error) {
      words.textContent = error.message;
    }
    this.#pending -= 1;
    this.show(state);
  }

  // What the server told before is no longer to be compared: it may be another one.
  restart() {
    this.#version = 0;
  }

  show(state) {
    if (state.version < this.#version) return; // overtaken by the answer to a switch
    this.#version = state.version;
    this.#state = state;
    if (this.#pending) return; // what the reader switches now is not to be switched back
    const { latency, limit, disabled, shares } = this.#parts;
    if (document.activeElement !== latency) latency.value = Math.round(state.latency * 1e6) / 1e3;
    if (document.activeElement !== limit) limit.value = Math.round((state.limit / 1024) * 1e3) / 1e3;
    disabled.checked = !state.enabled;
    shares.replaceChildren(
      ...state.shares.map(([status, share]) => {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.className = "chip on";
        chip.textContent = `${status}: ${Math.round(share * 1e4) / 100} %  ✕`;
        chip.title = `No longer answer ${status}`;
        chip.addEventListener("click", () =>
          this.#send({ shares: this.#state.shares.filter(([other]) => other !== status) }),
        );
        return chip;
      }),
    );
    const isIll = state.shares.length || state.latency || state.limit !== state.limit_default || !state.enabled;
    this.#open.classList.toggle("ill", Boolean(isIll));
    this.#open.textContent = isIll ? "Faults on" : "Faults";
  }
}
