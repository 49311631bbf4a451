// Numbers, times and names as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "short" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** Return a whole number, as in 12,345. */
export const count = (number) => WHOLE.format(number);

/** Return a number a second, as in 1,230/s or 0.5/s. */
export const rate = (number) => `${number >= 100 ? WHOLE.format(number) : SHORT.format(number)}/s`;

/** Return a part of one, as in 12 %. */
export const percent = (part) => `${Math.round(100 * part)} %`;

/** Return a number with its noun. */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Return a moment, given in Unix seconds. */
export const moment = (seconds) => CLOCK.format(new Date(seconds * 1000));

/** Return the time of a moment of today, and the day of another one. */
export function shortMoment(seconds) {
  const when = new Date(seconds * 1000);
  return when.toDateString() === new Date().toDateString() ? TIME.format(when) : DAY.format(when);
}

/** Return a duration, as in 1.5 s, 2 min 5 s or 3 h 7 min. */
export function duration(seconds) {
  if (seconds < 10) return `${SHORT.format(seconds < 1 ? Math.round(seconds * 100) / 100 : Math.round(seconds * 10) / 10)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${count(Math.floor(whole / 3600))} h ${Math.floor((whole % 3600) / 60)} min`;
}
