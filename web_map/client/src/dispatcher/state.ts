/** The console's one store and one screen state, and the one way to draw them: once a frame, whatever changed. */
import { emptyStore } from "./store";
import { initialUi, type Ui } from "./ui";

export const store = emptyStore();
export const ui = initialUi();

const drawers: (() => void)[] = [];
let frame = 0;

/** Draw again in the next frame; asking many times draws once. */
export function redraw(): void {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    for (const drawer of drawers) drawer();
  });
}

export function onDraw(drawer: () => void): void {
  drawers.push(drawer);
}

/** Change the screen state and draw. */
export function set(change: Partial<Ui>): void {
  Object.assign(ui, change);
  redraw();
}

/** The same, and the keyboard goes to what is there once it is drawn. */
export function setAndFocus(change: Partial<Ui>, selector: string): void {
  set(change);
  requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus()));
}

/** Say something for some seconds. */
export function toast(text: string, urgent = false): void {
  set({ toast: { text, urgent, until: Date.now() + (urgent ? 10_000 : 5_000) } });
}
