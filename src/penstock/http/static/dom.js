// Builds and updates elements. Data only ever becomes text: nothing here reads HTML.

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Return a new element with a class and children: elements or texts. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Set the text of an element, if it has changed. */
export function write(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Show an element with this text; hide it if the text is empty. */
export function writeOrHide(element, text) {
  write(element, text ?? "");
  element.hidden = !text;
}

/**
 * Make the children of a parent show these items, in order.
 *
 * An item that is still there keeps its element, so the focus and the place on the screen stay.
 * `create(item)` returns a new element; `update(element, item)` writes into it.
 */
export function showAll(parent, items, keyOf, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let element = known.get(key);
    known.delete(key);
    if (!element) {
      element = create(item);
      element.dataset.key = key;
    }
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const gone of known.values()) gone.remove();
}
