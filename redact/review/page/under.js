// Looking under a cover: held down, for the selected track only.

import { post } from "./api.js";
import { $, say } from "./words.js";

// `selected` gives the numbers of the tracks that are selected; `fail` says what went wrong.
export class Under {
  constructor(viewer, selected, fail) {
    Object.assign(this, { viewer, selected, fail, wish: 0 });
    $("looker").onpointerdown = () => this.look();
    for (const name of ["pointerup", "pointerleave", "pointercancel", "blur"]) $("looker").addEventListener(name, () => this.stop());
    addEventListener("blur", () => this.stop());
  }

  async look() {
    const ids = this.selected(), { viewer } = this;
    if (ids.length !== 1) { say("Select one region first, then hold."); return; }
    viewer.pause();
    const mine = ++this.wish, frame = viewer.frame;
    try {
      const response = await post("/api/uncover", { frame, track: ids[0], grey: !$("colour").checked });
      const bitmap = await createImageBitmap(await response.blob());
      if (mine !== this.wish || frame !== viewer.frame) return;
      viewer.under = { bitmap, box: response.headers.get("x-box").split(",").map(Number) };
      $("looker").classList.add("down");
      viewer.paint();
    } catch (error) { await this.fail(error); }
  }

  stop() {
    this.wish += 1;
    this.viewer.under = null;
    $("looker").classList.remove("down");
    this.viewer.paint();
  }
}
