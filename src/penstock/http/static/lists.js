// The lists of pipelines and runs.

import { byId, make, showAll, write } from "./dom.js";
import { count, shortMoment } from "./format.js";

/** Show the pipelines; `onStart(name)` starts one. */
export function showPipelines(pipelines, onStart) {
  byId("no-pipelines").hidden = pipelines.length > 0;
  const create = ({ name }) => {
    const start = make("button", "", "Start");
    start.type = "button";
    start.addEventListener("click", () => {
      if (start.getAttribute("aria-disabled") !== "true") onStart(name);
    });
    const text = make("div", "", make("strong", "", name), make("div", "quiet"));
    return make("li", "card line", text, start);
  };
  showAll(byId("pipelines"), pipelines, ({ name }) => name, create, (row, pipeline) => {
    const [text, start] = row.children;
    write(text.lastChild, `${pipeline.adapter} → ${pipeline.outputs.join(", ")}`);
    // A disabled button would lose the focus when its run begins.
    start.setAttribute("aria-disabled", String(!pipeline.can_run || pipeline.active_run !== null));
    const label = !pipeline.can_run ? "Streams only" : pipeline.active_run ? "Running" : "Start";
    write(start, label);
    start.setAttribute("aria-label", `${label}: ${pipeline.name}`);
  });
}

/** Show the runs; the selected one is marked. */
export function showRuns(runs, selected) {
  byId("no-runs").hidden = runs.length > 0;
  const table = byId("runs");
  table.hidden = runs.length === 0;
  const create = ({ id, pipeline, created_at: created }) => {
    const link = make("a", "", pipeline);
    link.href = `#${id}`;
    const cells = [make("td", "", make("span", "state")), make("td", "number"), make("td", "number")];
    cells[1].dataset.label = "done";
    cells[2].dataset.label = "failed";
    const head = make("th", "", link, make("div", "quiet time", shortMoment(created)));
    head.scope = "row";
    return make("tr", "", head, ...cells);
  };
  showAll(table.tBodies[0], runs, ({ id }) => id, create, (row, run) => {
    const [head, state, done, failed] = row.children;
    if (run.id === selected) head.firstChild.setAttribute("aria-current", "true");
    else head.firstChild.removeAttribute("aria-current");
    showState(state.firstChild, run.state);
    write(done, count(run.counts.completed));
    write(failed, count(run.counts.failed));
  });
}

/** Show the state of a run: as a word, and as a colour. */
export function showState(element, state) {
  write(element, state);
  element.dataset.state = state;
}
