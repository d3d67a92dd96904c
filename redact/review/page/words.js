// Putting words on the page.

export const $ = (id) => document.getElementById(id);

let toastTimer;
export function say(text, fine = false) {
  $("toast").textContent = text;
  $("toast").classList.toggle("fine", fine);
  $("toast").hidePopover();
  $("toast").showPopover();  // above a dialog too
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").hidePopover(), fine ? 3000 : 9000);
}

export function element(name, words, options = {}) {
  const made = document.createElement(name);
  if (words !== undefined) made.textContent = words;
  Object.assign(made, options);
  return made;
}

// What to do at a click, but not at the second of a double one: what was clicked may be gone, and another in its place.
export const single = (action) => (event) => { if (event.detail < 2) action(); };

// Whether something is other than what was drawn of it last. A button that is drawn anew while it is pressed loses the click.
const drawn = new Map();
export function differs(panel, ...what) {
  const now = JSON.stringify(what), before = drawn.get(panel);
  drawn.set(panel, now);
  return now !== before;
}

export function button(words, key, action, options = {}) {
  const made = element("button", words, { title: key ? `${words} (${key})` : words, onclick: action, ...options });
  if (key) made.append(" ", element("kbd", key));
  return made;
}
