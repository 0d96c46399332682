/** The console's one store and one screen state, and the one way to draw them: once a frame, whatever changed. */
import { emptyStore } from "./store";
import { initialUi, type Ui } from "./ui";

export const store = emptyStore();
export const ui = initialUi();

const drawers: (() => void)[] = [];
let frame = 0;

function draw(): void {
  cancelAnimationFrame(frame);
  frame = 0;
  for (const drawer of drawers) drawer();
}

/** Draw again in the next frame; asking many times draws once. */
export function redraw(): void {
  frame ||= requestAnimationFrame(draw);
}

export function onDraw(drawer: () => void): void {
  drawers.push(drawer);
}

/** Change the screen state and draw. */
export function set(change: Partial<Ui>): void {
  Object.assign(ui, change);
  redraw();
}

/** The same, drawn at once and with the keyboard in it: what is typed next is never taken for shortcuts. */
export function setAndFocus(change: Partial<Ui>, selector: string): void {
  Object.assign(ui, change);
  draw();
  document.querySelector<HTMLElement>(selector)?.focus();
}

/** Say something for some seconds. */
export function toast(text: string, urgent = false): void {
  set({ toast: { text, urgent, until: Date.now() + (urgent ? 10_000 : 5_000) } });
}
