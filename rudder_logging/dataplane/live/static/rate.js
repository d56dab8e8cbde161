// How many come per second: a number, and a line over the last minute.

const SECONDS = 60;
const WINDOW = 2_000; // milliseconds that the number is the mean of

export class Rate {
  #canvas;
  #number;
  #recent = []; // [when, how many]
  #seconds = new Array(SECONDS).fill(0); // oldest first; the last one is not over
  #second = Math.floor(Date.now() / 1000);
  #total = null;

  constructor(canvas, number) {
    this.#canvas = canvas;
    this.#number = number;
    setInterval(() => this.draw(), 500);
  }

  // The total since the start; less than before: a new start.
  note(total, isNew) {
    if (this.#total !== null && !isNew && total > this.#total) {
      const count = total - this.#total;
      this.#turn();
      this.#seconds[SECONDS - 1] += count;
      this.#recent.push([Date.now(), count]);
    }
    this.#total = total;
  }

  #turn() {
    const now = Math.floor(Date.now() / 1000);
    for (let gone = Math.min(SECONDS, now - this.#second); gone > 0; gone -= 1) {
      this.#seconds.push(0);
      this.#seconds.shift();
    }
    this.#second = now;
  }

  draw() {
    this.#turn();
    const since = Date.now() - WINDOW;
    while (this.#recent.length && this.#recent[0][0] < since) this.#recent.shift();
    const rate = this.#recent.reduce((sum, [, count]) => sum + count, 0) / (WINDOW / 1000);
    const text = Math.round(rate).toLocaleString();
    if (this.#number.textContent !== text) this.#number.textContent = text;
    this.#line();
  }

  #line() {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    const most = Math.max(...this.#seconds, 1);
    const step = width / SECONDS;
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(this.#canvas).color;
    this.#seconds.forEach((count, index) => {
      const tall = count ? Math.max(3, (count / most) * (height - 2)) : 2;
      context.globalAlpha = count ? 1 : 0.3;
      context.fillRect(index * step, height - tall, step - 1, tall);
    });
  }
}
