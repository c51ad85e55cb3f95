// Works without this file; with it times are local, dangerous buttons ask once, pages stay live, and one that is not says so.
"use strict";

const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const shownExactly = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});
const REFRESH_MS = 5000;

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.textContent = (time.dataset.exact === undefined ? shown : shownExactly).format(moment);
  }
}

// Live: flags and the gate's word arrive at once, what is counted is asked for again every few seconds.
const live = document.querySelector("[data-live]");
const liveness = document.getElementById("liveness");
let notices = null;
let streamLost = false;
let answerLost = false;
let pressed = false;

function markLiveness() {
  const mark = document.getElementById("stale");
  const isStale = streamLost || answerLost;
  if (isStale && mark.hidden) mark.textContent = `Not live since ${shown.format(new Date())}: the gateway does not answer.`;
  mark.hidden = !isStale;
  const why = [...document.querySelectorAll("[data-live]")].map(pause).find(Boolean) ?? "";
  liveness.hidden = !live || isStale;
  liveness.classList.toggle("paused", Boolean(why));
  const words = why ? `paused ${why}` : "live";
  if (liveness.textContent !== words) liveness.textContent = words;
}

function pause(part) {
  // What somebody types, marks or presses is not taken away from under them.
  const active = document.activeElement;
  if (part.contains(active) && active.matches("input:not([type=checkbox]), select, textarea")) return "while you type";
  const typed = (field) => (field.dataset.typed === undefined ? field.value !== field.defaultValue : field.value !== "");
  const changed = (field) => (field.type === "checkbox" ? field.checked !== field.defaultChecked : typed(field));
  if ([...part.querySelectorAll("input:not([type=hidden]), textarea")].some(changed)) return "while you type";
  const marked = document.getSelection();
  if (marked && !marked.isCollapsed && marked.rangeCount && marked.getRangeAt(0).intersectsNode(part)) return "while text is selected";
  return "";
}

const mayNotSwap = (part) => pressed || pause(part) !== "";

function refresh() {
  listen();
  for (const part of document.querySelectorAll("[data-live]")) {
    if (!document.hidden && !mayNotSwap(part)) htmx.trigger(part, "refresh");
  }
  markLiveness();
  document.dispatchEvent(new Event("refreshed"));
}

// A browser has six connections to a host, and every stream keeps one: only pages somebody looks at have theirs.
function listen() {
  if (document.hidden) {
    notices?.close();
    notices = null;
  } else if (!notices || notices.readyState === EventSource.CLOSED) {
    // A browser gives a stream up for good that was refused once.
    notices = new EventSource("/v1/events");
    for (const type of ["flag.version", "gate.verdict"]) notices.addEventListener(type, refresh);
    notices.addEventListener("open", () => { streamLost = false; markLiveness(); });
    notices.addEventListener("error", () => { streamLost = true; markLiveness(); });
  }
}

if (live) {
  setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_MS);
  document.addEventListener("visibilitychange", refresh);
  for (const type of ["focusin", "focusout", "input", "selectionchange"]) document.addEventListener(type, () => setTimeout(markLiveness));
  // A press that ends on another element than it began on does nothing.
  const isPress = (event) => event.type !== "keydown" || event.key === " ";
  for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, (event) => { if (isPress(event)) pressed = true; });
  for (const type of ["pointerup", "pointercancel", "keyup"]) document.addEventListener(type, () => { pressed = false; });
  addEventListener("blur", () => { pressed = false; });
  listen();
}

// A swap makes every element anew: how to find one of them again.
function whereabouts(part, element) {
  const words = (one) => [
    one.id, one.getAttribute("href"), one.getAttribute("aria-label"), one.form?.getAttribute("action"),
    one.matches("summary") ? one.closest("details").id : one.matches("button") ? one.textContent : "",
  ].join("\n");
  const alike = (root, said) => [...root.querySelectorAll(element.tagName)].filter((one) => words(one) === said);
  const said = words(element);
  const index = alike(part, said).indexOf(element);
  return (root) => alike(root, said)[index];
}

