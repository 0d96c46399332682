/** Work that goes on by itself, in one tab at a time: again when asked, when the network is back, and after a pause. */

const LONGEST_WAIT_S = 60;
const OTHER_TAB_MS = 2_000;

/** A growing pause, with some chance in it, so that many devices do not come back at once. */
export const backOffMs = (failures: number): number => Math.min(LONGEST_WAIT_S, 2 ** failures) * (750 + Math.random() * 500);

export class Runner {
  private timer = 0;
  private again = false;
  private running: Promise<void> | null = null;
  closed = false;

  /** `run` does what is due and says after how many milliseconds to look again; null = when asked. */
  constructor(private readonly lockName: string, private readonly run: () => Promise<number | null>) {
    addEventListener("online", this.flush);
    document.addEventListener("visibilitychange", this.flush);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.flush);
    document.removeEventListener("visibilitychange", this.flush);
  }

  /** Do what is due, now. */
  readonly flush = (): void => {
    if (this.closed) return;
    if (this.running) {
      this.again = true;
      return;
    }
    this.again = false;
    clearTimeout(this.timer);
    this.running = this.turn().then((waitMs) => {
      this.running = null;
      if (this.closed) return;
      if (this.again) this.flush();
      else if (waitMs !== null) this.timer = window.setTimeout(this.flush, waitMs);
    });
  };

  /** Resolves once nothing is being done here. */
  async idle(): Promise<void> {
    while (this.running) await this.running;
  }

  /** One run under a lock, so that two tabs do not race. */
  private turn(): Promise<number | null> {
    const locked = navigator.locks.request(this.lockName, { ifAvailable: true }, (lock) => (lock ? this.run() : OTHER_TAB_MS));
    return locked.catch((error: unknown) => {
      if (!this.closed) reportError(error); // the device's store failed: what waits stays, and is tried again
      return LONGEST_WAIT_S * 1_000;
    });
  }
}
