/**
 * What the officer did goes to the device first and from there to the server: of each task in order, until answered.
 *
 * Each entry carries a client-made id, so that sending it again after a lost answer changes nothing. What belongs to
 * different tasks goes side by side, a few at once, since a day's queue over a slow line would take minutes; what begins
 * or ends a shift goes alone. Without a network the queue waits; a fault of the server holds up only what belongs to the
 * same task; a refusal is kept and shown.
 */
import { ApiError, newId, request } from "../shared/api";
import { renewed } from "../shared/session";
import type { Local } from "./local";
import type { About, Entry, Refusal } from "./model";
import { backOffMs, Runner } from "./runner";
import type { Turn } from "./sealed";

const TIMEOUT_MS = 20_000;
/** On a line that is well an answer comes sooner. */
const HANGS_MS = 3_000;
const AT_ONCE = 4;
const SHIFT = "shift";
/** An alarm is tried again after this long, whatever was answered. */
const PANIC_WAIT_MS = 2_000;
/** Nothing is wrong with what was sent: the way there or the server as a whole is not well. */
const NOBODYS_FAULT = new Set([0, 429, 503]);

export interface OutboxHooks {
  /** Whether the session is known to be this person's. */
  ready: () => boolean;
  /** Entries were added, taken back, sent or refused. */
  changed: () => Promise<void>;
  /** The server has done it; keep what it answered. */
  sent: (entry: Entry, answer: unknown) => Promise<void>;
  /** The server does not take it. */
  refused: (entry: Entry) => Promise<void>;
  /** The session is over, or was never of this person. */
  signedOut: (error: ApiError) => void;
  /** Whether the server could be reached just now. */
  reached: (reached: boolean) => void;
}

/** What must arrive in the order in which it was done. */
export const chainOf = ({ id, about }: Entry): string => (about.kind === "shift" ? SHIFT : about.id || id);

/** What is kept of an error. */
export const refusalOf = ({ status, code, message, errors }: ApiError): Refusal => ({ status, code, detail: message, errors });

type Next = { entry: Entry } | { waitMs: number } | null;

export class Outbox {
  private readonly runner: Runner;
  /** How often in a row the server could not be reached. */
  private failures = 0;
  /** Until when a chain waits after a fault of the server, in epoch milliseconds. */
  private readonly paused = new Map<string, number>();
  /** What is on its way, and since when (of the page's clock, in milliseconds). */
  private readonly under = new Map<AbortController, number>();

  constructor(private readonly local: Local, lockName: string, private readonly hooks: OutboxHooks) {
    this.runner = new Runner(lockName, () => this.run());
    this.flush();
  }

  close(): void {
    this.runner.close();
    for (const sending of this.under.keys()) sending.abort();
  }

  /** Send what is due, now. */
  readonly flush = (): void => this.runner.flush();

  /** There is a new line to the server: what has long hung on the one before is sent again over this. */
  anew(): void {
    for (const [sending, since] of this.under) {
      if (performance.now() - since > HANGS_MS) sending.abort(new DOMException("The line is gone.", "TimeoutError"));
    }
    this.flush();
  }

  /** Resolves once nothing is being sent. */
  readonly idle = (): Promise<void> => this.runner.idle();

  /** Keep an action on the device, held back for `holdMs`; resolves once it is stored, not once it is sent. */
  async add(
    path: string, body: Record<string, unknown>, about: About, holdMs = 0, also?: (turn: Turn) => Promise<void>,
  ): Promise<void> {
    const id = typeof body.id === "string" ? body.id : newId();
    const at = new Date();
    const hold_until = holdMs && at.getTime() + holdMs;
    await this.local.add({ id, path, body: { id, ...body }, about, made_at: at.toISOString(), hold_until, attempts: 0 }, also);
    await this.hooks.changed();
    this.flush();
  }

  /** Take back what is still held; false when it is on its way already. */
  async undo(entry: Entry): Promise<boolean> {
    const undone = await this.local.takeBack(entry.order);
    await this.hooks.changed();
    return undone;
  }

