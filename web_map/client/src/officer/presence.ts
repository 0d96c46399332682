/**
 * Who uses this page: known from the device at once, confirmed by the server as soon as it can be reached.
 *
 * What is kept is shown without waiting for the network. Nothing is read from or sent to the server before it has said
 * that the session is this person's, since another tab may have signed in as somebody else meanwhile.
 */
import { ApiError, expectPerson } from "../shared/api";
import { t } from "../shared/i18n";
import { resume, signOut } from "../shared/session";
import * as alarm from "./alarm";
import { arrived } from "./arrivals";
import { current, refresh, say, use } from "./desk";
import * as device from "./device";
import { readDuty, readSheet } from "./duty";
import {
  changePin, enrol, forget, handOver, keyForSignedIn, openByPin, openHere, shutOut, signInAgain, type Refused,
} from "./enrolment";
import { Inbox } from "./inbox";
import { Local, type Kept } from "./local";
import type { Me } from "./model";
import { Outbox } from "./outbox";
import { stopFollowing } from "./position";
import { endPush, pausePush, settlePush } from "./push";
import { go } from "./routes";
import { refused, sent, uploading, uploadRefused } from "./sent";
import { state, update } from "./store";
import { stopTracking, track } from "./track";
import { Uploads } from "./uploads";
import { look } from "./version";

const DUTY_EVERY_MS = 60_000;
const NOTE_EVERY_MS = 10_000;
const ASK_AGAIN_MS = 5_000;
const LOOK_EVERY_MS = 60_000;

let dutyTimer = 0;
let askTimer = 0;
let notedAt = 0;

/** Show what is kept for whoever is here, then ask the server. */
export async function begin(): Promise<void> {
  const here = await device.present();
  if (here) await open(here.me, here.key);
  else if ((await device.enrolled()).length) await signedOut();
  addEventListener("online", () => {
    lookAround();
    void lookForShutOut();
  });
  document.addEventListener("visibilitychange", () => void seen());
  setInterval(lookAround, LOOK_EVERY_MS);
  if (state.phase !== "locked") await confirm();
  await lookForShutOut();
}

/** The network is back, or a minute has passed. */
function lookAround(): void {
  if (state.phase === "ready" && !document.hidden && state.me) void device.alive(state.me.id);
  if (state.phase === "locked") void lookForShutOut();
  else if (state.phase !== "signed_out") void confirm();
}

/** Leaving the page begins the time after which the PIN is asked for; coming back ends it. */
async function seen(): Promise<void> {
  if (state.phase !== "ready" || !state.me || !(await device.person(state.me.id))?.enrolment) return;
  if (document.hidden) await device.alive(state.me.id);
  else if (!(await device.present())) await signedOut();
}

/** Everybody for whom this device is enrolled and not in use now: who is shut out is wiped. */
async function lookForShutOut(): Promise<void> {
  for (const one of await device.enrolled()) {
    if (state.phase === "ready" && state.me?.id === one.id) continue;
    const out = await shutOut(one);
    if (out) await revoked(one, out.recovery);
  }
}

/** Somebody has signed in: by the server's word, not only by what the device remembers. */
export async function enter(person: Me): Promise<void> {
  if (!person.permissions.includes("inbox.own")) return update({ me: person, phase: "not_officer" });
  const key = await keyOf(person);
  if (!key) return signedOut(person.id);
  await settle(person, key);
}

async function settle(person: Me, key: CryptoKey, until?: string): Promise<void> {
  await device.arrive(person, key, until);
  if (state.phase !== "ready" || state.me?.id !== person.id) await open(person, key);
  if (state.phase === "ready" && state.me?.id === person.id) connect(person);
}

/** The key of a person's store, null when only the PIN opens it. */
async function keyOf(person: Me): Promise<CryptoKey | null> {
  const known = await device.person(person.id);
  if (!known?.enrolment) return device.keyWithoutPin(person);
  const here = await device.present();
  return here?.id === person.id ? here.key : null;
}

