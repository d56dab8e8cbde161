// Times and counts in words.

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
});
const MOMENT = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)$/;

// When it came, by this machine's clock.
export function arrivedAt(row) {
  return TIME.format(row.time);
}

// The reader's zone at that time, like `UTC+05:30`.
export function zoneAt(time) {
  const minutes = -new Date(time).getTimezoneOffset();
  const [hours, rest] = [Math.abs(minutes) / 60, Math.abs(minutes) % 60].map((part) =>
    String(Math.trunc(part)).padStart(2, "0"),
  );
  return minutes ? `UTC${minutes < 0 ? "-" : "+"}${hours}:${rest}` : "UTC";
}

// When it happened, as the event says, in the zone in which it says so; empty: it does not.
export function happenedAt(row) {
  const moment = MOMENT.exec(row.happened);
  if (!moment) return row.happened;
  const [, day, time, zone] = moment;
  return `${day} ${time} UTC${zone === "Z" || /^.00:00$/.test(zone) ? "" : zone}`;
}

// A number of things: `1 event`, `2,000 events`.
export function counted(number, thing) {
  return `${number.toLocaleString()} ${thing}${number === 1 ? "" : "s"}`;
}