  /** Try a refused entry once more: as it is, or with its text put right. */
  async retry(entry: Entry, text?: string): Promise<void> {
    const id = entry.refused?.code === "id_reused" ? newId() : entry.id; // where nothing was stored the id is still free
    const body = { ...entry.body, id, ...(text === undefined ? {} : { text }) };
    await this.local.change(entry.order, { id, body, refused: undefined, attempts: 0 });
    await this.hooks.changed();
    this.flush();
  }

  /** The officer has read that it was refused and lets it go. */
  async discard(entry: Entry): Promise<void> {
    await this.local.discard(entry.order);
    await this.hooks.changed();
  }

  private async run(): Promise<number | null> {
    const busy = new Map<string, Promise<void>>();
    const halt: { waitMs?: number | null } = {};
    for (;;) {
      const going = halt.waitMs === undefined && !this.runner.closed && this.hooks.ready();
      const next = going ? this.next(await this.local.waiting(), busy) : null;
      if (next && "entry" in next) await this.begin(next.entry, busy, halt);
      else if (busy.size) await Promise.race(busy.values());
      else return halt.waitMs !== undefined ? halt.waitMs : next && next.waitMs;
    }
  }

  private async begin(entry: Entry, busy: Map<string, Promise<void>>, halt: { waitMs?: number | null }): Promise<void> {
    if (!(await this.local.change(entry.order, { hold_until: 0, attempts: entry.attempts + 1 }))) return;
    const chain = chainOf(entry);
    busy.set(chain, this.send(entry).then((waitMs) => {
      busy.delete(chain);
      if (waitMs === 0 || halt.waitMs !== undefined) return;
      halt.waitMs = waitMs;
      this.failures++;
    }));
  }

  /** The first entry whose turn it is, how long until there is one, or null when nothing waits or something must end first. */
  private next(entries: readonly Entry[], busy: ReadonlyMap<string, unknown>): Next {
    const now = Date.now();
    const blocked = new Set<string>(busy.keys());
    let waitMs = Infinity;
    const alarm = entries.find((entry) => entry.about.kind === "panic" && !blocked.has(chainOf(entry)));
    if (!alarm && (busy.size >= AT_ONCE || busy.has(SHIFT))) return null;
    for (const entry of alarm ? [alarm, ...entries] : entries) {
      const chain = chainOf(entry);
      if (blocked.has(chain)) continue;
      const left = Math.max(entry.hold_until, this.paused.get(chain) ?? 0) - now;
      if (left <= 0) return chain === SHIFT && busy.size ? null : { entry };
      blocked.add(chain);
      waitMs = Math.min(waitMs, left);
    }
    return waitMs === Infinity ? null : { waitMs };
  }

  /** Send one entry; 0 when the next may follow, else milliseconds to wait, or null to wait for a sign-in. */
  private async send(entry: Entry): Promise<number | null> {
    const sending = new AbortController();
    this.under.set(sending, performance.now());
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), sending.signal]);
      const answer = await renewed(() => request<unknown>("POST", entry.path, { body: entry.body, signal }));
      if (this.runner.closed) return null; // it is sent once more, and changes nothing
      this.failures = 0;
      this.paused.delete(chainOf(entry));
      this.hooks.reached(true);
      await this.hooks.sent(entry, answer);
      await this.local.remove(entry.order);
      await this.hooks.changed();
      return 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return this.failed(entry, error);
    } finally {
      this.under.delete(sending);
    }
  }

  private async failed(entry: Entry, error: ApiError): Promise<number | null> {
    this.hooks.reached(error.status !== 0);
    if (error.status === 401) {
      this.hooks.signedOut(error);
      return null;
    }
    if (entry.about.kind === "panic" && error.temporary) return PANIC_WAIT_MS;
    const waitMs = Math.max(Number(error.body.retry_after_s ?? 0) * 1_000, backOffMs(entry.attempts));
    if (NOBODYS_FAULT.has(error.status)) return Math.max(waitMs, backOffMs(this.failures));
    if (error.temporary || error.code === "csrf") {
      this.paused.set(chainOf(entry), Date.now() + waitMs);
    } else {
      await this.local.change(entry.order, { refused: refusalOf(error) });
      await this.hooks.refused(entry);
    }
    await this.hooks.changed();
    return 0;
  }
}
