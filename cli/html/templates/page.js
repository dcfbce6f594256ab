"use strict";
// Without this script a button would do nothing: it makes them.
for (const bar of document.querySelectorAll(".bar:not(.read)")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  bar.insertBefore(button, bar.querySelector("a"));
  button.addEventListener("click", async () => {
    const shown = bar.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(shown.textContent);
    } catch {
      getSelection().selectAllChildren(shown);
      document.execCommand("copy");
      getSelection().removeAllRanges();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
function open() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", open);
open();
