// The keys: what each does, and the map that shows them.

import { $, element } from "./words.js";

// [key, with shift, with ctrl, what, words]
export const keyMap = (DO) => [
  [" ", 0, 0, DO.play, "Play, pause"], ["ArrowLeft", 0, 0, DO.back, "One frame back"], ["ArrowRight", 0, 0, DO.ahead, "One frame ahead"],
  ["ArrowLeft", 1, 0, DO.backSecond, "1 s back"], ["ArrowRight", 1, 0, DO.aheadSecond, "1 s ahead"],
  ["Home", 0, 0, DO.first, "First frame"], ["End", 0, 0, DO.last, "Last frame"],
  ["[", 0, 0, DO.previousCut, "Previous cut"], ["]", 0, 0, DO.nextCut, "Next cut"],
  [",", 0, 0, DO.previousKey, "Previous key frame of the selected region"], [".", 0, 0, DO.nextKey, "Next key frame"],
  ["v", 0, 0, DO.nextUnseen, "Next frame that was not seen"], ["v", 1, 0, DO.playUnseen, "Play from there on what was not seen, and nothing else"], ["<", 0, 0, DO.slower, "Play slower"], [">", 0, 0, DO.faster, "Play faster"],
  ["n", 0, 0, DO.nextDoubt, "Next doubt"], ["p", 0, 0, DO.previousDoubt, "Previous doubt"], ["l", 0, 0, DO.loop, "Loop the doubt"],
  ["a", 0, 0, DO.accept, "Accept the doubt: it is fine as it is"], ["a", 1, 0, DO.acceptLoop, "Accept all doubts of this person that the loop shows"], ["c", 0, 0, DO.coverDoubt, "Cover what is in doubt, and follow it"],
  ["r", 0, 0, DO.nextTrack, "Select the next region of the frame"], ["a", 0, 1, DO.all, "Select all regions of the frame"],
  ["w", 0, 0, DO.widen, "Widen"], ["s", 0, 0, DO.toStart, "Extend to the start of the scene"], ["e", 0, 0, DO.toEnd, "Extend to the end of the scene"],
  ["g", 0, 0, DO.toHere, "Extend to this frame"], ["f", 0, 0, DO.follow, "Follow on by the picture"],
  ["b", 0, 0, DO.split, "Split here"], ["j", 0, 0, DO.join, "Join"], ["h", 0, 0, DO.show, "Leave visible, or cover again"], ["x", 0, 0, DO.remove, "Delete, or not needed"],
  ["u", 0, 0, null, "Hold: look under the selected cover"], ["d", 0, 0, DO.draw, "Draw, or move what was drawn: arrows, Shift+arrows for its size, E for a box or an ellipse, Enter"],
  ["y", 0, 0, DO.camera, "Keep what was drawn for a camera"],
  ["i", 0, 0, DO.cutIn, "The excerpt begins here"], ["o", 0, 0, DO.cutOut, "The excerpt ends here"],
  ["k", 0, 0, DO.mute, "Mute the sound from here; again: to here"],
  ["z", 0, 0, DO.undo, "Undo"], ["z", 1, 0, DO.redo, "Redo"], ["z", 0, 1, DO.undo, ""], ["z", 1, 1, DO.redo, ""], ["y", 0, 1, DO.redo, ""],
  ["t", 0, 0, DO.thumbs, "Thumbnails only"], ["q", 0, 0, DO.lines, "Hide or show the lines around covers"], ["m", 0, 0, DO.magnify, "Magnify what is selected (or turn the wheel)"], ["+", 0, 0, DO.zoomIn, "Zoom the timeline in"], ["-", 0, 0, DO.zoomOut, "Zoom the timeline out"],
  ["Enter", 0, 1, DO.signoff, "Sign off"], ["?", 0, 0, DO.help, "This map"], ["Escape", 0, 0, DO.escape, "Nothing selected; leave the drawing"],
];
const SHOWN = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", "+": "+", "-": "−" };

// Listen to the keys; of those that are held down only the arrows are taken again and again. `first` may take a key before the map does; `hold` and `release` are for the one that is held down.
export function listen(keys, { first, hold, release }) {
  addEventListener("keydown", (event) => {
    if (event.target.closest("dialog, select, input:not([type=checkbox]):not([type=radio])")) return;
    if (event.altKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const held = event.repeat && !key.startsWith("Arrow");
    if (!held && first(event, key)) { event.preventDefault(); return; }
    if (key === "u" && !event.ctrlKey) { if (!held) hold(); return; }
    if ((key === " " || key === "Enter") && event.target.closest("button, summary") && !event.ctrlKey) return;
    const plain = !/^[a-z]$/.test(key) && key.length === 1;
    const found = keys.find(([k, shift, ctrl]) => k === key && (plain || !!shift === event.shiftKey) && !!ctrl === event.ctrlKey);
    if (!found || !found[3]) return;
    event.preventDefault();
    if (!held) found[3]();
  });
  addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "u") release(); });
}

export function showMap(keys) {
  $("keys").append(...keys.filter((key) => key[4]).map(([key, shift, ctrl, , words]) => {
    const row = element("tr"), cell = element("td");
    cell.append(element("kbd", `${ctrl ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${SHOWN[key] || (key.length === 1 ? key.toUpperCase() : key)}`));
    row.append(cell, element("td", words));
    return row;
  }));
}
