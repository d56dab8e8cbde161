// JSON text laid out for reading. It is never parsed: numbers stay as they were sent.

import { visible } from "./unseen.js";

const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")|([{}[\],:])|([^\s{}[\],:"]+)/gs;
const LONGEST = 200_000;

// The text as nodes that are inert: text, and spans that hold text.
export function layOut(text) {
  const fragment = document.createDocumentFragment();
  let plain = "";
  let depth = 0;
  const flush = () => {
    if (plain) fragment.append(plain);
    plain = "";
  };
  const span = (name, content) => {
    flush();
    const element = document.createElement("span");
    element.className = name;
    element.textContent = content;
    fragment.append(element);
  };
  const newLine = () => {
    plain += `\n${"  ".repeat(Math.min(depth, 40))}`;
  };
  const head = text.slice(0, LONGEST);
  let before = "";
  let end = 0;
  for (const token of head.matchAll(TOKEN)) {
    const [whole, string, mark, word] = token;
    if (head.slice(end, token.index).trim()) break; // a string that was cut
    end = token.index + whole.length;
    if (mark === "}" || mark === "]") {
      depth -= 1;
      if (before !== "{" && before !== "[") newLine();
      plain += mark;
    } else {
      if (before === "{" || before === "[") newLine();
      if (mark === ":") plain += ": ";
      else if (mark) plain += mark;
      if (mark === ",") newLine();
      if (mark === "{" || mark === "[") depth += 1;
      if (string) span(head[end] === ":" ? "key" : "string", visible(string));
      if (word) span(/^[tfn]/.test(word) ? "word" : "number", word);
    }
    before = whole;
  }
  flush();
  if (text.length > LONGEST) span("note", `\n… ${text.length.toLocaleString()} characters; copy it to see all`);
  return fragment;
}
