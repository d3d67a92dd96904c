// The review page: what the keys and buttons do.

import { getJson, post } from "./api.js";
import { Changes } from "./changes.js";
import { askName, askShow } from "./dialogs.js";
import { keyMap, listen, showMap } from "./keys.js";
import { showDoubts, showSelected } from "./panel.js";
import { Viewer, tidy } from "./picture.js";
import { showPlans } from "./plans.js";
import { openSignoff, signOff } from "./signoff.js";
import { Sound } from "./sound.js";
import { Timeline, clock } from "./timeline.js";
import { Under } from "./under.js";
import { $, element, say } from "./words.js";

const WIDER = 0.15;      // share by which W widens
const AROUND_MS = 700;   // before and after a doubt that its loop shows
const LOOK_MS = 400;     // that a doubt must have been on the screen before it is accepted

let clip, state, viewer, timeline, sound;
let chosen = new Set();  // numbers of tracks
let current = 0;         // place of the doubt in the list
const clothes = { timer: 0 };
let look = { of: null, timer: 0, done: false };  // which doubt is looked at, and whether it was for long enough

async function fail(error) {
  say([error.message, error.advice].filter(Boolean).join(" "));
  if (error.status === 409) await reload();
}

// ---- the plan as it is

const track = (id) => state.tracks.find((t) => t.id === id);
const ids = () => [...chosen];
const named = () => (chosen.size > 1
  ? `That the tracks ${ids().join(", ")} are of one person may be a guess (by place, time, clothes and face): look at each of them first. They`
  : `Track ${ids()[0]}`);
const doubt = () => state.doubts[current] || null;

function take(fresh) {
  if (fresh.plan !== clip.plan) { location.reload(); return; }  // another tab has turned to another clip
  state = fresh;
  current = Math.min(current, Math.max(state.doubts.length - 1, 0));
  chosen = new Set(ids().filter((id) => track(id)));
  viewer.limits = [state.first, state.first + state.frames - 1];
  viewer.setRevision(state.revision);
  timeline.setState(state);
  sound.setState(state.sound);
  $("doubts-left").textContent = state.doubts.length === 1 ? "1 doubt left" : `${state.doubts.length} doubts left`;
  showSeen(state.seen);
  $("undo").disabled = !state.undo;
  $("redo").disabled = !state.redo;
  $("edits").replaceChildren(...[...state.edits].reverse().map((e) => element("li", `${e.what} — ${e.who}`)));
  $("excerpt").textContent = `Frames ${state.first} to ${state.first + state.frames - 1}, ${clock(viewer.time(state.first))} to ${clock(viewer.time(state.first + state.frames - 1))}`;
  paintDoubts();
  choose(chosen);
  clearTimeout(clothes.timer);  // rows change when all clothes and faces have been looked at
  if (state.looking) clothes.timer = setTimeout(reload, 1500);
  if (viewer.frame < viewer.limits[0] || viewer.frame > viewer.limits[1]) viewer.go(viewer.frame, true);
}

function showSeen(seen) {
  state.seen = seen;
  $("seen-share").textContent = `${Math.floor((100 * seen) / state.frames)} % of the frames seen`;
}

async function reload() {
  try { take(await getJson("/api/state")); } catch (error) { say(error.message); }
}

const changes = new Changes({ revision: () => state.revision, take, fail, reload });
const change = (wish, body) => changes.make(wish, body);
const work = (wish, body, title) => changes.work(wish, body, title);

// ---- selection

function choose(wanted) {
  chosen = wanted;
  viewer.chosen = chosen;
  viewer.paint();
  timeline.choose(chosen);
  showSelected(ids().map(track), clip.never_show, DO);
}

function pick(wanted, add) {
  const next = new Set(add ? chosen : []);
  for (const id of wanted) if (add && chosen.has(id)) next.delete(id); else next.add(id);
  choose(next);
}

// ---- doubts

function paintDoubts() {
  viewer.doubt = doubt();
  showDoubts(state.doubts, current, (n) => viewer.time(n), goDoubt, DO);
  lookAt();
}

