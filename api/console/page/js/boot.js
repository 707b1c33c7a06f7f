// Runs before the page is painted, so that it appears at once in the colours and the language that were chosen.
"use strict";
(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("bothways.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    root.lang = localStorage.getItem("bothways.language") || (/^zh/i.test(navigator.language) ? "zh" : "en");
  } catch {
    // Storage may be forbidden: the page then follows the browser and remembers nothing.
    root.lang = /^zh/i.test(navigator.language) ? "zh" : "en";
  }
})();