/** Somebody has signed in with login and password: that opens their store also when the PIN is forgotten. */
export async function enterByPassword(person: Me): Promise<void> {
  const known = await device.person(person.id);
  if (!known?.enrolment) return enter(person);
  try {
    await settle(person, await keyForSignedIn(known as device.Enrolled));
    go("#/pin");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 404) return signedOut(person.id);
    await revoked(known as device.Enrolled, (await shutOut(known as device.Enrolled))?.recovery ?? false);
  }
}

/** Open a person's store with the PIN; null when it is open, else why it is not. */
export async function enterByPin(id: string, pin: string): Promise<Refused | null> {
  const one = (await device.enrolled()).find((known) => known.id === id);
  if (!one) return null;
  const outcome = await openByPin(one, pin);
  if ("why" in outcome) {
    if (outcome.why !== "revoked") return outcome;
    return revoked(one, outcome.recovery, pin);
  }
  update({ gone: null });
  const { me, key, confirmed } = outcome;
  if (confirmed) await settle(me, key);
  else {
    await device.arrive(me, key, one.enrolment.halfUntil);
    await open(me, key);
    void confirm();
  }
  return null;
}

/** Use a PIN on this device from now on, or another one. Throws ApiError. */
export async function choosePin(pin: string, name: string, old?: string): Promise<void> {
  const { me } = state;
  if (!me) return;
  if ((await device.person(me.id))?.enrolment) await changePin(me, pin, old);
  else await enrol(me, name, pin);
  update({ enrolled: true });
  await confirm();
  void settlePush(me.id);
  say(t("officer.pin.set"));
}

/** Ask the server who is signed in; again by itself while it cannot be reached. */
export async function confirm(): Promise<void> {
  clearTimeout(askTimer);
  if (current()?.inbox) return;
  try {
    const person = (state.me && (await signInAgain(state.me.id))) ?? (await resume());
    if (person) await enter(person);
    else await signedOut();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "install_revoked" || error.code === "pin_locked" || error.code === "bad_credentials") return ended(error);
    reached(false);
    if (state.phase === "loading") update({ phase: "unreachable" });
    askTimer = window.setTimeout(() => void confirm(), ASK_AGAIN_MS);
  }
}

/** Grows with everybody who comes or leaves. */
let opening = 0;

/** Open this person's store on the device, and show what it holds. */
async function open(person: Me, key: CryptoKey): Promise<void> {
  stop();
  if (state.me?.id !== person.id) update({ alarm: null });
  const mine = ++opening;
  const local = await Local.open(person.id, key, () => void refresh());
  if (mine !== opening) return local.close(); // somebody else came, or left, meanwhile
  const ready = (): boolean => current()?.local === local && current()?.inbox !== null;
  const outbox = new Outbox(local, `outrider-outbox-${person.id}`, {
    ready, changed: refresh, signedOut: ended, reached,
    sent: (entry, answer) => sent(local, entry, answer), refused: (entry) => refused(local, entry),
  });
  const uploads = new Uploads(local, `outrider-uploads-${person.id}`, {
    ready, changed: refresh, signedOut: ended, reached,
    smallFirst: outbox.idle, progress: uploading, refused: uploadRefused,
  });
  use({ local, outbox, uploads, inbox: null });
  const { facts } = await local.held();
  const enrolled = Boolean((await device.person(person.id))?.enrolment);
  if (mine !== opening) return;
  update({
    me: person, enrolled, checkedAt: facts.checked_at ?? null, starting: facts.starting ?? null, ending: facts.ending ?? null,
    caughtUp: false, push: null,
  });
  await refresh();
  if (mine !== opening) return;
  track(local, person.id);
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
    desk.outbox.anew();
    desk.uploads.flush();
    void readDuty(heard);
    look(); // a server that was away may have come back as a newer one
  };
  const stored = (seq: number): void => void device.noteRead(person.id, seq).catch(reportError);
  const caughtUp = (): void => update({ caughtUp: true });
  desk.inbox = new Inbox(desk.local, { arrived, signedOut: ended, reached, link, stored, caughtUp, clock: (clockOffMs) => update({ clockOffMs }) });
  desk.outbox.flush();
  desk.uploads.flush();
  void readDuty(heard);
  void readSheet();
  void settlePush(person.id);
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