// Note that a doubt is on the screen. A key that was pressed twice must not accept the next one, which nobody has seen.
function lookAt() {
  const now = doubt(), frame = viewer.shown?.frame, of = JSON.stringify(now);
  if (look.of !== of) {
    clearTimeout(look.timer);
    look = { of: null, timer: 0, done: false };
    if (now && now.first <= frame && frame <= now.last) look = { of, timer: setTimeout(() => { look.done = true; allow(); }, LOOK_MS), done: false };
  }
  allow();
}

function allow() { for (const made of document.querySelectorAll("#doubt .accept")) made.disabled = !look.done; }

function goDoubt(n, loop = true) {
  if (!state.doubts.length) { say("No doubts are left.", true); return; }
  current = (n + state.doubts.length) % state.doubts.length;
  const now = doubt();
  paintDoubts();
  choose(new Set(now.track === null ? [] : [now.track]));
  viewer.pause();
  viewer.go(now.frame);
  if (loop) setTimeout(() => doubt() === now && viewer.frame === now.frame && !viewer.playing && DO.loop(), 450);
}

// ---- drafts

function setDraft(draft) {
  viewer.draft = draft;
  $("draft").hidden = !draft;
  if (draft) {
    for (const input of document.getElementsByName("shape")) input.checked = input.value === draft.shape;
    const moves = draft.moves !== undefined;  // it is the place of a track that is there
    $("draft-title").textContent = moves ? `Place of track ${draft.moves} in this frame` : "New region";
    for (const made of document.querySelectorAll("#draft .new")) made.hidden = moves;
    $("draft-move").hidden = !moves;
  }
  viewer.paint();
}

async function moveHere() {
  if (await change("move", { track: viewer.draft.moves, frame: viewer.frame, box: viewer.draft.box })) setDraft(null);
}

async function place(first, last) {
  const { box, shape } = viewer.draft;
  if (await change("draw", { label: shape, box, first, last, name: $("draft-name").value || "drawn" })) {
    setDraft(null);
    choose(new Set([Math.max(...state.tracks.map((t) => t.id))]));
  }
}

function scene(n) {
  let first = viewer.limits[0], last = viewer.limits[1];
  for (const cut of clip.cuts) { if (cut <= n) first = Math.max(first, cut); else { last = Math.min(last, cut - 1); break; } }
  return [first, last];
}

// ---- what can be done

function need() {
  if (chosen.size) return true;
  say("Select a region first: click it, or its row.");
  return false;
}

function jump(places, ahead) {
  const after = places.filter((n) => (ahead ? n > viewer.frame : n < viewer.frame));
  if (after.length) { viewer.pause(); viewer.go(ahead ? Math.min(...after) : Math.max(...after)); }
}

async function keyFrame(ahead) {
  if (!need()) return;
  try { jump((await Promise.all(ids().map((id) => getJson(`/api/keys/${id}`)))).flat(), ahead); } catch (error) { await fail(error); }
}

function pace(n) {
  const choice = $("speed");
  choice.selectedIndex = Math.min(Math.max(choice.selectedIndex + n, 0), choice.length - 1);
  choice.onchange();
}

// The frames that the loop of a doubt shows.
function around({ first, last }) {
  const near = (n, ms) => Math.min(Math.max(viewer.frameAt(viewer.time(n) + ms), viewer.limits[0]), viewer.limits[1]);
  return [near(first, -AROUND_MS), near(last, AROUND_MS)];
}

async function settle(doubts) {
  if (!await change("settle", { revision: state.revision, doubts })) return;
  if (state.doubts.length) goDoubt(current); else viewer.pause();
}

const step = (n) => { viewer.pause(); viewer.go(viewer.frame + n); };
const second = (n) => { viewer.pause(); viewer.go(viewer.frameAt(viewer.time(viewer.frame) + n * 1000)); };