let opened = [];
let scrolled = [];
let focused = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.target;
  // Somebody may have begun to type while the answer was under way.
  if (event.detail.requestConfig.triggeringEvent?.type === "refresh" && mayNotSwap(part)) {
    event.detail.shouldSwap = false;
    return;
  }
  opened = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
  scrolled = [...part.querySelectorAll("[tabindex]")]
    .filter((one) => one.scrollTop || one.scrollLeft)
    .map((one) => [whereabouts(part, one), one.scrollTop, one.scrollLeft]);
  focused = part.contains(document.activeElement) ? whereabouts(part, document.activeElement) : null;
});
document.addEventListener("htmx:afterSettle", (event) => {
  const part = document.getElementById(event.target.id) ?? document;
  localTimes(part);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  for (const [find, top, left] of scrolled) find(part)?.scrollTo({ top, left, behavior: "instant" });
  focused?.(part)?.focus({ preventScroll: true });
});
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) { answerLost = false; markLiveness(); } });
for (const type of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(type, () => { answerLost = true; markLiveness(); });
}

// Asked once, with whatever the browser asks with: it works by keyboard and by thumb.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const some = form.dataset.some;
  if (some && !form.querySelector(`input[name="${some}"]:checked`)) {
    event.preventDefault();
    form.querySelector("[data-none]").hidden = false;
    form.querySelector(`input[name="${some}"]`)?.focus();
    return;
  }
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  const chosen = some ? form.querySelectorAll(`input[name="${some}"]:checked`).length : 0;
  if (question && !window.confirm(question.replace("{n}", chosen === 1 ? "1 message" : `${chosen.toLocaleString()} messages`))) {
    event.preventDefault();
    return;
  }
  sendUtc(form);
  if (form.dataset.slim !== undefined) {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  }
});

// What was not shown is not saved.
for (const button of document.querySelectorAll("[data-as-shown]")) {
  const form = button.form;
  const isAsShown = (field) => (field.matches("select") ? [...field.options].every((one) => one.selected === one.defaultSelected) : field.value === field.defaultValue);
  form.addEventListener("input", () => {
    button.hidden = ![...form.querySelectorAll("input, select")].every(isAsShown);
    form.querySelector("[data-not-as-shown]").hidden = !button.hidden;
  });
}

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
    const none = all.form.querySelector("[data-none]");
    if (none) none.hidden = true;
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

// j and k go through samples and pages, / looks for something. Whoever dictates, or hits keys by mistake, turns them off (WCAG 2.1.4).
const SHORTCUTS = "dualrun.single-key-shortcuts";
let shortcuts = true;
try { shortcuts = localStorage.getItem(SHORTCUTS) !== "off"; } catch { /* kept for this page alone where nothing may be stored */ }
const choice = document.createElement("input");
choice.type = "checkbox";
choice.checked = choice.defaultChecked = shortcuts;
choice.addEventListener("change", () => {
  shortcuts = choice.checked;
  try { localStorage.setItem(SHORTCUTS, shortcuts ? "on" : "off"); } catch { /* as above */ }
});
const label = document.createElement("label");
label.className = "check";
label.append(choice, " Keys: j and k for next and previous, / to search");
document.getElementById("keys").append(label);
document.addEventListener("keydown", (event) => {
  if (!shortcuts || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (event.key === "/") {
    const field = document.querySelector('form[role="search"] input');
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === "j" || event.key === "k") {
    document.querySelector(`a[rel="${event.key === "j" ? "next" : "prev"}"]`)?.click();
  }
});

// An answer to a form has the form's address: a reload, or a login in between, would ask that for a page.
const { address } = document.getElementById("content").dataset;
if (address) history.replaceState(null, "", address);

localTimes(document);
document.getElementById("preview")?.scrollIntoView({ block: "nearest" });
