// Before the page is drawn, so that it does not flash in the other colours.
"use strict";
(() => {
  const THEMES = ["auto", "light", "dark"];
  const root = document.documentElement;
  let stored = null;
  try {
    stored = localStorage.getItem("theme");
  } catch {
    // Storage is off: the choice lasts as long as the page.
  }
  root.dataset.theme = THEMES.includes(stored) ? stored : "auto";

  globalThis.nextTheme = () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // As above.
    }
    return next;
  };
})();
