// One run: its progress, figures, stages and errors.

import { byId, make, showAll, write, writeOrHide } from "./dom.js";
import { count, duration, moment, percent, plural, rate } from "./format.js";
import { showState } from "./lists.js";

export const isGoing = (run) => run.state === "running" || run.state === "stopping";

/** Show a run, or none. */
export function showRun(run) {
  byId("no-run").hidden = run !== null;
  byId("run-body").hidden = run === null;
  write(byId("run-title"), run ? `Run of ${run.pipeline}` : "Run");
  if (run === null) return;
  showState(byId("run-state"), run.state);
  write(byId("run-times"), times(run));
  byId("cancel").hidden = run.state !== "running";
  writeOrHide(byId("run-reason"), run.reason ?? run.summary?.warning);
  showProgress(run);
  showFigures(run);
  showStages(run);
  showErrors(run);
}

function times({ started_at: started, ended_at: ended, restarts, kind }) {
  const parts = kind === "stream" ? ["bound to its client"] : [];
  if (started) parts.push(`started ${moment(started)}`);
  if (started && ended) parts.push(`took ${duration(ended - started)}`);
  if (restarts) parts.push(`resumed ${plural(restarts, "time")}`);
  return parts.join(" · ");
}

function showProgress(run) {
  const bar = byId("progress");
  const going = isGoing(run);
  const settled = run.progress ? run.progress.completed + run.progress.failed + run.progress.skipped : 0;
  const total = run.progress?.estimated_total ?? null;
  bar.hidden = !going && total === null;
  if (total) bar.value = Math.min(1, settled / total);
  else if (going) bar.removeAttribute("value");
  const parts = [total ? `${count(settled)} of ${plural(total, "document")}` : plural(settled, "document")];
  if (total) parts.push(percent(Math.min(1, settled / total)));
  if (going && run.progress) {
    parts.push(rate(run.progress.rate));
    if (run.progress.eta_seconds !== null) parts.push(`${duration(run.progress.eta_seconds)} left`);
  }
  write(byId("progress-text"), parts.join(" · "));
}

function showFigures(run) {
  const { counts, progress } = run;
  const figures = [
    ["completed", progress?.completed ?? counts.completed],
    ["failed", progress?.failed ?? counts.failed],
    ["skipped", progress?.skipped ?? counts.skipped],
    ["retried", counts.retried],
    ["in flight", isGoing(run) ? (progress?.in_flight ?? 0) : 0],
    ["events", run.events.last],
  ];
  const create = ([name]) => make("div", "", make("dt", "", name), make("dd"));
  showAll(byId("figures"), figures, ([name]) => name, create, (element, [, value]) => {
    write(element.lastChild, count(value));
  });
}

function showStages(run) {
  const { nodes, waits_for: waits, bottleneck } = run.graph;
  write(byId("bottleneck"), bottleneck ? `Slowest in the whole run: ${bottleneck}` : "");
  byId("no-stages").hidden = nodes.length > 0;
  const create = () => {
    const bar = make("div", "bar", make("div"));
    bar.setAttribute("aria-hidden", "true");
    return make("li", "card", make("div", "line", make("code"), make("strong", "waits")), bar, make("dl", "flow"));
  };
  showAll(byId("stages"), nodes, ({ key }) => key, create, (element, node) => {
    const [head, bar, list] = element.children;
    write(head.firstChild, node.name);
    const waited = node.key === waits;
    element.classList.toggle("waited", waited);
    write(head.lastChild, waited ? "The run waits here" : "");
    bar.hidden = node.now === null;
    if (node.now) bar.firstChild.style.width = `${100 * node.now.busy}%`;
    const figure = ([name]) => make("div", "", make("dt", "", name), make("dd"));
    showAll(list, flowOf(node), ([name]) => name, figure, (one, [, text]) => write(one.lastChild, text));
  });
}

/** Return what a stage was asked for and gave: a second while the run goes, all of it afterwards. */
function flowOf({ now, requested, delivered, buffered, dropped }) {
  const found = now
    ? [
        ["demand", rate(now.seconds ? now.requested / now.seconds : 0)],
        ["delivered", rate(now.rate)],
        ["busy", percent(now.busy)],
      ]
    : [
        ["demand", count(requested)],
        ["delivered", count(delivered)],
      ];
  found.push(["buffered", count(buffered)]);
  if (dropped) found.push(["dropped", count(dropped)]);
  return found;
}

const FEW = 5;
let wholeRun = null;

/** Show the newest errors; all that are known once somebody has asked for them in this run. */
function showErrors({ id, errors }) {
  const few = wholeRun !== id && errors.length > FEW;
  const more = byId("more-errors");
  more.hidden = !few;
  write(more, `Show the last ${count(errors.length)}`);
  more.onclick = () => {
    wholeRun = id;
    showErrors({ id, errors });
    byId("errors-title").focus();
  };
  byId("no-errors").hidden = errors.length > 0;
  const create = (error) => {
    const attempt = error.will_retry ? "will be tried again" : "given up";
    const tries = error.retry_count ? `, after ${plural(error.retry_count, "retry", "retries")}` : "";
    return make(
      "li", "card",
      make("div", "line", make("code", "", error.doc_id ?? "no document"), make("span", "quiet", moment(error.timestamp))),
      make("div", "", make("strong", "", error.error_type), `: ${error.error}`),
      make("div", "quiet", attempt + tries),
    );
  };
  const shown = [...errors].reverse().slice(0, few ? FEW : errors.length);
  showAll(byId("errors"), shown, ({ event }) => `${id} ${event}`, create, () => {});
}
