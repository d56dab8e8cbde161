// The switches that make the server misbehave. The server tells all open pages how they stand.

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error((await answer.text()).trim());
}

export function clear() {
  return post("/live/clear");
}

export class Faults {
  #state = { shares: [] };
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
    try {
      await post("/live/faults", change);
    } catch (error) {
      words.textContent = error.message;
      this.show(this.#state);
    }
  }

  show(state) {
    this.#state = state;
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
