// Follows the events of the run that is shown, and draws the page anew where something happened. Without it the
// pages work, and stand still.
const shown = document.querySelector("[data-run]");
const live = document.querySelector("#live");

function opened() {
  return new Map([...document.querySelectorAll("details[id]")].map((item) => [item.id, item.open]));
}

function isBusy() {
  return document.querySelector(".act[open]") !== null;
}

let drawing = false;
let again = false;
async function draw() {
  if (drawing || isBusy()) { again = true; return; }
  drawing = true;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const before = opened();
    const main = page.querySelector("main");
    for (const item of main.querySelectorAll("details[id]")) {
      if (before.get(item.id) === true) item.open = true;
    }
    document.querySelector("main").replaceWith(main);
    document.title = page.title;
    document.dispatchEvent(new Event("drawn"));
  } finally {
    drawing = false;
    if (again && !isBusy()) { again = false; setTimeout(draw, 300); }
  }
}

if (shown && shown.dataset.over !== "true") {
  let due = 0;
  const source = new EventSource(`/api/v1/runs/${encodeURIComponent(shown.dataset.run)}/events?after=${shown.dataset.seq}`);
  const soon = () => { clearTimeout(due); due = setTimeout(draw, 150); };
  const kinds = ["OwnerChanged", "InputPrepared", "WhenHeld", "StageSkipped", "AttemptStarted", "AttemptLost", "AttemptErrored",
    "CandidateProduced", "VerdictGiven", "ApprovalAsked", "CandidateRejected", "HandoffAccepted", "SentBack", "Paused",
    "AnswerTaken", "Refused", "TimeReached", "EffectErrored", "Delivered", "RunFinished"];
  for (const kind of kinds) source.addEventListener(kind, soon);
  source.onopen = () => { live.textContent = "live"; };
  source.onerror = () => { live.textContent = "not connected: trying again"; };
  setInterval(() => { if (again && !isBusy()) { again = false; draw(); } }, 1000);
}
