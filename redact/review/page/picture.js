// The covered picture: frames by their number, playing, and what is drawn over them.

import { get, post } from "./api.js";

const AHEAD = 6;         // frames that are fetched before they are needed
const KEPT = 48;         // frames that are kept for stepping and looping
const LEAST_SEEN = 480;  // pixels of width from which a frame counts as seen, or all that the clip has
const MOST_ZOOM = 4;     // times that the picture is magnified at most
const HANDLE = 7;        // pixels of the screen within which a corner is grasped
const COLOURS = { cover: "#5cc8ff", show: "#ff7b7b", drawn: "#a897ff", chosen: "#ffd75e", doubt: "#ffa14a", draft: "#ffd75e" };

export class Viewer {
  constructor(clip, on) {
    this.clip = clip;
    this.on = on;                       // {frame(n), playing(on), pick(id, add), draft(draft), moved(id, box), seen(count), shown(), stale(), fail(error)}
    this.picture = document.getElementById("picture");
    this.overlay = document.getElementById("overlay");
    this.stage = document.getElementById("stage");
    this.limits = [clip.first, clip.first + clip.times.length - 1];
    this.frame = clip.first;
    this.shown = null;                  // {frame, regions}
    this.kept = new Map();
    this.revision = -1;
    this.playing = false;
    this.loop = null;                   // [first, last]
    this.speed = 1;
    this.ended = false;                 // nobody answers any more
    this.thumbs = false;
    this.lines = true;                  // around what is covered and not selected
    this.zoom = 1;
    this.focus = [0, 0];                // the point of the clip's picture that is in the middle when magnified
    this.chosen = new Set();
    this.doubt = null;
    this.draft = null;                  // {box, shape}
    this.under = null;                  // {bitmap, box}
    this.seen = new Set();
    this.drawable = () => false;        // whether a track may be moved
    this.drag = null;
    new ResizeObserver(() => this.fit()).observe(this.stage);
    this.overlay.addEventListener("pointerdown", (event) => this.press(event));
    this.overlay.addEventListener("pointermove", (event) => this.pull(event));
    this.overlay.addEventListener("pointerup", (event) => this.release(event));
    this.overlay.addEventListener("pointercancel", () => { this.drag = null; this.paint(); });
    this.overlay.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.magnify(this.zoom * (event.deltaY < 0 ? 1.3 : 1 / 1.3), this.at(event));
    }, { passive: false });
    setInterval(() => this.report(), 2000);
    addEventListener("pagehide", () => this.report());
    this.fit();
  }

  fit() {
    const { width, height } = this.clip;
    const room = this.thumbs ? { w: 240, h: 240 } : { w: this.stage.clientWidth, h: this.stage.clientHeight };
    const scale = Math.max(Math.min(room.w / width, room.h / height), 0.01) * this.zoom;
    this.scale = scale;
    const w = Math.round(width * scale), h = Math.round(height * scale);
    const begin = (whole, size, at) => Math.round(size <= whole ? (whole - size) / 2 : Math.min(0, Math.max(whole - size, whole / 2 - at * scale)));
    const left = begin(this.stage.clientWidth, w, this.focus[0]), top = begin(this.stage.clientHeight, h, this.focus[1]);
    for (const canvas of [this.picture, this.overlay]) {
      canvas.style.left = `${left}px`; canvas.style.top = `${top}px`;
      canvas.style.width = `${w}px`; canvas.style.height = `${h}px`;
    }
    const dense = Math.min(devicePixelRatio || 1, 2);
    this.overlay.width = Math.round(w * dense); this.overlay.height = Math.round(h * dense);
    this.dense = dense;
    const wanted = Math.min(width, Math.max(160, Math.ceil((w * dense) / 160) * 160));
    if (wanted !== this.width) { this.width = wanted; this.kept.clear(); this.go(this.frame, true); } else { this.redraw(); }
  }

  setThumbs(on) { this.thumbs = on; this.zoom = 1; this.fit(); }

  magnify(zoom, point) {
    this.zoom = this.thumbs ? 1 : Math.min(Math.max(zoom, 1), MOST_ZOOM);
    this.focus = point;
    this.fit();
  }

  setRevision(revision) {
    if (revision === this.revision) return;
    this.revision = revision;
    this.kept.clear();
    this.go(this.frame, true);
  }

  fetch(n) {
    const known = this.kept.get(n);
    if (known) { this.kept.delete(n); this.kept.set(n, known); return known; }
    const width = this.width, revision = this.revision;
    const coming = get(`/frame/${n}?w=${width}`).then(async (response) => {
      const regions = JSON.parse(response.headers.get("x-regions"));
      if (revision === this.revision && Number(response.headers.get("x-revision")) !== revision) this.on.stale();
      return { frame: n, bitmap: await createImageBitmap(await response.blob()), regions };
    });
    coming.catch(() => this.kept.get(n) === coming && this.kept.delete(n));
    this.kept.set(n, coming);
    while (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return coming;
  }

  // Show a frame, as soon as it is there; the newest wish counts.
  async go(n, again = false) {
    n = Math.min(Math.max(n, this.limits[0]), this.limits[1]);
    if (n === this.frame && this.shown && !again) return;
    this.frame = n;
    this.under = null;
    this.on.frame(n);
    if (this.revision < 0 || this.ended) return;
    try {
      const got = await this.fetch(n);
      if (n === this.frame) this.present(got);
    } catch (error) { this.on.fail(error); }
  }

  present(got) {
    this.shown = got;
    this.redraw();
    this.on.shown();
  }

  redraw() {
    if (!this.shown) return;
    const { bitmap } = this.shown;
    if (this.picture.width !== bitmap.width || this.picture.height !== bitmap.height) {
      this.picture.width = bitmap.width; this.picture.height = bitmap.height;
    }
    this.picture.getContext("2d").drawImage(bitmap, 0, 0);
    this.picture.setAttribute("aria-label", `Frame ${this.shown.frame}, covered, with ${this.shown.regions.length} regions`);
    this.picture.dataset.frame = this.shown.frame;
    const whole = !this.thumbs && this.zoom === 1 && bitmap.width >= Math.min(LEAST_SEEN, this.clip.width);
    if (whole && document.visibilityState === "visible") this.seen.add(this.shown.frame);
    this.paint();
  }

  async report(extra) {
    if (!this.seen.size || this.ended) return;
    const frames = [...this.seen].slice(0, 2000);
    frames.forEach((n) => this.seen.delete(n));
    try {
      const body = await (await post("/api/seen", { frames }, { keepalive: true, ...extra })).json();
      this.on.seen(body.seen);
    } catch { frames.forEach((n) => this.seen.add(n)); }
  }

  // Play: every frame is shown, none is skipped; where they come too slowly, it plays slower.
  // `skip` says which frames are passed over.
  async play(loop = null, skip = () => false) {
    this.loop = loop;
    if (this.playing) return;
    this.playing = true;
    this.on.playing(true);
    let due = performance.now();
    while (this.playing) {
      const [first, last] = this.loop || this.limits;
      const here = this.frame;
      let next = here + 1;
      while (next <= last && skip(next)) next += 1;
      if (next > last || here < first) {
        if (!this.loop) break;
        next = first;
        due += 300;
      }
      for (let n = next; n <= Math.min(next + AHEAD, last); n++) if (!skip(n)) this.fetch(n).catch(() => {});
      try {
        const got = await this.fetch(next);
        if (!this.playing || this.frame !== here) { due = performance.now(); continue; }
        const step = Math.max(this.time(next) - this.time(here), 1) / this.speed;
        due = Math.max(due + Math.min(step, 1000), performance.now() - 250);
        await new Promise((done) => setTimeout(done, Math.max(0, due - performance.now())));
        await new Promise(requestAnimationFrame);
        if (!this.playing || this.frame !== here) continue;
        this.frame = next;
        this.under = null;
        this.present(got);
        this.on.frame(next);
      } catch (error) { this.on.fail(error); break; }
    }
    this.playing = false;
    this.loop = null;
    this.on.playing(false);
  }

  pause() { this.playing = false; }
  time(n) { return this.clip.times[n - this.clip.first] ?? 0; }

  frameAt(ms) {
    const { times, first } = this.clip;
    let low = 0, high = times.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (times[middle] <= ms) low = middle; else high = middle - 1; }
    return first + low;
  }

  // ---- what is drawn over the picture

  paint() {
    const context = this.overlay.getContext("2d");
    const k = this.scale * this.dense;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (this.under) {
      const [x0, y0, x1, y1] = this.under.box;
      context.drawImage(this.under.bitmap, x0 * k, y0 * k, (x1 - x0) * k, (y1 - y0) * k);
    }
    const line = (box, colour, width, dash = [], round = false) => {
      const [x0, y0, x1, y1] = box.map((v) => v * k);
      for (const [ink, size] of [["#000", width + 2], [colour, width]]) {
        context.strokeStyle = ink; context.lineWidth = size * this.dense; context.setLineDash(dash.map((v) => v * this.dense));
        context.beginPath();
        if (round) context.ellipse((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 0, 0, 7);
        else context.rect(x0, y0, x1 - x0, y1 - y0);
        context.stroke();
      }
    };
    const word = (text, x, y, colour) => {
      context.font = `${12 * this.dense}px system-ui`;
      const w = context.measureText(text).width + 6 * this.dense, h = 16 * this.dense;
      const left = Math.max(0, Math.min(x * k, this.overlay.width - w)), top = Math.max(h, y * k);
      context.fillStyle = "#000c"; context.fillRect(left, top - h, w, h);
      context.fillStyle = colour; context.fillText(text, left + 3 * this.dense, top - 4 * this.dense);
    };
    for (const [id, x0, y0, x1, y1, covered] of this.shown?.regions || []) {
      const chosen = this.chosen.has(id);
      if (!chosen && covered && !this.lines) continue;
      let box = [x0, y0, x1, y1];
      if (chosen && this.drag?.id === id && this.drag.box) box = this.drag.box;
      const colour = chosen ? COLOURS.chosen : !covered ? COLOURS.show : this.drawable(id) ? COLOURS.drawn : COLOURS.cover;
      context.globalAlpha = chosen || !covered || !this.chosen.size ? 1 : 0.6;
      line(box, colour, chosen ? 2 : 1, covered ? [] : [6, 4]);
      context.globalAlpha = 1;
      if (chosen || !covered) word(covered ? `${id}` : `${id} SHOWN`, box[0], box[1], colour);
      if (chosen && this.drawable(id)) this.handles(context, box, k);
    }
    if (this.doubt && this.frame >= this.doubt.first && this.frame <= this.doubt.last) {
      const exact = this.frame === this.doubt.frame;
      context.globalAlpha = exact ? 1 : 0.45;
      line(this.doubt.box, COLOURS.doubt, 2, [4, 4]);
      if (exact) word("doubt", this.doubt.box[0], this.doubt.box[3] + 16 / this.scale, COLOURS.doubt);
      context.globalAlpha = 1;
    }
    if (this.draft) {
      if (this.draft.shape === "head") line(this.draft.box, COLOURS.draft, 2, [], true);
      line(this.draft.box, COLOURS.draft, this.draft.shape === "head" ? 1 : 2, this.draft.shape === "head" ? [3, 3] : []);
      this.handles(context, this.draft.box, k);
    }
  }

  handles(context, box, k) {
    context.setLineDash([]);
    for (const x of [box[0], box[2]]) for (const y of [box[1], box[3]]) {
      context.fillStyle = "#000"; context.fillRect(x * k - 5 * this.dense, y * k - 5 * this.dense, 10 * this.dense, 10 * this.dense);
      context.fillStyle = COLOURS.chosen; context.fillRect(x * k - 4 * this.dense, y * k - 4 * this.dense, 8 * this.dense, 8 * this.dense);
    }
  }

  at(event) {
    const place = this.overlay.getBoundingClientRect();
    return [(event.clientX - place.left) / this.scale, (event.clientY - place.top) / this.scale];
  }

  // Which corner or inside of a box is grasped at a point, or null.
  grasp(box, [x, y]) {
    const near = HANDLE / this.scale;
    const side = (v, a, b) => (Math.abs(v - a) < near ? -1 : Math.abs(v - b) < near ? 1 : v > a && v < b ? 0 : null);
    const h = side(x, box[0], box[2]), v = side(y, box[1], box[3]);
    return h === null || v === null ? null : [h, v];
  }

  boxOf(id) {
    const found = this.shown?.regions.find((region) => region[0] === id);
    return found ? found.slice(1, 5) : null;
  }

  press(event) {
    if (event.button || !this.shown) return;
    this.pause();
    this.overlay.focus({ preventScroll: true });
    const point = this.at(event);
    this.overlay.setPointerCapture(event.pointerId);
    if (this.draft) {
      const how = this.grasp(this.draft.box, point);
      if (how) { this.drag = { kind: "draft", how, from: point, start: this.draft.box }; return; }
    }
    for (const id of this.chosen) {
      const box = this.drawable(id) && this.boxOf(id);
      const how = box && this.grasp(box, point);
      if (how) { this.drag = { kind: "move", id, how, from: point, start: box }; return; }
    }
    this.drag = { kind: "new", from: point };
  }

  pull(event) {
    if (!this.drag) return;
    const [x, y] = this.at(event), { kind, from, how, start } = this.drag;
    if (kind === "new") {
      if (Math.hypot(x - from[0], y - from[1]) * this.scale < 6) return;
      this.draft = { shape: this.draft?.shape || "head", box: tidy([from[0], from[1], x, y]) };
      this.drag.made = true;
      this.on.draft(this.draft);
    } else {
      const dx = x - from[0], dy = y - from[1], whole = how[0] === 0 && how[1] === 0;
      const moved = tidy([
        start[0] + (whole || how[0] < 0 ? dx : 0), start[1] + (whole || how[1] < 0 ? dy : 0),
        start[2] + (whole || how[0] > 0 ? dx : 0), start[3] + (whole || how[1] > 0 ? dy : 0)]);
      this.drag.box = moved;
      if (kind === "draft") { this.draft.box = moved; this.on.draft(this.draft); }
    }
    this.paint();
  }

  release(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (drag.kind === "move" && drag.box) this.on.moved(drag.id, drag.box);
    else if (!drag.made && drag.kind !== "draft" && !drag.box) this.pick(drag.from, event.shiftKey || event.ctrlKey);
    this.paint();
  }

  pick([x, y], add) {
    const inside = (this.shown?.regions || []).filter(([, x0, y0, x1, y1]) => x >= x0 && x < x1 && y >= y0 && y < y1);
    inside.sort((a, b) => (a[3] - a[1]) * (a[4] - a[2]) - (b[3] - b[1]) * (b[4] - b[2]));
    this.on.pick(inside.length ? inside[0][0] : null, add);
  }
}

export function tidy([x0, y0, x1, y1]) {
  const left = Math.floor(Math.min(x0, x1)), top = Math.floor(Math.min(y0, y1));
  return [left, top, Math.max(Math.ceil(Math.max(x0, x1)), left + 2), Math.max(Math.ceil(Math.max(y0, y1)), top + 2)];
}
