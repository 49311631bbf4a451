// The two questions of the page: the token, and whether to cancel.

import { token } from "./api.js";
import { byId, write } from "./dom.js";

/** Ask whether to cancel a run. */
export function askWhetherToCancel(pipeline) {
  write(byId("confirm-title"), `Cancel this run of ${pipeline}?`);
  return new Promise((answer) => {
    const dialog = byId("confirm");
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

/** Ask for the token; `onClose(given)` says whether it was given. Does nothing while it is asked for. */
export function askForToken(onClose) {
  const dialog = byId("token-dialog");
  if (dialog.open) return;
  byId("token-wrong").hidden = token.get() === null;
  token.forget();
  const given = () => {
    const field = byId("token");
    if (dialog.returnValue === "yes" && field.value.trim()) token.set(field.value.trim());
    field.value = "";
    dialog.returnValue = "";
    onClose(token.get() !== null);
  };
  dialog.addEventListener("close", given, { once: true });
  dialog.showModal();
}
