// What leaves the page: copies and files. The write key is not among it.

import { visible } from "./unseen.js";

const LONGEST_ARGUMENT = 100_000;

export function messagesOf(row) {
  return row.kind === "refused" ? row.events.map(([, json]) => json) : [row.json];
}

export function jsonOf(row) {
  const messages = messagesOf(row);
  if (row.kind !== "refused") return messages[0];
  return messages.length ? `[${messages.join(",\n")}]` : row.body;
}

// A command that sends the row's events again, in a POSIX shell.
export function curlOf(row) {
  const isBatch = row.path === "/v1/batch" || row.kind !== "refused";
  const messages = messagesOf(row);
  const url = location.origin + (isBatch ? "/v1/batch" : encodeURI(row.path));
  const head = `curl -u "$RUDDER_WRITE_KEY:" -H 'Content-Type: application/json' \\\n  ${quoted(url)} \\\n  --data-binary `;
  if (row.body) return `printf ${quoted(printable(row.body))} | ${head}@-`;
  const body = isBatch ? `{"batch":[${messages.join(",")}]}` : (messages[0] ?? "");
  const json = visible(body); // the same event: JSON has such characters in strings only
  if (json.length < LONGEST_ARGUMENT) return head + quoted(json);
  return `${head}@- <<'END'\n${json}\nEND`;
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// Any text as a format of printf, in ASCII that a terminal shows and does not obey.
function printable(text) {
  const octal = (byte) => `\\${byte.toString(8).padStart(3, "0")}`;
  return text
    .replace(/[\\%]/g, (char) => char + char)
    .replace(/[^ -~]|^-/gu, (char) => Array.from(new TextEncoder().encode(char), octal).join(""));
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // The clipboard's interface is for loopback and HTTPS only.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function save(rows) {
  const lines = rows.filter((row) => row.kind !== "refused").map((row) => `${row.json}\n`);
  const link = document.createElement("a");
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.download = `events-${stamp}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return lines.length;
}
