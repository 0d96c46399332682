/**
 * What the officer did goes to the device first and from there to the server: in order, one at a time, until answered.
 *
 * Each entry carries a client-made id, so that sending it again after a lost answer changes nothing. A failure that may
 * pass (no network, 401, 429, 5xx) stops the queue; a refusal is kept and shown, and lets the next entry go.
 */
import { ApiError, newId, request } from "../shared/api";
import { resume } from "../shared/session";
import type { Local } from "./local";
import type { About, Entry } from "./model";

const TIMEOUT_MS = 20_000;
const LONGEST_WAIT_S = 60;

export interface OutboxHooks {
  /** Entries were added, taken back, sent or refused. */
  changed: () => Promise<void>;
  /** The server has done it; keep what it answered. */
  sent: (entry: Entry, answer: unknown) => Promise<void>;
  signedOut: () => void;
  /** Whether the server could be reached just now. */
  reached: (reached: boolean) => void;
}

export class Outbox {
  private timer = 0;
  private running = false;
  private again = false;
  private closed = false;

  constructor(private readonly local: Local, private readonly lockName: string, private readonly hooks: OutboxHooks) {
    addEventListener("online", this.flush);
    document.addEventListener("visibilitychange", this.flush);
    this.flush();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.flush);
    document.removeEventListener("visibilitychange", this.flush);
  }

  /** Keep an action on the device, held back for `holdMs`; resolves once it is stored, not once it is sent. */
  async add(path: string, body: Record<string, unknown>, about: About, holdMs = 0): Promise<void> {
    const id = newId();
    const at = new Date();
    await this.local.add({
      id,
      path,
      body: { id, ...body },
      about,
      made_at: at.toISOString(),
      hold_until: holdMs && at.getTime() + holdMs,
      attempts: 0,
    });
    await this.hooks.changed();
    this.flush();
  }

  /** Take back what is still held; false when it is on its way already. */
  async undo(entry: Entry): Promise<boolean> {
    const undone = await this.local.takeBack(entry);
    await this.hooks.changed();
    return undone;
  }

  /** Try a refused entry once more, as it is. */
  async retry(entry: Entry): Promise<void> {
    await this.local.change(entry, { refused: undefined, attempts: 0 });
    await this.hooks.changed();
    this.flush();
  }

  /** The officer has read that it was refused and lets it go. */
  async discard(entry: Entry): Promise<void> {
    await this.local.remove(entry);
    await this.hooks.changed();
  }

  /** Send what is due, now. */
  readonly flush = (): void => {
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = true;
    this.again = false;
    clearTimeout(this.timer);
    const broken = (error: unknown): number => {
      reportError(error); // the device's store failed: what waits stays, and is tried again
      return LONGEST_WAIT_S * 1_000;
    };
    void this.turn().catch(broken).then((waitMs) => {
      this.running = false;
      if (this.closed) return;
      if (this.again) this.flush();
      else if (waitMs !== null) this.timer = window.setTimeout(this.flush, waitMs);
    });
  };

  /** One run of the queue under a lock, so that two tabs do not race; milliseconds until the next, or null. */
  private async turn(): Promise<number | null> {
    // Pages over plain HTTP have no locks; the ids keep a second tab from doing anything twice.
    if (!("locks" in navigator)) return this.run();
    return navigator.locks.request(this.lockName, { ifAvailable: true }, (lock) => (lock ? this.run() : 2_000));
  }

  private async run(): Promise<number | null> {
    for (;;) {
      const entry = this.closed ? undefined : await this.local.head();
      if (!entry) return null;
      const held = entry.hold_until - Date.now();
      if (held > 0) return held;
      if (!(await this.local.change(entry, { hold_until: 0, attempts: entry.attempts + 1 }))) continue;
      const waitMs = await this.send(entry);
      if (waitMs !== 0) return waitMs;
    }
  }

  /** Send one entry; 0 when the next may follow, else milliseconds to wait, or null to wait for a sign-in. */
  private async send(entry: Entry): Promise<number | null> {
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const answer = await request<unknown>("POST", entry.path, { body: entry.body, signal });
      this.hooks.reached(true);
      await this.hooks.sent(entry, answer);
      await this.local.remove(entry);
      await this.hooks.changed();
      return 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return this.failed(entry, error);
    }
  }

  private async failed(entry: Entry, error: ApiError): Promise<number | null> {
    this.hooks.reached(error.status !== 0);
    if (error.status === 401) {
      this.hooks.signedOut();
      return null;
    }
    if (error.code === "csrf" && entry.attempts === 0) {
      await resume().catch(() => null); // another tab signed in anew: fetch the token of its session
      return 200;
    }
    if (error.temporary) {
      const backOff = Math.min(LONGEST_WAIT_S, 2 ** entry.attempts) * (0.75 + Math.random() / 2);
      return Math.max(Number(error.body.retry_after_s ?? 0), backOff) * 1_000;
    }
    await this.local.change(entry, { refused: { status: error.status, code: error.code, detail: error.message } });
    await this.hooks.changed();
    return 0;
  }
}
