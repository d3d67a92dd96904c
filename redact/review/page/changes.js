// Changes of the plan: made one after the other, each of the plan that the one before has left.

import { getJson, post } from "./api.js";
import { $, say } from "./words.js";

export class Changes {
  constructor(on) {
    this.on = on;                      // {revision(), take(state), fail(error), reload()}
    this.line = Promise.resolve();
    this.saving = 0;
  }

  // Whether the change was made, once that is known. Where a place in a list is named, `body` has the revision of that list:
  // by the time it is sent another may stand there.
  make(wish, body) {
    this.line = this.line.then(() => this.#send(wish, body));
    return this.line;
  }

  async #send(wish, body) {
    this.saving += 1;
    $("saved").textContent = "saving…";
    try {
      this.on.take(await (await post(`/api/${wish}`, { revision: this.on.revision(), ...body })).json());
      return true;
    } catch (error) {
      await this.on.fail(error);
      return false;
    } finally {
      this.saving -= 1;
      if (!this.saving) $("saved").textContent = "saved";
    }
  }

  // Work that takes longer: its progress is shown until it is done.
  async work(wish, body, title) {
    return await this.make(wish, body) ? this.watch(title) : null;
  }

  async watch(title) {
    $("work").hidden = false;
    $("work-title").textContent = title;
    for (;;) {
      await new Promise((done) => setTimeout(done, 250));
      let job;
      try { job = await getJson("/api/job"); } catch (error) { $("work").hidden = true; await this.on.fail(error); return null; }
      if (job.total) { $("work-bar").max = job.total; $("work-bar").value = job.done; } else $("work-bar").removeAttribute("value");
      if (!job.running) {
        $("work").hidden = true;
        await this.on.reload();
        if (job.error) { say(`${job.error.error} ${job.error.advice}`); return null; }
        return job.result;
      }
    }
  }
}