const DO = {
  play: () => (viewer.playing ? viewer.pause() : viewer.play()),
  back: () => step(-1), ahead: () => step(1), backSecond: () => second(-1), aheadSecond: () => second(1),
  previousCut: () => jump(clip.cuts, false), nextCut: () => jump(clip.cuts, true),
  nextUnseen: async () => {
    viewer.pause();
    try {
      await viewer.report();
      const { frame } = await (await post("/api/unseen", { after: viewer.frame })).json();
      if (frame === null) say("All frames of the excerpt were seen.", true); else await viewer.go(frame);
    } catch (error) { await fail(error); }
  },
  playUnseen: async () => {
    await DO.nextUnseen();
    try {
      const runs = await getJson("/api/seen");
      viewer.play(null, (n) => runs.some(([first, last]) => first <= n && n <= last));
    } catch (error) { await fail(error); }
  },
  previousKey: () => keyFrame(false), nextKey: () => keyFrame(true),
  first: () => step(viewer.limits[0] - viewer.frame), last: () => step(viewer.limits[1] - viewer.frame),
  nextDoubt: () => goDoubt(current + 1), previousDoubt: () => goDoubt(current - 1),
  loop: () => {
    if (doubt()) viewer.play(around(doubt()));
  },
  accept: () => look.done && settle([current]),
  acceptLoop: () => {  // with what else the loop has shown of the same person
    const now = doubt();
    if (!look.done) return;
    const [first, last] = around(now), person = (d) => track(d.track)?.group;
    const alike = (d) => d === now || (person(now) !== undefined && person(d) === person(now) && d.first >= first && d.last <= last);
    settle(state.doubts.flatMap((d, n) => (alike(d) ? [n] : [])));
  },
  coverDoubt: async () => {
    const now = doubt();
    if (!now) return;
    const [x0, y0, x1, y1] = now.box, w = (x1 - x0) * 0.35, h = (y1 - y0) * 0.35;
    const body = { revision: state.revision, frame: now.frame, box: tidy([x0 - w, y0 - h, x1 + w, y1 + h]), label: "head", name: now.reason.slice(0, 100), doubt: current };
    if (await work("follow", body, "Following what is in doubt") && state.doubts.length) goDoubt(current);
  },
  widen: () => need() && change("widen", { tracks: ids(), share: WIDER }),
  toStart: () => need() && change("extend", { tracks: ids(), to: scene(track(ids()[0]).first)[0] }),
  toEnd: () => need() && change("extend", { tracks: ids(), to: scene(track(ids()[0]).last)[1] }),
  toHere: () => need() && change("extend", { tracks: ids(), to: viewer.frame }),
  split: () => need() && change("split", { track: ids()[0], frame: viewer.frame }),
  join: () => need() && change("join", { tracks: ids() }),
  remove: async () => {
    if (!need()) return;
    if (ids().every((id) => track(id).origin === "person")) { await change("remove", { tracks: ids() }); return; }
    const given = await askShow(`${named()} will no longer be covered.`, "nobody is there", clip.who);
    if (given) await change("show", { tracks: ids(), ...given });
  },
  show: async () => {
    if (!need()) return;
    if (ids().some((id) => track(id).action === "show")) { await change("cover", { tracks: ids() }); return; }
    if (clip.never_show) { say("This review was opened with --never-show: what was found stays covered."); return; }
    const given = await askShow(`${named()} will be seen.`, "", clip.who);
    if (given) await change("show", { tracks: ids(), ...given });
  },
  follow: async () => {
    if (viewer.draft?.moves !== undefined) { await moveHere(); return; }
    if (viewer.draft) {
      const { box, shape } = viewer.draft;
      const body = { frame: viewer.frame, box, label: shape, name: $("draft-name").value || "drawn" };
      if (await work("follow", body, "Following")) { setDraft(null); choose(new Set([Math.max(...state.tracks.map((t) => t.id))])); }
      return;
    }
    if (chosen.size !== 1) { say("Select one region to follow on, or draw one."); return; }
    const { id, label, last, first } = track(ids()[0]);
    const from = viewer.frame >= last ? last : viewer.frame <= first ? first : viewer.frame;
    await viewer.go(from);
    const box = viewer.boxOf(id);
    if (box) await work("follow", { frame: from, box, label, name: "", track: id }, "Following");
  },
  draw: () => {
    const { width, height } = clip, side = Math.round(Math.min(width, height) / 5), one = chosen.size === 1 && track(ids()[0]);
    const there = one && one.origin === "person" && viewer.boxOf(one.id);
    const box = tidy([(width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2]);
    viewer.pause();
    setDraft(there ? { box: there, shape: one.label, moves: one.id } : { box, shape: "head" });
    $("overlay").focus();
  },
  camera: async () => {
    if (!need()) return;
    if (!ids().every((id) => track(id).origin === "person")) { say("Only what was drawn is kept for a camera."); return; }
    const name = await askName("Keep for a camera", "Name of the camera. Its clips are covered there with --camera NAME.");
    if (name) try { const { regions } = await (await post("/api/camera", { name, tracks: ids() })).json(); say(`Kept: the camera ${name} has ${regions} regions.`, true); } catch (error) { await fail(error); }
  },
  mark: async () => {
    const name = await askName("Keep as an example of a mark", "Name of the mark. It is looked for with --marks NAME.");
    if (name) try { const { details } = await (await post("/api/mark", { name, frame: viewer.frame, box: viewer.draft.box })).json(); say(`Kept, with ${details} details to know it by.`, true); } catch (error) { await fail(error); }
  },
  undo: () => change("undo", {}), redo: () => change("redo", {}),
  cutIn: () => work("cut", { first: viewer.frame, last: viewer.limits[1] }, "Cutting the excerpt"),
  cutOut: () => work("cut", { first: viewer.limits[0], last: viewer.frame }, "Cutting the excerpt"),
  thumbs: () => { $("thumbs").checked = !$("thumbs").checked; viewer.setThumbs($("thumbs").checked); },
  zoomIn: () => timeline.setZoom(timeline.zoom * 1.6), zoomOut: () => timeline.setZoom(timeline.zoom / 1.6),
  lines: () => { $("lines").checked = !$("lines").checked; DO.drawLines(); },
  drawLines: () => { viewer.lines = $("lines").checked; viewer.paint(); },
  magnify: () => {
    const box = viewer.draft?.box || viewer.boxOf(ids()[0]) || doubt()?.box || [0, 0, clip.width, clip.height];
    viewer.magnify(viewer.zoom > 1 ? 1 : 3, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
  },
  all: () => choose(new Set(state.tracks.filter((t) => t.first <= viewer.frame && viewer.frame <= t.last).map((t) => t.id))),
  nextTrack: () => {
    const here = (viewer.shown?.regions || []).map((region) => region[0]);
    if (here.length) choose(new Set([here[(here.indexOf(ids()[0]) + 1) % here.length]]));
  },
  slower: () => pace(-1), faster: () => pace(1),
  mute: () => sound.mark(),
  escape: () => { if (viewer.draft) setDraft(null); else if (!sound.leave()) choose(new Set()); },
  help: () => $("help").showModal(),
  signoff: async () => {
    viewer.pause();
    try {
      await changes.line;
      await viewer.report();
      const listed = state;  // before the edits: were it newer than they are, a change would be signed that is not listed
      openSignoff(listed, await getJson("/api/edits"), clip.who, (n) => viewer.time(n));
    } catch (error) { await fail(error); }
  },
};

// While something is drawn, some keys are for that. Whether this was one.
function draftKey(event, key) {
  if (!viewer.draft || event.ctrlKey) return false;
  const [x0, y0, x1, y1] = viewer.draft.box, by = Math.max(2, Math.round(clip.width / 160));
  const way = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[key];
  if (way) {
    const [dx, dy] = way;
    setDraft({ ...viewer.draft, box: event.shiftKey ? tidy([x0 - dx / 2, y0 + dy / 2, x1 + dx / 2, y1 - dy / 2].map(Math.round)) : [x0 + dx, y0 + dy, x1 + dx, y1 + dy] });
    return true;
  }
  if (viewer.draft.moves !== undefined) { if (key !== "Enter" || event.target.closest("button")) return false; moveHere(); return true; }
  if (key === "e") { setDraft({ ...viewer.draft, shape: viewer.draft.shape === "head" ? "region" : "head" }); return true; }
  const action = { Enter: DO.follow, 1: () => place(viewer.frame, viewer.frame), 2: () => place(...scene(viewer.frame)), 3: () => place(...viewer.limits), 4: DO.mark }[key];
  if (!action || (key === "Enter" && event.target.closest("button"))) return false;
  action();
  return true;
}

// ---- beginning

async function begin() {
  [clip] = [await getJson("/api/clip")];
  document.title = `Review: ${clip.name}`;
  $("clip-name").textContent = clip.name;
  showPlans(clip, () => { viewer.pause(); return viewer.report(); }, fail);
  viewer = new Viewer(clip, {
    frame: (n) => {
      if (document.activeElement !== $("frame")) $("frame").value = n;
      $("clock").textContent = clock(viewer ? viewer.time(n) : 0);
      timeline?.setFrame(n);
    },
    playing: (on) => { $("play").textContent = on ? "❚❚" : "▶"; },
    pick: (id, add) => (id === null ? choose(new Set()) : pick([id], add)),
    draft: setDraft,
    moved: (id, box) => change("move", { track: id, frame: viewer.frame, box }),
    seen: showSeen,
    shown: lookAt,
    stale: reload,
    fail,
  });
  viewer.drawable = (id) => track(id)?.origin === "person";
  timeline = new Timeline(clip, { seek: (ms) => { viewer.pause(); viewer.go(viewer.frameAt(ms)); }, pick: (wanted, add, jumpTo) => {
    pick(wanted, add);
    if (jumpTo) { viewer.pause(); viewer.go(Math.min(...wanted.map((id) => track(id).first))); }
  } });
  sound = new Sound({ change, revision: () => state.revision, frame: () => viewer.frame, seek: (ms) => { viewer.pause(); viewer.go(viewer.frameAt(ms)); },
    first: () => viewer.time(state.first), end: () => viewer.time(state.first + state.frames - 1) + timeline.step });
  take(await getJson("/api/state"));
  viewer.frame = -1;
  if (state.doubts.length) goDoubt(0, false); else viewer.go(state.first);
  const buttons = { undo: DO.undo, redo: DO.redo, "help-open": DO.help, "signoff-open": DO.signoff, "zoom-in": DO.zoomIn, "zoom-out": DO.zoomOut,
    "draft-follow": DO.follow, "draft-frame": () => place(viewer.frame, viewer.frame), "draft-scene": () => place(...scene(viewer.frame)),
    "draft-clip": () => place(...viewer.limits), "draft-mark": DO.mark, "draft-cancel": () => setDraft(null), "draft-move": moveHere, "cut-in": DO.cutIn, "cut-out": DO.cutOut,
    "signoff-yes": () => signOff(reload, DO.signoff), "signoff-no": () => $("signoff").close(),
    finish: async () => { viewer.pause(); viewer.ended = true; await post("/api/close", {}); $("signoff-result").prepend(element("p", "The review has ended. You can close this window.", { id: "ended" }));
      $("finish").hidden = $("next-clip").hidden = $("signoff-no").hidden = true; } };
  for (const [id, action] of Object.entries(buttons)) $(id).onclick = action;
  for (const made of document.querySelectorAll("[data-key]")) {
    const action = DO[made.dataset.key.replace(/-(.)/g, (_, letter) => letter.toUpperCase())];
    made.onclick = (event) => { action(); if (event.detail) $("overlay").focus(); };  // after the mouse, Space plays again
  }
  for (const input of document.getElementsByName("shape")) input.onchange = () => viewer.draft && setDraft({ ...viewer.draft, shape: input.value });
  $("lines").onchange = DO.drawLines;
  $("thumbs").onchange = () => viewer.setThumbs($("thumbs").checked);
  $("speed").onchange = () => { viewer.speed = Number($("speed").value); };
  $("frame").onfocus = () => viewer.pause();
  $("frame").onchange = () => { viewer.pause(); viewer.go(Number($("frame").value)); };
  $("frame").onkeydown = (event) => { if (event.key === "Enter") $("overlay").focus(); };
  if (state.job?.running) changes.watch("Still being done");
  const keys = keyMap(DO);
  const under = new Under(viewer, ids, fail);
  listen(keys, { first: draftKey, hold: () => under.look(), release: () => under.stop() });
  showMap(keys);
  document.addEventListener("visibilitychange", () => document.hidden && viewer.pause());
  document.body.dataset.ready = "yes";
}

begin().catch((error) => say(`${error.message} ${error.advice || ""}`));
