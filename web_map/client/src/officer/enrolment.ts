/** This device enrolled for a person: a credential and a PIN open sessions and the store, also without a network. */
import { api, ApiError, newId, request } from "../shared/api";
import type { InstallOut, OfflineKey } from "../shared/contract";
import { signInByPin } from "../shared/session";
import * as device from "./device";
import { fromText, halfForPin, hide, keyByPin, keyBySignIn, newSalt, openKey, reveal, rewrap, type Bytes } from "./keys";
import type { Entry, Me } from "./model";

const SIGN_IN_MS = 8_000;
/** Wrong PINs without a network after which each further try waits, and after which the server must be asked. */
const FREE_TRIES = 4;
const MAX_WRONG = 10;
const FIRST_WAIT_MS = 15_000;
/** The server is not to be had: what is here decides. */
const AWAY = new Set([0, 429, 500, 502, 503, 504]);

const utf8 = new TextEncoder();

/** Why a PIN opened nothing. */
export type Refused =
  | { why: "wrong"; left: number }
  | { why: "wait"; seconds: number }
  | { why: "network" }
  | { why: "password" }
  | { why: "revoked"; recovery: boolean };

export interface Opened {
  me: Me;
  key: CryptoKey;
  /** The server has said so, and its session is open. */
  confirmed: boolean;
}

/** A PIN that opened the store without a network, to sign in with once there is one; never written anywhere. */
let remembered: { id: string; pin: string } | null = null;

export function forget(): void {
  remembered = null;
}

const credentialOf = async ({ credential }: device.Enrolment): Promise<string> =>
  new TextDecoder().decode(await reveal(credential, await device.ownKey()));

/** Keep of the server's half what the PIN needs, for as long as a session lasts. */
const keepHalf = async (half: Bytes, until: string): Promise<Pick<device.Enrolment, "half" | "halfUntil">> =>
  ({ half: await hide(await halfForPin(half), await device.ownKey()), halfUntil: until });

/** Enrol this device for whoever is signed in; their store is opened by the PIN from now on. Throws ApiError. */
export async function enrol(me: Me, name: string, pin: string): Promise<void> {
  const [own, one] = [await device.ownKey(), await device.person(me.id)];
  if (!one?.wrapped) return;
  const id = newId();
  const { credential } = await api.post<InstallOut>("/installs", { id, name, pin });
  const { offline_key, offline_until } = await api.get<OfflineKey>(`/installs/${id}/offline-key`);
  const [half, salt] = [fromText(offline_key), newSalt()];
  const keys = [await keyByPin(pin, salt, await halfForPin(half)), await keyBySignIn(half)];
  const [byPin, bySignIn] = await rewrap(one.wrapped, own, keys);
  if (!byPin || !bySignIn) return;
  const enrolment: device.Enrolment = {
    id, credential: await hide(utf8.encode(credential), own), salt, byPin, bySignIn, ...(await keepHalf(half, offline_until)),
    wrong: 0, waitUntil: 0, locked: false,
  };
  await device.note(me.id, { wrapped: null, enrolment });
  await signInByPin({ install_id: id, credential, pin }); // the session is this device's from now on, and ends with it
}

/** A new PIN for this device, by whoever has signed in; with the `old` one unless that was by password. Throws ApiError. */
export async function changePin(me: Me, pin: string, old?: string): Promise<void> {
  const { enrolment } = (await device.person(me.id)) ?? {};
  if (!enrolment) return;
  const { offline_key, offline_until } = await api.get<OfflineKey>(`/installs/${enrolment.id}/offline-key`);
  await api.post(`/installs/${enrolment.id}/pin`, { pin, ...(old === undefined ? {} : { old }) });
  const [half, salt] = [fromText(offline_key), newSalt()];
  const [byPin] = await rewrap(enrolment.bySignIn, await keyBySignIn(half), [await keyByPin(pin, salt, await halfForPin(half))]);
  if (!byPin) return;
  const kept = await keepHalf(half, offline_until);
  await device.noteEnrolment(me.id, { salt, byPin, ...kept, wrong: 0, waitUntil: 0, locked: false });
}

/** The key of an enrolled person's store, by the server's word that they are signed in. Throws ApiError. */
export async function keyForSignedIn({ id, enrolment }: device.Enrolled): Promise<CryptoKey> {
  const { offline_key, offline_until } = await api.get<OfflineKey>(`/installs/${enrolment.id}/offline-key`);
  const half = fromText(offline_key);
  await device.noteEnrolment(id, await keepHalf(half, offline_until));
  return openKey(enrolment.bySignIn, await keyBySignIn(half));
}

