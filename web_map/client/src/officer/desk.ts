/** The open store and queue of whoever uses the page; everything that uses them runs after sign-in. */
import type { Inbox } from "./inbox";
import type { Facts, Kept, Local } from "./local";
import type { Outbox } from "./outbox";
import { state, update } from "./store";
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

let reading: Promise<void> | null = null;
let again = false;
/** How often something was drawn without reading it first. */
let ahead = 0;

/** Read again what is kept, and draw it; resolves once what is kept now is drawn. */
export function refresh(): Promise<void> {
  if (!desk) return Promise.resolve();
  again = true;
  return (reading ??= read());
}

/** One reading after the other, so that an older one is never drawn over a newer. */
async function read(): Promise<void> {
  try {
    while (again && desk) {
      again = false;
      const [{ local }, before] = [desk, ahead];
      const { kept, facts } = await local.held();
      if (before !== ahead) again = true;
      else if (current()?.local === local) draw(kept, facts);
    }
  } finally {
    reading = null;
  }
}

function draw(kept: Kept, facts: Partial<Facts>): void {
  const { units = [], shift = null, codes = {}, sheet = null, aides = [], panic = null, reporting = null } = facts;
  update({ kept, units, shift, codes, sheet, aides, panic, reporting });
}

/** Draw at once what was just kept; a reading begun before that is done anew. */
export function drawKept(kept: Partial<Kept>): void {
  ahead++;
  update({ kept: { ...state.kept, ...kept } });
}

/** Say something to screen readers, and show it for a moment. */
export function say(text: string): void {
  clearTimeout(saidTimer);
  update({ said: text });
  saidTimer = window.setTimeout(() => update({ said: "" }), SAID_MS);
}

/** Write to the device's store; whether it could: a full or forbidden one is said, never passed over. */
export async function stored(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write();
    update({ storageFull: false });
    return true;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    update({ storageFull: true });
    return false;
  }
}

/** Keep an action on the device; the same. */
export const keep = (...words: Parameters<Outbox["add"]>): Promise<boolean> => stored(async () => desk?.outbox.add(...words));

export const now = (): string => new Date().toISOString();
