/** Which screen is shown, kept in the address's fragment so that the phone's back key works. */
import type { FormKind } from "./model";
import { state, update, type Route } from "./store";

const PATHS: readonly [RegExp, (...parts: string[]) => Route][] = [
  [/^#\/task\/([\w-]+)$/, (id = "") => ({ view: "task", id })],
  [/^#\/task\/([\w-]+)\/messages$/, (id = "") => ({ view: "thread", id })],
  [/^#\/task\/([\w-]+)\/support$/, (id = "") => ({ view: "support", id })],
  [/^#\/panic$/, () => ({ view: "panic" })],
  [/^#\/task\/([\w-]+)\/([a-z_]+)$/, (id = "", verb = "") => ({ view: "choose", id, verb })],
  [/^#\/notice\/([\w-]+)$/, (id = "") => ({ view: "notice", id })],
  [/^#\/report$/, () => ({ view: "report", taskId: null })],
  [/^#\/report\/([\w-]+)$/, (taskId = "") => ({ view: "report", taskId })],
  [/^#\/begin\/(stop|violation)(?:\/([\w-]+))?$/, (kind = "", taskId) => ({ view: "begin", kind: kind as FormKind, taskId: taskId ?? null })],
  [/^#\/form\/([\w-]+)\/([a-z]*)$/, (id = "", step = "") => ({ view: "form", id, step })],
  [/^#\/duty$/, () => ({ view: "duty" })],
  [/^#\/pin$/, () => ({ view: "pin" })],
  [/^#\/shift\/(start|end)$/, (what = "") => ({ view: "shift", what: what as "start" | "end" })],
  [/^#\/track$/, () => ({ view: "track" })],
  [/^#\/phone$/, () => ({ view: "phone" })],
  [/^#\/aide$/, () => ({ view: "aides" })],
  [/^#\/aide\/(\w+)$/, (code = "") => ({ view: "aide", code })],
  [/^#\/outbox$/, () => ({ view: "outbox" })],
];

function read(): Route {
  for (const [pattern, make] of PATHS) {
    const found = pattern.exec(location.hash);
    if (found) return make(...found.slice(1));
  }
  return { view: "home" };
}

/** Show the screen of a fragment such as `#/duty`. */
export const go = (fragment: string): void => {
  location.hash = fragment;
};

/** Show another screen in this one's place, so that "back" does not lead here again. */
export const goInstead = (fragment: string): void => location.replace(fragment);

/** Follow the address from now on; `moved` is called after each change. */
export function follow(moved: () => void): void {
  const read_ = (): void => {
    update({ route: read() });
    moved();
  };
  state.route = read();
  addEventListener("hashchange", read_);
}
