// Works without this file; with it times are local, dangerous buttons ask once, pages stay live, and one that is not says so.
"use strict";

const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const REFRESH_MS = 5000;

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.textContent = shown.format(moment);
  }
}

// Live: flags and the gate's word arrive at once, what is counted is asked for again every few seconds.
const live = document.querySelector("[data-live]");
const liveness = document.getElementById("liveness");
let streamLost = false;
let answerLost = false;

function markLiveness() {
  const mark = document.getElementById("stale");
  const isStale = streamLost || answerLost;
  if (isStale && mark.hidden) mark.textContent = `Not live since ${shown.format(new Date())}: the gateway does not answer.`;
  mark.hidden = !isStale;
  liveness.hidden = !live || isStale;
}

function isBusy(part) {
  // What somebody is typing, or about to press, is not taken away from under them.
  if (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button")) return true;
  const changed = (field) => (field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);
  return [...part.querySelectorAll("input:not([type=hidden]), textarea")].some(changed);
}

function refresh() {
  for (const part of document.querySelectorAll("[data-live]")) {
    if (!document.hidden && !isBusy(part)) htmx.trigger(part, "refresh");
  }
  document.dispatchEvent(new Event("refreshed"));
}

if (live) {
  const notices = new EventSource("/v1/events");
  for (const type of ["flag.version", "gate.verdict"]) notices.addEventListener(type, refresh);
  notices.addEventListener("open", () => { streamLost = false; markLiveness(); });
  notices.addEventListener("error", () => { streamLost = true; markLiveness(); });
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
}

let opened = [];
let focusedLabel = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  // Somebody may have begun to type while the answer was under way.
  if (event.detail.requestConfig.triggeringEvent?.type === "refresh" && isBusy(event.target)) {
    event.detail.shouldSwap = false;
    return;
  }
  opened = [...event.target.querySelectorAll("details[open][id]")].map((one) => one.id);
  focusedLabel = event.target.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
});
document.addEventListener("htmx:afterSettle", (event) => {
  const part = document.getElementById(event.target.id) ?? document;
  localTimes(part);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (focusedLabel) part.querySelector(`a[href="${CSS.escape(focusedLabel)}"]`)?.focus();
});
document.addEventListener("htmx:afterOnLoad", () => { answerLost = false; markLiveness(); });
document.addEventListener("htmx:sendError", () => { answerLost = true; markLiveness(); });
document.addEventListener("htmx:responseError", () => { answerLost = true; markLiveness(); });

// Asked once, with whatever the browser asks with: it works by keyboard and by thumb.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const some = form.dataset.some;
  if (some && !form.querySelector(`input[name="${some}"]:checked`)) {
    event.preventDefault();
    form.querySelector(`input[name="${some}"]`)?.focus();
    return;
  }
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  sendUtc(form);
  if (form.dataset.slim !== undefined) {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  }
});

// Times are typed in the reader's zone and sent in UTC.
function sendUtc(form) {
  for (const field of form.querySelectorAll("input[data-utc]")) {
    if (!field.value) continue;
    const sent = document.createElement("input");
    sent.type = "hidden";
    sent.name = field.name;
    sent.value = new Date(field.value).toISOString();
    field.removeAttribute("name");
    form.append(sent);
  }
}
for (const field of document.querySelectorAll("input[data-utc]")) {
  const given = field.getAttribute("value");
  const moment = given ? new Date(/Z|[+-]\d\d:\d\d$/.test(given) ? given : `${given}Z`) : null;
  if (moment && !Number.isNaN(moment.getTime())) {
    const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000);
    field.value = local.toISOString().slice(0, 19);
  }
}
for (const zone of document.querySelectorAll("[data-zone]")) zone.textContent = "your time";

for (const all of document.querySelectorAll("[data-all]")) {
  const each = () => [...document.querySelectorAll(`input[name="${all.dataset.all}"]`)];
  all.addEventListener("change", () => { for (const one of each()) one.checked = all.checked; });
  document.addEventListener("change", (event) => {
    if (event.target.name === all.dataset.all) all.checked = each().every((one) => one.checked);
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// j and k go through samples and pages, / looks for something.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (event.key === "/") {
    const field = document.querySelector('form[role="search"] input');
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === "j" || event.key === "k") {
    document.querySelector(`a[rel="${event.key === "j" ? "next" : "prev"}"]`)?.click();
  }
});

localTimes(document);
document.getElementById("preview")?.scrollIntoView({ block: "nearest" });