/** Open a person's store with the PIN: by the server where it can be reached, else by what is here. */
export async function openByPin(one: device.Enrolled, pin: string): Promise<Opened | Refused> {
  try {
    return await openOnline(one, pin);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "install_revoked") return { why: "revoked", recovery: error.body.recovery === true };
    if (error.code === "pin_locked") {
      await device.noteEnrolment(one.id, { locked: true });
      return { why: "password" };
    }
    if (error.code === "bad_credentials") return wrong(one);
    if (error.status === 429) return { why: "wait", seconds: Number(error.body.retry_after_s ?? 60) };
    if (!AWAY.has(error.status)) throw error;
  }
  return openHere(one, pin);
}

async function openOnline(one: device.Enrolled, pin: string): Promise<Opened> {
  const { enrolment } = one;
  const claim = { install_id: enrolment.id, credential: await credentialOf(enrolment), pin };
  const { me, offline } = await signInByPin(claim, AbortSignal.timeout(SIGN_IN_MS));
  const half = fromText(offline.offline_key);
  const key = await openKey(enrolment.bySignIn, await keyBySignIn(half));
  await device.noteEnrolment(one.id, { ...(await keepHalf(half, offline.offline_until)), wrong: 0, waitUntil: 0, locked: false });
  forget();
  return { me, key, confirmed: true };
}

/** Without a network: the PIN opens the store, or it does not. */
export async function openHere(one: device.Enrolled, pin: string): Promise<Opened | Refused> {
  const { enrolment } = one;
  if (enrolment.locked) return { why: "password" };
  if (!enrolment.half || Date.parse(enrolment.halfUntil) < Date.now()) return { why: "network" };
  if (enrolment.waitUntil > Date.now()) return { why: "wait", seconds: Math.ceil((enrolment.waitUntil - Date.now()) / 1_000) };
  const half = await reveal(enrolment.half, await device.ownKey());
  const by = await keyByPin(pin, enrolment.salt, half);
  let key: CryptoKey;
  try {
    key = await openKey(enrolment.byPin, by);
  } catch {
    return wrong(one);
  }
  await device.noteEnrolment(one.id, { wrong: 0, waitUntil: 0 });
  remembered = { id: one.id, pin };
  return { me: one.me, key, confirmed: false };
}

async function wrong({ id, enrolment }: device.Enrolled): Promise<Refused> {
  const tries = enrolment.wrong + 1;
  const over = tries - FREE_TRIES;
  const waitUntil = over > 0 ? Date.now() + FIRST_WAIT_MS * 2 ** Math.min(over, 6) : 0;
  await device.noteEnrolment(id, { wrong: tries, waitUntil, ...(tries >= MAX_WRONG ? { half: null } : {}) });
  return { why: "wrong", left: Math.max(0, MAX_WRONG - tries) };
}

/** Sign in with the PIN that opened the store without a network; null when there is none to do it with. */
export async function signInAgain(id: string): Promise<Me | null> {
  const one = await device.person(id);
  if (remembered?.id !== id || !one?.enrolment) return null;
  const { me } = await openOnline(one as device.Enrolled, remembered.pin);
  return me;
}

/** Whether the server has shut this device out for a person: null when it has not, or cannot be asked. */
export async function shutOut({ enrolment }: device.Enrolled): Promise<{ recovery: boolean } | null> {
  try {
    const credential = await credentialOf(enrolment);
    await request("POST", `/installs/${enrolment.id}/contact`, { body: { credential }, signal: AbortSignal.timeout(SIGN_IN_MS) });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "install_revoked") return { recovery: error.body.recovery === true };
  }
  return null;
}

const MOST_RECORDS = 1_000;

/** Hand over, once, what a device that is shut out had not sent. Throws ApiError. */
export async function handOver({ enrolment }: device.Enrolled, entries: readonly Entry[]): Promise<void> {
  const records = entries.slice(0, MOST_RECORDS).map(({ id, path, made_at, body }) =>
    ({ id, method: "POST", path: `/api/v1${path}`, at: made_at, body: JSON.stringify(body) }));
  if (!records.length) return;
  await api.post(`/installs/${enrolment.id}/recovery`, { credential: await credentialOf(enrolment), records });
}

