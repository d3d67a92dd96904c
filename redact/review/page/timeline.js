// The timeline: a ruler with doubts and cuts, and a row for each person.

const NAMES = { face: "Person", head: "Person", person: "Person", text: "Text", code: "Code", plate: "Plate", mark: "Mark", nudity: "Body", region: "Region" };

export class Timeline {
  constructor(clip, on) {
    this.clip = clip;
    this.on = on;                     // {seek(ms), pick(ids, add, jumpTo)}
    this.zoom = 1;
    this.begin = clip.times[0];
    const length = clip.times[clip.times.length - 1] - this.begin;
    const step = clip.times.length > 1 ? length / (clip.times.length - 1) : 40;
    this.length = Math.max(length + step, 1);
    this.step = step;
    this.lanes = document.getElementById("lanes");
    this.inner = document.getElementById("lanes-inner");
    this.ruler = document.getElementById("ruler");
    this.rows = document.getElementById("rows");
    this.head = document.getElementById("playhead");
    this.pieces = new Map();
    this.names = [];
    this.state = null;
    this.ruler.addEventListener("pointerdown", (event) => { this.ruler.setPointerCapture(event.pointerId); this.drag = true; this.seekTo(event); });
    this.ruler.addEventListener("pointermove", (event) => this.drag && this.seekTo(event));
    this.ruler.addEventListener("pointerup", () => { this.drag = false; });
    this.rows.addEventListener("click", (event) => this.click(event));
    this.lanes.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.setZoom(this.zoom * (event.deltaY < 0 ? 1.4 : 1 / 1.4));
    }, { passive: false });
    new ResizeObserver(() => this.drawRuler()).observe(this.lanes);
  }

  share(n) { return (this.clip.times[n - this.clip.first] - this.begin) / this.length; }
  end(n) { const next = this.clip.times[n + 1 - this.clip.first]; return next === undefined ? 1 : (next - this.begin) / this.length; }

  seekTo(event) {
    const place = this.ruler.getBoundingClientRect();
    this.on.seek(this.begin + ((event.clientX - place.left) / place.width) * this.length);
  }

  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const add = event.shiftKey || event.ctrlKey;
    if (button.dataset.track) {
      this.on.pick([Number(button.dataset.track)], add);
      const place = this.ruler.getBoundingClientRect();
      if (event.clientX) this.on.seek(this.begin + ((event.clientX - place.left) / place.width) * this.length);
    } else {
      this.on.pick(button.dataset.tracks.split(",").map(Number), add, true);
    }
  }

  setZoom(zoom) {
    const middle = (this.lanes.scrollLeft + this.lanes.clientWidth / 2) / this.inner.clientWidth;
    this.zoom = Math.min(Math.max(zoom, 1), 60);
    this.inner.style.width = this.zoom === 1 ? "" : `${this.zoom * (this.lanes.clientWidth - 170)}px`;
    this.drawRuler();
    this.lanes.scrollLeft = middle * this.inner.clientWidth - this.lanes.clientWidth / 2;
  }

  setState(state) {
    this.state = state;
    const groups = new Map();
    for (const track of state.tracks) {
      if (!groups.has(track.group)) groups.set(track.group, []);
      groups.get(track.group).push(track);
    }
    const rank = (tracks) => (NAMES[tracks[0].label] === "Person" ? 0 : 1);
    const ordered = [...groups.values()].sort((a, b) => rank(a) - rank(b) || Math.min(...a.map((t) => t.first)) - Math.min(...b.map((t) => t.first)));
    this.pieces.clear();
    const counts = {};
    const made = document.createDocumentFragment();
    this.names = [];
    for (const tracks of ordered) {
      const word = NAMES[tracks[0].label] || tracks[0].label;
      counts[word] = (counts[word] || 0) + 1;
      const lane = document.createElement("div");
      lane.className = "lane";
      lane.setAttribute("role", "listitem");
      const name = document.createElement("button");
      name.className = "name";
      name.dataset.tracks = tracks.map((t) => t.id).join(",");
      name.textContent = `${word} ${counts[word]}` + (tracks.length > 1 ? ` (${tracks.length} tracks)` : "");
      name.title = `${name.textContent}. Select all its tracks${tracks[0].reason ? `: ${tracks[0].reason}` : ""}`;
      const bar = document.createElement("div");
      bar.className = "bar";
      lane.append(name, bar);
      this.names.push(name);
      for (const track of tracks) {
        const piece = document.createElement("button");
        piece.className = `piece${track.action === "show" ? " shown" : track.origin === "person" ? " drawn" : ""}`;
        piece.dataset.track = track.id;
        piece.style.left = `${this.share(track.first) * 100}%`;
        piece.style.width = `${(this.end(track.last) - this.share(track.first)) * 100}%`;
        const words = `Track ${track.id}, ${track.label}, frames ${track.first} to ${track.last}, ${track.action === "show" ? "SHOWN" : "covered"}`;
        piece.title = words;
        piece.setAttribute("aria-label", words);
        bar.append(piece);
        this.pieces.set(track.id, piece);
      }
      made.append(lane);
    }
    this.rows.replaceChildren(made);
    const words = `${counts.Person || 0} person${counts.Person === 1 ? "" : "s"}`;
    Object.assign(document.getElementById("persons"), { textContent: state.looking ? `${words}…` : words,
      title: `${state.tracks.length} tracks${state.looking ? "; clothes and faces are still being looked at, and rows may become one" : ""}` });
    this.drawRuler();
  }

  choose(ids) {
    for (const [id, piece] of this.pieces) piece.classList.toggle("chosen", ids.has(id));
    for (const name of this.names) name.classList.toggle("chosen", name.dataset.tracks.split(",").some((id) => ids.has(Number(id))));
    const first = this.pieces.get([...ids][0]);
    first?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  setFrame(n) {
    this.head.style.left = `${this.share(n) * 100}%`;
    if (this.zoom > 1) {
      const x = this.share(n) * this.inner.clientWidth, room = this.lanes.clientWidth - 170;
      if (x < this.lanes.scrollLeft || x > this.lanes.scrollLeft + room) this.lanes.scrollLeft = x - room / 2;
    }
  }

  drawRuler() {
    const width = this.inner.clientWidth, height = 30, dense = Math.min(devicePixelRatio || 1, 2);
    const drawn = Math.min(width * dense, 16000);
    this.ruler.width = drawn; this.ruler.height = height * dense;
    this.ruler.style.width = `${width}px`;
    const context = this.ruler.getContext("2d"), k = drawn / width;
    context.scale(k, dense);
    const steps = [100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000, 120000, 300000, 600000, 1800000];
    const step = steps.find((s) => (s / this.length) * width > 70) || 3600000;
    context.font = "11px system-ui"; context.fillStyle = "#a3abb8";
    for (let t = Math.ceil(this.begin / step) * step; t < this.begin + this.length; t += step) {
      const x = ((t - this.begin) / this.length) * width;
      context.fillRect(x, 0, 1, 6);
      context.fillText(clock(t, step < 1000), x + 3, 11);
    }
    if (!this.state) return;
    context.fillStyle = "#fff9";
    for (const cut of this.clip.cuts) context.fillRect(this.share(cut) * width, 16, 1, 14);
    for (const doubt of this.state.doubts) {
      context.fillStyle = `rgba(255,161,74,${0.35 + 0.65 * doubt.risk})`;
      const x = this.share(doubt.first) * width;
      context.fillRect(x, 18, Math.max(3, (this.end(doubt.last) * width) - x), 10);
    }
    context.fillStyle = "#7fd88f";  // what is muted
    for (const [a, b] of this.state.sound.mute) {
      const x = Math.max(((a - this.begin) / this.length) * width, 0);
      context.fillRect(x, 14, Math.max(2, Math.min(((b - this.begin) / this.length) * width, width) - x), 3);
    }
    context.fillStyle = "#000b";
    const a = this.share(this.state.first) * width, b = this.end(this.state.first + this.state.frames - 1) * width;
    context.fillRect(0, 0, a, height); context.fillRect(b, 0, width - b, height);
  }
}

export function clock(ms, fine = true) {
  const whole = Math.floor(ms / 1000), part = String(Math.floor(ms % 1000)).padStart(3, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60, seconds = whole % 60;
  const two = (v) => String(v).padStart(2, "0");
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds)}${fine ? `.${part}` : ""}`;
}
