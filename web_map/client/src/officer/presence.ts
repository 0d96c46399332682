/**
 * Who uses this page: known from the device at once, confirmed by the server as soon as it can be reached.
 *
 * What is kept is shown without waiting for the network. Nothing is read from or sent to the server before it has said
 * that the session is this person's, since another tab may have signed in as somebody else meanwhile.
 */
import { ApiError, expectPerson } from "../shared/api";
import { resume, signOut } from "../shared/session";
import * as alarm from "./alarm";
import { arrived } from "./arrivals";
import { current, refresh, use } from "./desk";
import * as device from "./device";
import { readDuty } from "./duty";
import { Inbox } from "./inbox";
import { Local } from "./local";
import type { Me } from "./model";
import { Outbox } from "./outbox";
import { stopFollowing } from "./position";
import { sent, uploading, uploadRefused } from "./sent";
import { state, update } from "./store";
import { Uploads } from "./uploads";
import { look } from "./version";

const DUTY_EVERY_MS = 60_000;
const NOTE_EVERY_MS = 10_000;
const ASK_AGAIN_MS = 5_000;

let dutyTimer = 0;
let askTimer = 0;
let notedAt = 0;

/** Show what is kept for whoever is here, then ask the server. */
export async function begin(): Promise<void> {
  const person = await device.present();
  if (person) await open(person.me, person.key);
  addEventListener("online", () => {
    if (state.phase !== "signed_out") void confirm();
  });
  await confirm();
}

/** Somebody has signed in: by the server's word, not only by what the device remembers. */
export async function enter(person: Me): Promise<void> {
  if (!person.permissions.includes("inbox.own")) return update({ me: person, phase: "not_officer" });
  const key = await device.arrive(person);
  if (state.phase !== "ready" || state.me?.id !== person.id) await open(person, key);
  connect(person);
}

/** Ask the server who is signed in; again by itself while it cannot be reached. */
export async function confirm(): Promise<void> {
  clearTimeout(askTimer);
  if (current()?.inbox) return;
  try {
    const person = await resume();
    if (person) await enter(person);
    else signedOut();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    reached(false);
    if (state.phase === "loading") update({ phase: "unreachable" });
    askTimer = window.setTimeout(() => void confirm(), ASK_AGAIN_MS);
  }
}

/** Open this person's store on the device, and show what it holds. */
async function open(person: Me, key: CryptoKey): Promise<void> {
  stop();
  if (state.me?.id !== person.id) update({ alarm: null });
  const local = await Local.open(person.id, key, () => void refresh());
  const outbox = new Outbox(local, `outrider-outbox-${person.id}`, {
    ready: () => current()?.inbox !== null, changed: refresh, sent, signedOut: ended, reached,
  });
  const uploads = new Uploads(local, `outrider-uploads-${person.id}`, {
    ready: () => current()?.inbox !== null, changed: refresh, signedOut: ended, reached,
    smallFirst: outbox.idle, progress: uploading, refused: uploadRefused,
  });
  use({ local, outbox, uploads, inbox: null });
  const facts = await local.facts();
  update({
    me: person, units: facts.units ?? [], shift: facts.shift ?? null, codes: facts.codes ?? {}, vehicles: facts.vehicles ?? [],
    checkedAt: facts.checked_at ?? null, panic: facts.panic ?? null,
  });
  await refresh();
  update({ phase: "ready" });
}

/** The server has said that the session is this person's: read, and send what waits. */
function connect(person: Me): void {
  const desk = current();
  if (!desk || desk.inbox) return;
  expectPerson(person.id);
  reached(true);
  const link = (state_: "connecting" | "up" | "lost"): void => {
    update({ link: state_ });
    if (state_ !== "up") return;
    reached(true);
    desk.outbox.flush();
    desk.uploads.flush();
    void readDuty(heard);
    look(); // a server that was away may have come back as a newer one
  };
  desk.inbox = new Inbox(desk.local, { arrived, signedOut: ended, reached, link });
  desk.outbox.flush();
  desk.uploads.flush();
  void readDuty(heard);
  dutyTimer = window.setInterval(() => void readDuty(heard), DUTY_EVERY_MS);
  void navigator.storage?.persist?.();
}

/** What reading the duty told of the connection. */
const heard = (error: ApiError | null): void => {
  reached(!error || error.status !== 0);
  if (error?.status === 401) ended(error);
};

/** Note whether the server could be reached; the last contact is kept for a start without a network. */
function reached(yes: boolean): void {
  const at = new Date();
  update({ reached: yes, ...(yes ? { checkedAt: at.toISOString() } : {}) });
  if (!yes || at.getTime() - notedAt < NOTE_EVERY_MS) return;
  notedAt = at.getTime();
  void current()?.local.setFacts({ checked_at: at.toISOString() }).catch(reportError);
}

/** The session is over; or it is somebody else's now, whose store is opened instead. */
function ended(error: ApiError): void {
  signedOut();
  if (error.code === "other_person") void confirm();
}

function signedOut(): void {
  stop();
  void device.depart();
  update({ phase: "signed_out" });
}

function stop(): void {
  clearInterval(dutyTimer);
  const desk = current();
  desk?.outbox.close();
  desk?.uploads.close();
  desk?.inbox?.close();
  desk?.local.close();
  use(null);
  expectPerson(null);
  stopFollowing();
  alarm.silence();
}

/** Log out; what waits stays on this device. False when that needs a network and there is none. */
export async function leave(): Promise<void> {
  try {
    await signOut();
    signedOut();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    reached(error.status !== 0);
  }
}
