// Refreshes the parts of a page that are marked `data-refresh` (seconds), and sends forms without a reload.
"use strict";

const load = async (address, options = {}) => {
  const response = await fetch(address, { credentials: "same-origin", ...options });
  return [new DOMParser().parseFromString(await response.text(), "text/html"), response];
};

// What somebody types into stays as it is.
const isBusy = (part) => part !== document.activeElement && part.contains(document.activeElement);

async function refresh(id) {
  const part = document.getElementById(id);
  if (!part || document.hidden || isBusy(part)) return;
  try {
    const [page] = await load(location.href);
    const made = page.getElementById(id);
    if (!made) return void location.reload();
    if (isBusy(part)) return;
    const opened = [...part.querySelectorAll("details")].map((one) => one.open);
    made.querySelectorAll("details").forEach((one, at) => { one.open = opened[at] ?? one.open; });
    part.replaceWith(made);
    if (!made.dataset.refresh) watch();
  } catch {
    part.classList.add("stale");
  }
}

let timers = [];
function watch() {
  timers.forEach(clearInterval);
  timers = [...document.querySelectorAll("[data-refresh][id]")].map((part) =>
    setInterval(refresh, Number(part.dataset.refresh) * 1000, part.id));
}

const address = () => location.pathname + location.search;
let shown = address();

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-send]")) return;
  event.preventDefault();
  if (form.dataset.ask && !confirm(form.dataset.ask)) return;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  form.classList.add("sending");
  try {
    const [page, response] = await load(form.action, { method: "POST", body });
    for (const part of ["header", "main"]) document.querySelector(part).replaceWith(page.querySelector(part));
    document.title = page.title;
    document.querySelector(".notice, .failure")?.scrollIntoView({ block: "center" });
    if (response.redirected) history.pushState(null, "", response.url.replace(/[?&]notice=\w+$/, ""));
    shown = address();
    watch();
  } catch (error) {
    form.classList.remove("sending");
    alert(`Nothing was sent: ${error.message}`);
  }
});

document.addEventListener("change", (event) => event.target.closest("form[data-auto]")?.requestSubmit());
document.addEventListener("click", (event) => {
  const line = event.target.closest("pre.copy");
  if (line && !String(getSelection())) navigator.clipboard?.writeText(line.textContent);
});
addEventListener("popstate", () => address() === shown || location.reload());
watch();
