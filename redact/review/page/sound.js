// The sound of the copy: whether it is kept, and the parts that are muted. Nothing is ever played.

import { clock } from "./timeline.js";
import { $, differs, element, say, single } from "./words.js";

export class Sound {
  constructor(on) {
    this.on = on;        // {change(wish, body), revision(), frame(), seek(ms), first(), end()}
    this.from = null;    // the frame from which on is to be muted, until the other end is named
    $("sound-keep").onchange = () => on.change("sound", { how: $("sound-keep").checked ? "keep" : "none" });
    $("sound-beep").onchange = () => on.change("sound", { how: $("sound-beep").checked ? "beep" : "silence" });
    $("mute").onclick = () => this.mark();
  }

  // The first call names one end of a part, the second the other.
  async mark() {
    if (this.sound.audio === "none") { say("The copy has no sound, so there is nothing to mute. Keep the clip's sound first, under “Sound of the copy”."); return; }
    const here = this.on.frame();
    if (this.from === null) {
      this.from = here;
      say(`Muted from frame ${here}. Go to the other end and press K again; Esc leaves it.`, true);
    } else {
      const first = Math.min(this.from, here), last = Math.max(this.from, here);
      this.from = null;
      await this.on.change("mute", { first, last });
    }
    this.paint();
  }

  // Whether there was something to leave.
  leave() {
    const was = this.from !== null;
    this.from = null;
    this.paint();
    return was;
  }

  setState(sound) { this.sound = sound; this.paint(); }

  paint() {
    const { audio, beep, mute } = this.sound, first = this.on.first(), end = this.on.end();
    $("sound-keep").checked = audio !== "none";
    $("sound-words").textContent = audio === "file" ? "sound of a file, put in its place" : "keep the clip's sound";
    $("sound-beep").checked = beep;
    $("sound-beep").disabled = !mute.length;
    $("mute").replaceChildren(this.from === null ? "Mute from here" : `Mute frame ${this.from} to here`, " ", element("kbd", "K"));
    $("mute").disabled = audio === "none";
    $("mute").title = audio === "none" ? "The copy has no sound: keep the clip's sound first" : "Mute from this frame, then to another (K)";
    if (!differs("muted", mute, first, end)) return;
    $("muted").replaceChildren(...mute.map(([a, b], place) => {
      const item = element("li"), words = span([a, b], first, end);
      const unmute = single(() => this.on.change("unmute", { revision: this.on.revision(), place }));
      item.append(element("button", words, { title: "Go there", onclick: () => this.on.seek(Math.max(a, first)) }),
        element("button", "×", { title: `Let ${words} be heard again`, ariaLabel: `Let ${words} be heard again`, onclick: unmute }));
      return item;
    }));
  }
}

// A muted part in words; times in milliseconds, cut to the excerpt.
export function span([a, b], first, end) {
  return `${clock(Math.max(a, first))} to ${clock(Math.min(b, end))}`;
}
