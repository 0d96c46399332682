/** The open store and queue of whoever uses the page; everything that uses them runs after sign-in. */
import type { Inbox } from "./inbox";
import type { Local } from "./local";
import type { Outbox } from "./outbox";
import { update } from "./store";
import type { Uploads } from "./uploads";

export interface Desk {
  local: Local;
  outbox: Outbox;
  uploads: Uploads;
  /** Read once the server has confirmed who is here. */
  inbox: Inbox | null;
}

const SAID_MS = 6_000;
let desk: Desk | null = null;
let saidTimer = 0;

export const current = (): Desk | null => desk;

export function use(opened: Desk | null): void {
  desk = opened;
}

/** The device's store. */
export function store(): Local {
  if (!desk) throw new Error("nobody is signed in");
  return desk.local;
}

/** Read again what is kept, and draw it. */
export async function refresh(): Promise<void> {
  const local = desk?.local;
  if (!local) return;
  const kept = await local.kept();
  if (desk?.local === local) update({ kept });
}

/** Say something to screen readers, and show it for a moment. */
export function say(text: string): void {
  clearTimeout(saidTimer);
  update({ said: text });
  saidTimer = window.setTimeout(() => update({ said: "" }), SAID_MS);
}

/** Keep an action on the device; a full or forbidden store is said, never passed over. */
export async function keep(...words: Parameters<Outbox["add"]>): Promise<boolean> {
  try {
    await desk?.outbox.add(...words);
    update({ storageFull: false });
    return true;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    update({ storageFull: true });
    return false;
  }
}

export const now = (): string => new Date().toISOString();
