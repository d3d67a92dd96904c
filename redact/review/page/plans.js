// The other clips of the folder: the list, and the next one that waits.

import { post } from "./api.js";
import { $, element } from "./words.js";

// `leave` is waited for before the page turns to another clip; `fail` says what went wrong.
export function showPlans({ number, plans }, leave, fail) {
  const turnTo = async (other) => {
    try {
      await leave();
      await post("/api/open", { number: other });
      location.reload();
    } catch (error) { $("plans").value = number; await fail(error); }
  };
  $("plans").hidden = plans.length < 2;
  $("plans").replaceChildren(...plans.map((plan, n) => element("option", `${n + 1}. ${plan.name}: ${plan.words}`, { value: n, disabled: plan.words === "cannot be read" })));
  $("plans").value = number;
  $("plans").onchange = () => turnTo(Number($("plans").value));
  const next = plans.findIndex((plan, n) => plan.waits && n !== number);
  if (next >= 0) $("next-clip").textContent = `Next clip: ${plans[next].name}`;
  $("next-clip").onclick = () => turnTo(next);
  $("next-clip").dataset.there = next >= 0 ? "yes" : "";
}
