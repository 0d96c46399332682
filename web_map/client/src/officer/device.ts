/** What this device knows beside anybody's own store: who uses it, and what opens their stores. */
import { deleteDB, openDB, type DBSchema, type IDBPDatabase } from "idb";
import { deviceKey, newStoreKey, openKey, type Bytes, type Wrapped } from "./keys";
import type { Me } from "./model";

/** A session holds for so long, and so does what was opened with it. */
export const SESSION_MS = 12 * 3_600_000;
/** A page with a PIN that was out of sight for so long asks for it again. */
export const LOCK_AFTER_MS = 30 * 60_000;

/** This device as it is enrolled for a person: what a session is opened with, and the store's key as the PIN opens it. */
export interface Enrolment {
  id: string;
  /** Sealed by the device's key. */
  credential: Wrapped;
  salt: Bytes;
  byPin: Wrapped;
  bySignIn: Wrapped;
  /** What the PIN needs of the server's half, sealed by the device's key; null when the server must be asked. */
  half: Wrapped | null;
  halfUntil: string;
  /** Wrong PINs in a row. */
  wrong: number;
  /** No try before; epoch milliseconds. */
  waitUntil: number;
  /** The server wants the password. */
  locked: boolean;
}

/** Somebody who has signed in on this device. */
export interface Person {
  id: string;
  me: Me;
  /** The store's key, wrapped by the device's; null when a PIN opens it. */
  wrapped: Wrapped | null;
  enrolment: Enrolment | null;
  /** The store's key while it is open here; it can be used and not read. */
  key: CryptoKey | null;
  /** Until when the store may be opened without asking anybody. */
  until: string;
  /** When the page was last seen with it open. */
  aliveAt: string;
  /** They want to be told what comes while the page is closed. */
  push?: boolean;
}

export type Present = Person & { key: CryptoKey };
export type Enrolled = Person & { enrolment: Enrolment };

interface Schema extends DBSchema {
  people: { key: string; value: Person };
  facts: { key: string; value: CryptoKey | string };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("outrider-device", 1, {
    upgrade(made) {
      made.createObjectStore("people", { keyPath: "id" });
      made.createObjectStore("facts");
    },
  });
  return opened;
}

/** The key of this device, made at its first use. */
export async function ownKey(): Promise<CryptoKey> {
  const db = await database();
  const made = await deviceKey(); // made before it is known whether it is needed: no transaction waits for it
  const t = db.transaction("facts", "readwrite");
  const kept = (await t.store.get("key")) as CryptoKey | undefined;
  if (!kept) await t.store.put(made, "key");
  await t.done;
  return kept ?? made;
}

export const storeName = (personId: string): string => `outrider-store-${personId}`;

export const person = async (id: string): Promise<Person | undefined> => (await database()).get("people", id);

/** Everybody for whom this device is enrolled, by name. */
export async function enrolled(): Promise<Enrolled[]> {
  const all = await (await database()).getAll("people");
  return all.filter((one): one is Enrolled => Boolean(one.enrolment)).sort((a, b) => a.me.name.localeCompare(b.me.name));
}

/** Change what is known of a person, if they are known. */
export const note = (id: string, fields: Partial<Person>): Promise<void> => changePerson(id, (kept) => ({ ...kept, ...fields }));

export const noteEnrolment = (id: string, fields: Partial<Enrolment>): Promise<void> =>
  changePerson(id, (kept) => (kept.enrolment ? { ...kept, enrolment: { ...kept.enrolment, ...fields } } : kept));

async function changePerson(id: string, changed: (kept: Person) => Person): Promise<void> {
  const t = (await database()).transaction("people", "readwrite");
  const kept = await t.store.get(id);
  if (kept) await t.store.put(changed(kept));
  await t.done;
}

/** Whether what is open may stay so: its session runs, and with a PIN it was not left alone for long. */
function isOpen(one: Person, now: number): one is Present {
  const left = one.enrolment !== null && now - Date.parse(one.aliveAt) > LOCK_AFTER_MS;
  return one.key !== null && Date.parse(one.until) > now && !left;
}

/** Whoever is signed in here and may look at what is kept; null when nobody is, or their time is over. */
export async function present(): Promise<Present | null> {
  const db = await database();
  const id = (await db.get("facts", "present")) as string | undefined;
  const one = id === undefined ? undefined : await db.get("people", id);
  if (!one) return null;
  if (isOpen(one, Date.now())) return one;
  await close(one.id);
  return null;
}

/** The key of a person's store is open from now on, until the session ends. */
export async function arrive(me: Me, key: CryptoKey, until = new Date(Date.now() + SESSION_MS).toISOString()): Promise<void> {
  const aliveAt = new Date().toISOString();
  await note(me.id, { me: { ...me, csrf_token: "" }, key, until, aliveAt });
  await (await database()).put("facts", me.id, "present");
}

/** The store's key of somebody without a PIN here, made when they are new. */
export async function keyWithoutPin(me: Me): Promise<CryptoKey> {
  const [db, device] = await Promise.all([database(), ownKey()]);
  const kept = await db.get("people", me.id);
  const wrapped = kept?.wrapped ?? (await newStoreKey(device));
  if (!kept) await db.put("people", { id: me.id, me, wrapped, enrolment: null, key: null, until: "", aliveAt: "" });
  return openKey(wrapped, device);
}

/** A person's store is not open any more; whether anything is left of its key here is the PIN's matter. */
async function close(id: string): Promise<void> {
  const db = await database();
  await note(id, { key: null });
  if ((await db.get("facts", "present")) === id) await db.delete("facts", "present");
}

/** Nobody is signed in here any more; their store stays, unread. */
export async function depart(): Promise<void> {
  const id = (await (await database()).get("facts", "present")) as string | undefined;
  if (id !== undefined) await close(id);
}

const readBy = (id: string): string => `read ${id}`;

/** Up to where a person's inbox is stored here, for the worker. */
export async function noteRead(id: string, seq: number): Promise<void> {
  await (await database()).put("facts", String(seq), readBy(id));
}

/** The page's language, for the worker. */
export async function noteLanguage(language: string): Promise<void> {
  await (await database()).put("facts", language, "language");
}

/** What the worker needs while no page is open: who is signed in here, how far their inbox is stored, the language. */
export async function background(): Promise<{ id: string | null; seq: number; language: string | null }> {
  const db = await database();
  const id = ((await db.get("facts", "present")) as string | undefined) ?? null;
  const seq = id === null ? undefined : await db.get("facts", readBy(id));
  return { id, seq: Number(seq ?? 0), language: ((await db.get("facts", "language")) as string | undefined) ?? null };
}

/** The page is in sight: from now on the time counts after which the PIN is asked for. */
export async function alive(id: string): Promise<void> {
  await note(id, { aliveAt: new Date().toISOString() });
}

/** Forget a person and all that is kept of them. */
export async function wipe(personId: string): Promise<void> {
  await close(personId);
  const db = await database();
  await db.delete("people", personId);
  await db.delete("facts", readBy(personId));
  await deleteDB(storeName(personId));
}