let ending = false;

/** The session is over, or this device is shut out; or it is somebody else's now, whose store is opened instead. */
function ended(error: ApiError): void {
  if (ending) return;
  ending = true;
  void end(error).finally(() => { ending = false; });
}

async function end(error: ApiError): Promise<void> {
  const known = state.me ? await device.person(state.me.id) : undefined;
  const out = known?.enrolment && error.code !== "other_person" ? await shutOut(known as device.Enrolled) : null;
  if (out) return void (await revoked(known as device.Enrolled, out.recovery));
  if (error.code !== "other_person") return signedOut();
  stop();
  update({ phase: "loading" });
  await confirm();
}

/** Nobody uses the page: it asks for the PIN of whoever this device is enrolled for, `who` first, else for a password. */
async function signedOut(who: string | null = state.me?.id ?? null): Promise<void> {
  stop();
  forget();
  await device.depart();
  await ask(who);
}

async function ask(who: string | null): Promise<void> {
  const people = (await device.enrolled()).map(({ id, me }) => ({ id, name: me.name, login: me.login }));
  const only = people.length === 1 ? (people[0]?.id ?? null) : null;
  const known = people.some(({ id }) => id === who) ? who : only;
  update({ people, who: known, phase: people.length ? "locked" : "signed_out" });
}

/**
 * The centre has shut this device out for a person: what was kept is wiped.
 *
 * Where an administrator allowed it, what was not sent is handed over before, once; for that a closed store needs the PIN.
 * Null when it is done, else why it is not yet.
 */
async function revoked(one: device.Enrolled, recovery: boolean, pin?: string): Promise<Refused | null> {
  let handed = 0;
  if (recovery) {
    const isOpen = state.phase === "ready" && state.me?.id === one.id;
    const here = isOpen ? null : pin === undefined ? null : await openHere(one, pin);
    if (here && "why" in here && here.why !== "network") return here;
    const key = isOpen ? (await device.present())?.key : here && "key" in here ? here.key : null;
    if (!key && pin === undefined && one.enrolment.half) {
      update({ gone: { name: one.me.name, handed: null } });
      return null;
    }
    const entries = key ? await waitingOf(one.id, key) : [];
    try {
      await handOver(one, entries);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      await signedOut(one.id);
      return { why: "network" };
    }
    handed = entries.length;
  }
  if (state.me?.id === one.id) stop();
  forget();
  await device.wipe(one.id);
  void endPush();
  update({ gone: { name: one.me.name, handed }, ...(state.me?.id === one.id ? { me: null, phase: "signed_out" as const } : {}) });
  if (state.phase !== "ready") await ask(null);
  return null;
}

async function waitingOf(id: string, key: CryptoKey): Promise<Kept["outbox"]> {
  const local = await Local.open(id, key, () => undefined);
  const { kept } = await local.held();
  local.close();
  return kept.outbox;
}

function stop(): void {
  opening++;
  clearInterval(dutyTimer);
  const desk = current();
  desk?.outbox.close();
  desk?.uploads.close();
  desk?.inbox?.close();
  desk?.local.close();
  use(null);
  expectPerson(null);
  stopTracking();
  stopFollowing();
  alarm.silence();
}

/** Log out, or lock the page where a PIN opens it again; what waits stays on this device. */
export async function leave(): Promise<void> {
  if (state.me) await pausePush(state.me.id);
  try {
    await signOut();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    reached(error.status !== 0);
    if (!state.enrolled) return; // without a network nobody could come back
  }
  await signedOut();
}

/** Show the form for login and password, for somebody else or for whoever forgot the PIN. */
export const usePassword = (): void => update({ phase: "signed_out" });

/** Back from there. */
export const usePin = (): Promise<void> => ask(state.who);

export const choose = (who: string | null): void => update({ who });
