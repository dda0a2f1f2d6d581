// Narrows a list while its search field is typed in. Without it the form asks the server for the same.
"use strict";

(function () {
  const field = document.querySelector("input[data-filters]");
  const list = field && document.getElementById(field.dataset.filters);
  if (!list) return;

  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of list.querySelectorAll("li[data-words]")) {
      const text = item.dataset.words.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    for (const group of list.querySelectorAll("[data-group]")) {
      group.hidden = words.length > 0 && !group.querySelector("li[data-words]:not([hidden])");
    }
    for (const folded of list.querySelectorAll("details")) folded.open = folded.open || words.length > 0;
  };
  field.addEventListener("input", show);
})();
