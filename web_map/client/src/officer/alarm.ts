/** Sound and vibration for an urgent task, repeated until it is opened or silenced. */

const REPEAT_MS = 10_000;
const TONES: readonly [number, number][] = [[880, 0], [1_175, 0.18], [880, 0.36], [1_175, 0.54]];
let audio: AudioContext | null = null;

/** Browsers allow sound only after a person has touched the page. */
addEventListener("pointerdown", () => {
  audio ??= new AudioContext();
  void audio.resume();
});

/** Vibrate, where the device can; browsers allow this as well only after a touch. */
export function vibrate(pattern: number | number[]): void {
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(pattern);
}

function sound(): void {
  vibrate([400, 150, 400, 150, 800]);
  if (!audio || audio.state !== "running") return;
  for (const [hertz, after] of TONES) {
    const start = audio.currentTime + after;
    const tone = new OscillatorNode(audio, { type: "square", frequency: hertz });
    const volume = new GainNode(audio, { gain: 0.25 });
    tone.connect(volume).connect(audio.destination);
    tone.start(start);
    tone.stop(start + 0.15);
  }
}

let timer = 0;

/** Sound now and again until `silence()`. */
export function raise(): void {
  silence();
  sound();
  timer = window.setInterval(sound, REPEAT_MS);
}

export function silence(): void {
  clearInterval(timer);
}
