// Speaking with the review's server. A refusal becomes an Error with the server's words.

export class Refused extends Error {
  constructor(status, body) {
    super(body.error || `The server answered ${status}.`);
    this.status = status;
    this.advice = body.advice || "";
  }
}

async function answer(response) {
  if (response.ok) return response;
  const text = await response.text();
  let body = { error: text };
  try { body = JSON.parse(text); } catch { /* plain words */ }
  throw new Refused(response.status, body);
}

async function ask(path, options, again = 3) {
  try {
    const response = await fetch(path, options);
    if (response.status === 503 && again) {  // it is busy
      await new Promise((done) => setTimeout(done, 300));
      return await ask(path, options, again - 1);
    }
    return await answer(response);
  } catch (error) {
    if (error instanceof TypeError) {
      throw new Refused(0, { error: "The review has ended, or does not answer.", advice: "Start `redact review` again; what was decided is kept." });
    }
    throw error;
  }
}

export async function get(path, signal) {
  return ask(path, { signal });
}

export async function getJson(path) {
  return (await get(path)).json();
}

export async function post(path, body, extra = {}) {
  return ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, ...extra });
}
