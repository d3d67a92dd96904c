// Signing off: what was decided, the progress of the copy, and what came of it.

import { getJson, post, Refused } from "./api.js";
import { clock } from "./timeline.js";
import { span } from "./sound.js";
import { $, element } from "./words.js";

const MOST_MISSED = 20;  // answers in a row, 0.3 s apart, without which it is no longer known what comes of a copy
let listed;              // the revision of the plan whose decisions are listed

// List what was decided.
export function openSignoff(state, edits, who, time) {
  listed = state.revision;
  const shown = state.tracks.filter((t) => t.action === "show");
  const drawn = state.tracks.filter((t) => t.origin === "person" && t.action === "cover");
  const list = $("signoff-list");
  const part = (title, items, className) => {
    const head = element("h2", `${title}: ${items.length}`);
    const body = element("ul", undefined, { className: `decisions ${className || ""}` });
    body.append(...items.map((text) => element("li", text)));
    return items.length ? [head, body] : [head];
  };
  list.replaceChildren(
    element("p", `${state.tracks.length - shown.length} tracks are covered. ${Math.floor((100 * state.seen) / state.frames)} % of the frames were on this screen in full size; that goes into the statement.${state.seen < state.frames ? " Shift+V plays what was not seen." : ""}`, { className: state.seen < state.frames ? "warning" : "" }),
    ...part("Left visible by decision", shown.map((t) => `Track ${t.id} (${t.label}, frames ${t.first} to ${t.last}): ${t.reason}; decided by ${t.by}`), "bad"),
    ...part("Doubts left undecided", state.doubts.map((d) => `${clock(time(d.frame))}: ${d.reason} (risk ${d.risk.toFixed(2)})`), "warning"),
    ...part("Drawn by a person", drawn.map((t) => `Track ${t.id} (frames ${t.first} to ${t.last}): ${t.reason}`)),
    element("p", { none: "The copy has no sound.", keep: "The copy keeps the clip's sound; nobody checks what is said in it.", file: "The copy gets the sound of a file." }[state.sound.audio]),
    ...(state.sound.audio === "none" ? [] : part("Muted parts", state.sound.mute.map((part) => span(part, time(state.first), time(state.first + state.frames - 1))))),
    ...part("All changes", edits.map((e) => `${e.what} (${e.who})`)));
  $("signoff-who").value = $("signoff-who").value || who;
  $("signoff-result").replaceChildren();
  $("signoff-form").hidden = $("signoff-yes").hidden = false;
  $("finish").hidden = $("next-clip").hidden = true;
  if (!$("signoff").open) $("signoff").showModal();
}

// Sign off what was listed, and show what comes of it. Where that is no copy, `again` lists the plan as it is then.
export async function signOff(reload, again) {
  const body = { revision: listed, who: $("signoff-who").value, overwrite: $("signoff-overwrite").checked, allow_empty: $("signoff-empty").checked };
  $("signoff-yes").hidden = $("signoff-no").disabled = true;
  $("signoff-form").hidden = true;
  $("signoff-progress").hidden = false;
  const result = $("signoff-result");
  result.replaceChildren();
  try {
    await post("/api/signoff", body);
    const job = await follow();
    await reload();
    if (job.error) throw new Refused(400, job.error);
    showResult(job.result);
  } catch (error) {
    if (error.status) { await reload(); await again(); }
    const what = error.status ? "Nothing was released." : "It is not known whether the copy was released: see the release folder.";
    result.replaceChildren(element("p", `${what} ${error.message}`, { className: "bad" }), element("p", error.advice || ""));
    $("signoff-yes").hidden = $("signoff-form").hidden = false;
  }
  $("signoff-progress").hidden = true;
  $("signoff-no").disabled = false;
}

// An error of asking says nothing of the copy.
async function follow() {
  for (let missed = 0; missed < MOST_MISSED; await new Promise((done) => setTimeout(done, 300))) {
    const job = await getJson("/api/job").catch(() => null);
    missed = job ? 0 : missed + 1;
    if (!job) continue;
    $("signoff-title").textContent = { render: "Covering and encoding the copy", verify: "Decoding the copy and searching it for faces", "follow again": "Following what was found in the copy" }[job.title] || "Working";
    if (job.total) { $("signoff-bar").max = job.total; $("signoff-bar").value = job.done; } else $("signoff-bar").removeAttribute("value");
    if (!job.running) return job;
  }
  throw new Error("The review does not answer.");
}

function showResult({ copy, statement, checks }) {
  const table = element("table", undefined, { className: "checks" });
  for (const [name, passed, figure] of checks) {
    const row = element("tr");
    row.append(element("td", passed === null ? "not checked" : passed ? "held" : "FAILED", { className: passed ? "good" : "warning" }), element("td", name), element("td", figure));
    table.append(row);
  }
  $("signoff-list").replaceChildren();
  $("signoff-result").replaceChildren(element("p", "The copy was checked and released:", { className: "good" }), element("pre", copy),
    table, element("h2", "The statement that goes with it"), element("pre", JSON.stringify(statement, null, 1)));
  $("finish").hidden = false;
  $("next-clip").hidden = !$("next-clip").dataset.there;
}
