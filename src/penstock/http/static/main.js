// The page: what is shown, and when the server is asked.

import { Refused, cancelRun, listPipelines, listRuns, showRun as readRun, startRun, token } from "./api.js";
import { askForToken, askWhetherToCancel } from "./dialogs.js";
import { byId, write, writeOrHide } from "./dom.js";
import { Follower } from "./events.js";
import { LettersView } from "./letters.js";
import { showPipelines, showRuns } from "./lists.js";
import { Pace } from "./pace.js";
import { isGoing, showRun } from "./run.js";

const LISTS = 2000;
const LIVE = 1000;
const LOST = 5000;

let locked = false;
let run = null;
let states = null;
let follower = null;
let following = null;

const selected = () => location.hash.slice(1) || null;
const announce = (text) => write(byId("announced"), text);
const lists = new Pace(refreshLists);
const detail = new Pace(refreshRun);
const letters = new LettersView((work) => attempt(work));

/** Do what somebody has asked for, and show what is wrong until it is done. Returns whether it was done. */
const attempt = (work) => tryTo(work, (text) => writeOrHide(byId("message"), text));

/** Do some work with the server; `tell` says what is wrong. Returns whether it was done. */
async function tryTo(work, tell) {
  try {
    await work();
    write(byId("connection"), "Connected");
    tell("");
    showTokenButton();
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) write(byId("connection"), "The server does not answer. Trying again…");
    else if (error.status === 401) lock(error.sentToken);
    else tell(error.message);
    return false;
  }
}

/** Ask for the token, and nothing else of the server meanwhile. */
function lock(refused) {
  if (refused !== token.get()) return; // another one was given since
  locked = true;
  rest();
  askForToken((given) => {
    locked = !given;
    showTokenButton();
    if (given) {
      begin();
    } else {
      write(byId("connection"), "No token");
      writeOrHide(byId("message"), "Without the token of the server this page shows nothing.");
    }
  });
}

function showTokenButton() {
  const button = byId("forget-token");
  button.hidden = token.get() === null && !locked;
  write(button, locked ? "Give the token" : "Forget the token");
}

async function refreshLists() {
  if (locked) return;
  const done = await quietly(async () => {
    const [pipelines, runs] = await Promise.all([listPipelines(), listRuns()]);
    showPipelines(pipelines, start);
    showRuns(runs, selected());
    announceChanges(runs);
    const shown = runs.find(({ id }) => id === run?.id);
    if (shown && shown.state !== run.state) detail.within(0);
    if (selected() === null && runs.length) select(runs[0].id);
  });
  if (!locked) lists.within(done ? LISTS : LOST);
}

async function refreshRun() {
  const id = selected();
  if (locked) return;
  if (id === null) {
    show(null);
    return;
  }
  const done = await quietly(async () => {
    const found = await find(id);
    if (id === selected()) show(found);
  });
  if (locked) return;
  if (id !== selected()) detail.within(0);
  else if (!done) detail.within(LOST);
  else if (run && isGoing(run)) detail.within(LIVE);
}

/** Do what the page does by itself; what is wrong stands in its head until it works again. */
const quietly = (work) => tryTo(work, (text) => text && write(byId("connection"), text));

/** Return a run; null if there is none of this id. */
async function find(id) {
  try {
    return await readRun(id);
  } catch (error) {
    if (error.status !== 404) throw error;
    write(byId("no-run"), error.message);
    return null;
  }
}

function show(found) {
  run = found;
  showRun(run);
  letters.show(run);
  follow();
}

/** Say aloud which runs have another state than before. */
function announceChanges(runs) {
  const before = states;
  states = new Map(runs.map(({ id, state }) => [id, state]));
  if (before === null) return;
  const changed = runs.filter(({ id, state }) => before.get(id) !== state);
  if (changed.length) announce(changed.map(({ pipeline, state }) => `${pipeline}: ${state}`).join(". "));
}

/** Read the events of the run while it is going and somebody looks. */
function follow() {
  const wanted = run && isGoing(run) && !document.hidden && !locked;
  if (wanted && following && follower.id === run.id) return;
  following?.abort();
  following = null;
  if (!wanted) return;
  if (follower?.id !== run.id) follower = new Follower(run.id, () => detail.within(0));
  const mine = (following = new AbortController());
  follower.follow(mine.signal).finally(() => {
    if (following === mine) following = null;
  });
}

function select(id) {
  history.replaceState(null, "", `#${id}`);
  detail.within(0);
  lists.within(0);
}

async function start(name) {
  await attempt(async () => {
    const started = await startRun(name);
    announce(`${name}: ${started.state}`);
    select(started.id);
  });
}

async function cancel() {
  const { id, pipeline } = run;
  if (await askWhetherToCancel(pipeline)) {
    const done = await attempt(() => cancelRun(id));
    if (done) byId("run-title").focus();
  }
  detail.within(0);
  lists.within(0);
}

function begin() {
  lists.within(0);
  detail.within(0);
}

function rest() {
  lists.stop();
  detail.stop();
  follow();
}

byId("cancel").addEventListener("click", cancel);
byId("forget-token").addEventListener("click", () => {
  token.forget();
  location.reload();
});
addEventListener("hashchange", () => {
  writeOrHide(byId("message"), "");
  begin();
});
document.addEventListener("visibilitychange", () => (document.hidden ? rest() : begin()));
begin();
