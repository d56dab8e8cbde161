// What the server tells, for as long as the page is open.

const AGAIN = 1_000; // milliseconds

export function listen({ onBatch, onState, onStatus }) {
  const source = new EventSource("/live/stream");
  source.addEventListener("open", () => onStatus("live"));
  source.addEventListener("batch", (event) => onBatch(JSON.parse(event.data)));
  source.addEventListener("state", (event) => onState(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    onStatus("reconnecting");
    if (source.readyState === EventSource.CLOSED) {
      // The browser gave up, which it does not when a server is merely away.
      setTimeout(() => listen({ onBatch, onState, onStatus }), AGAIN);
    }
  });
}
