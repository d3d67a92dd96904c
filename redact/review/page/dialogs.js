// What is asked in a window of its own. The answer is null where it was left.

import { $, say } from "./words.js";

let resolveShow = null;
export function askShow(what, reason, who) {
  $("show-what").textContent = what;
  $("show-who").value = $("show-who").value || who;
  $("show-reason").value = reason;
  $("show").showModal();
  $("show-reason").focus();
  return new Promise((resolve) => { resolveShow = resolve; });
}
$("show-yes").onclick = () => {
  const who = $("show-who").value.trim(), reason = $("show-reason").value.trim();
  if (!who || !reason) { say("Name who decides, and a reason."); return; }
  $("show").close();
  resolveShow?.({ who, reason });
};
// Not `onclose`: it comes late, and would answer for a window that was opened again meanwhile.
$("show-no").onclick = () => { $("show").close(); resolveShow?.(null); };
$("show").oncancel = () => resolveShow?.(null);

let resolveAsk = null;
export function askName(title, label) {
  $("ask-title").textContent = title;
  $("ask-label").textContent = label;
  $("ask-name").value = "";
  $("ask").showModal();
  return new Promise((resolve) => { resolveAsk = resolve; });
}
$("ask-yes").onclick = () => { const name = $("ask-name").value.trim(); $("ask").close(); resolveAsk?.(name || null); };
$("ask-no").onclick = () => { $("ask").close(); resolveAsk?.(null); };
$("ask").oncancel = () => resolveAsk?.(null);
