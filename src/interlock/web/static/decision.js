// The decision of a run: a comment that an answer needs is asked for before it is sent, a form is sent once, and a
// permalink opens what it points into. Without it the page works: the server checks the same.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-needs]");
  const comment = button?.form.querySelector("textarea[name=comment]");
  if (!comment || comment.value.trim()) return;
  event.preventDefault();
  button.form.querySelector(".words").textContent = button.dataset.needs;
  comment.setAttribute("aria-invalid", "true");
  comment.focus();
});

document.addEventListener("input", (event) => {
  if (!event.target.matches("textarea[aria-invalid]")) return;
  event.target.removeAttribute("aria-invalid");
  event.target.form.querySelector(".words").textContent = "";
});

// Enter at the tick would press the first button of its form, which approves.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("input[name=unseen]")) event.preventDefault();
});

document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) { event.preventDefault(); return; }
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });

// What a permalink points to may be inside something that is folded.
function named() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } // no address that a page has written
}
function reveal() {
  const place = document.getElementById(named());
  if (!place) return;
  for (let box = place; box; box = box.parentElement?.closest("details")) if (box.localName === "details") box.open = true;
  place.scrollIntoView({ block: "nearest" });
}
addEventListener("hashchange", reveal);
reveal();
