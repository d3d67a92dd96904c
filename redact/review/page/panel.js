// The panel beside the picture: the doubt that is open, the list of all, and what is selected.

import { clock } from "./timeline.js";
import { $, button, differs, element, single } from "./words.js";

// What a reason means, and what to look at.
const HINTS = [
  ["without being seen", "No face was seen there; the cover was carried on by the picture. Is it still in its place?"],
  ["begins inside", "Is anything of the person to be seen in the frames before?"],
  ["ends inside", "Is anything of the person to be seen in the frames after it?"],
  ["not covered", "Is somebody there? Then cover it."],
];

// `time` is from a frame to its milliseconds; `go` turns to a doubt.
export function showDoubts(doubts, current, time, go, DO) {
  if (!differs("doubts", doubts, current)) return;
  const now = doubts[current];
  const card = $("doubt");
  if (!now) {
    card.replaceChildren(element("p", "No doubts are left. Look through what was not seen yet (Shift+V plays it), then sign off (Ctrl+Enter).", { className: "faint" }));
  } else {
    const row = element("p", undefined, { className: "buttons" });
    row.append(button("Accept", "A", single(DO.accept), { className: "primary accept" }), button("Accept loop", "Shift+A", single(DO.acceptLoop), { className: "accept" }), button("Cover", "C", single(DO.coverDoubt)),
      button("Next", "N", DO.nextDoubt), button("Back", "P", DO.previousDoubt), button("Loop", "L", DO.loop));
    card.replaceChildren(
      element("p", `${current + 1} of ${doubts.length}, risk ${now.risk.toFixed(2)}, ${clock(time(now.frame))}`),
      element("p", `${now.reason[0].toUpperCase()}${now.reason.slice(1)}.`, { id: "doubt-reason" }),
      element("p", HINTS.find(([words]) => now.reason.includes(words))?.[1], { className: "faint" }), row);
  }
  $("doubts").replaceChildren(...doubts.map((d, n) => {
    const line = element("button", undefined, { onclick: () => go(n), title: d.reason });
    line.append(element("span", d.risk.toFixed(2)), element("span", clock(time(d.frame), false)), element("span", d.reason));
    if (n === current) line.setAttribute("aria-current", "true");
    const item = element("li");
    item.append(line);
    return item;
  }));
  $("doubts").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

export function showSelected(tracks, neverShow, DO) {
  if (!differs("selected", tracks, neverShow)) return;
  const box = $("selected");
  if (!tracks.length) {
    box.replaceChildren(element("p", "Nothing. Click a region or a row; drag on the picture to draw a new region.", { className: "faint" }));
    return;
  }
  const one = tracks.length === 1 ? tracks[0] : null;
  const lines = one
    ? [`Track ${one.id}: ${one.label}, frames ${one.first} to ${one.last}`,
       `${one.action === "show" ? "SHOWN" : "covered"}; ${one.origin === "person" ? "drawn by a person" : one.origin === "verification" ? "found in the copy" : "found by the program"}${one.reason ? `: ${one.reason}` : ""}${one.by ? ` (${one.by})` : ""}`]
    : [`${tracks.length} tracks: ${tracks.map((t) => t.id).join(", ")}`];
  const drawn = tracks.every((t) => t.origin === "person");
  const parts = lines.map((line) => element("p", line, { className: one?.action === "show" ? "bad" : "" }));
  const row = element("p", undefined, { className: "buttons" });
  row.append(
    button("Widen", "W", DO.widen), button("Extend to start", "S", DO.toStart), button("to end", "E", DO.toEnd),
    button("to here", "G", DO.toHere), button("Follow on", "F", DO.follow), button("Split here", "B", DO.split),
    button("Join", "J", DO.join, { disabled: tracks.length < 2 }),
    tracks.some((t) => t.action === "show") ? button("Cover again", "H", DO.show) : button("Leave visible…", "H", DO.show, { disabled: neverShow && !drawn }),
    button(drawn ? "Delete" : "Not needed…", "X", DO.remove, { disabled: neverShow && !drawn }));
  if (drawn) row.append(button("Move", "D", DO.draw), button("Keep for camera…", "Y", DO.camera));
  box.replaceChildren(...parts, row);
}
