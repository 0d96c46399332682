/** The screen stays on while a task is at hand, for whoever wants that: a glove wakes no screen, and a dark one sends no position. */
import { AT_WORK, standing } from "./steps";
import { myTasks, redraw, state } from "./store";

const WANTED = "outrider.awake";
let held: WakeLockSentinel | null = null;
let asking = false;

export const canStayAwake = (): boolean => "wakeLock" in navigator;
export const staysAwake = (): boolean => localStorage.getItem(WANTED) === "1";

export function setAwake(on: boolean): void {
  localStorage.setItem(WANTED, on ? "1" : "0");
  redraw();
}

function isWanted(): boolean {
  const { now } = myTasks();
  return staysAwake() && state.phase === "ready" && !document.hidden && now !== null && AT_WORK.includes(standing(now, state.kept.outbox));
}

/** Hold the screen or let it go, as things stand now; a browser that refuses (a low battery) is asked again later. */
export async function holdScreen(): Promise<void> {
  if (!canStayAwake() || asking) return;
  if (!isWanted()) {
    const lock = held;
    held = null;
    return lock?.release();
  }
  if (held && !held.released) return;
  asking = true;
  held = await navigator.wakeLock.request("screen").catch(() => null);
  asking = false;
  if (held && !isWanted()) await holdScreen();
}
