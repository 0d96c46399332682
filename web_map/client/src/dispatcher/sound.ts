/** Sound for what is urgent only: repeated until it is taken, silenced for at most a quarter of an hour. */
import { sounds } from "./alerts";
import { set, store, ui } from "./state";

const MUTE_MS = 15 * 60_000;
const REPEAT_MS = 4_000;
let context: AudioContext | undefined;
let unmute = 0;
let last = 0;

/** Browsers give sound only after the person has touched the page. */
export function armSound(): void {
  addEventListener("pointerdown", () => { context ??= new AudioContext(); }, { once: true });
  addEventListener("keydown", () => { context ??= new AudioContext(); }, { once: true });
}

export function toggleMute(): void {
  clearTimeout(unmute);
  const muted = !ui.muted;
  if (muted) unmute = window.setTimeout(() => set({ muted: false }), MUTE_MS);
  set({ muted });
}

/** Sound again while an alert stands; called with each tick of the clock. */
export function soundAlerts(): void {
  if (!context || ui.muted || ![...store.alerts.values()].some(sounds) || Date.now() - last < REPEAT_MS) return;
  last = Date.now();
  for (const [i, frequency] of [880, 660, 880].entries()) {
    const [tone, gain] = [context.createOscillator(), context.createGain()];
    const start = context.currentTime + i * 0.18;
    tone.frequency.value = frequency;
    gain.gain.setValueAtTime(0.15, start);
    gain.gain.exponentialRampToValueAtTime(0.001, start + 0.16);
    tone.connect(gain).connect(context.destination);
    tone.start(start);
    tone.stop(start + 0.17);
  }
}
