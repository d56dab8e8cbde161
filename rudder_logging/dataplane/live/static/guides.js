// The guides: search in all of them, and copies of their code.

import { copy } from "./share.js";

const $ = (id) => document.getElementById(id);
const MOST_HITS = 5; // of a page
const PAUSE = 120; // milliseconds without a key, after which is searched

function made(name, text, ...children) {
  const element = document.createElement(name);
  element.append(...(text === undefined ? [] : [text]), ...children);
  return element;
}

function link(path, ...children) {
  const element = made("a", undefined, ...children);
  element.href = path;
  return element;
}

// The text as nodes, with the words marked.
function* marked(text, words) {
  const each = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|");
  for (const [index, part] of text.split(new RegExp(`(${each})`, "gi")).entries()) {
    yield index % 2 ? made("mark", part) : part;
  }
}

function shown(page, words) {
  const item = made("li", undefined, link(page.path, page.title), made("p", page.line));
  const hits = page.hits.slice(0, MOST_HITS).map(({ section, anchor, text }) => {
    const path = anchor ? `${page.path}#${anchor}` : page.path;
    return made("li", undefined, link(path, ...(section ? [made("b", section)] : []), ...marked(text, words)));
  });
  item.append(made("ul", undefined, ...hits));
  return item;
}

async function search() {
  const wanted = $("search").value.trim();
  const query = new URLSearchParams({ q: wanted });
  history.replaceState(null, "", wanted ? `?${query}` : location.pathname + location.hash);
  const pages = wanted ? await (await fetch(`/live/guides?${query}`)).json() : [];
  if ($("search").value.trim() !== wanted) return; // it has been changed meanwhile
  $("found").hidden = !wanted;
  $("article").hidden = Boolean(wanted);
  $("count").textContent = pages.length
    ? `${pages.length} ${pages.length === 1 ? "guide has" : "guides have"} these words`
    : "No guide has all of these words";
  $("pages").replaceChildren(...pages.map((page) => shown(page, wanted.split(/\s+/))));
}

function toast(words) {
  $("toast").textContent = words;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => ($("toast").hidden = true), 2_500);
}

for (const code of document.querySelectorAll("article pre code")) {
  const button = made("button", "Copy");
  button.addEventListener("click", async () => {
    await copy(code.textContent);
    toast("Code copied");
  });
  code.after(button);
}

$("theme").addEventListener("click", () => toast(`Colours: ${globalThis.nextTheme()}`));
$("search").addEventListener("input", () => {
  clearTimeout(search.timer);
  search.timer = setTimeout(search, PAUSE);
});
addEventListener("keydown", (event) => {
  const isSearch = event.target === $("search");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !isSearch) {
    event.preventDefault();
    $("search").select();
  } else if (event.key === "Escape" && isSearch && $("search").value) {
    event.preventDefault();
    $("search").value = "";
    search();
  }
});
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest" });

$("search").value = new URLSearchParams(location.search).get("q") ?? "";
if ($("search").value) search();
