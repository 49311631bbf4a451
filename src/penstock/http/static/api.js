// Asks the server. The token is kept for this tab only, and travels in a header only.

const KEY = "penstock-token";

/** An answer of the server that is not a good one; the message says what to do. */
export class Refused extends Error {
  constructor(status, problem, sentToken) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
    this.status = status;
    this.sentToken = sentToken;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** Send a request; throw `Refused` if the answer is not a good one. Paths are relative to the page. */
export async function ask(path, { headers = {}, ...options } = {}) {
  const known = token.get();
  const sent = known ? { ...headers, Authorization: `Bearer ${known}` } : headers;
  const answer = await fetch(path, { ...options, headers: sent, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})), known);
}

const json = async (path, options) => (await ask(path, options)).json();
const runPath = (id) => `v1/runs/${encodeURIComponent(id)}`;

export const listPipelines = async () => (await json("v1/pipelines")).pipelines;
export const listRuns = async () => (await json("v1/runs")).runs;
export const showRun = (id) => json(runPath(id));
export const cancelRun = (id) => json(`${runPath(id)}/cancel`, { method: "POST" });
export const listLetters = (id, skip) => json(`${runPath(id)}/dead?limit=20&skip=${skip}`);
export const eventsPath = (id) => `${runPath(id)}/events?types=AdapterStateChange,BatchProgress`;

/** Start a run. If the network fails, ask once more: the key keeps the server from starting two. */
export async function startRun(pipeline) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const options = {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify({ pipeline }),
  };
  try {
    return await json("v1/runs", options);
  } catch (error) {
    if (error instanceof Refused) throw error;
    return json("v1/runs", options);
  }
}
