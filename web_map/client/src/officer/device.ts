/** What this device knows beside anybody's own store: who uses it, and what opens their stores. */
import { deleteDB, openDB, type DBSchema, type IDBPDatabase } from "idb";
import { deviceKey, newStoreKey, openKey, type Wrapped } from "./keys";
import type { Me } from "./model";

/** A session holds for so long, and so does what was opened with it. */
export const SESSION_MS = 12 * 3_600_000;

/** Somebody who has signed in on this device. */
export interface Person {
  id: string;
  me: Me;
  /** The store's key, wrapped by the device's. */
  wrapped: Wrapped;
  /** The store's key while it is open here; it can be used and not read. */
  key: CryptoKey | null;
  /** Until when the store may be opened without asking the server. */
  until: string;
}

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
async function ownKey(): Promise<CryptoKey> {
  const db = await database();
  const made = await deviceKey(); // made before it is known whether it is needed: no transaction waits for it
  const t = db.transaction("facts", "readwrite");
  const kept = (await t.store.get("key")) as CryptoKey | undefined;
  if (!kept) await t.store.put(made, "key");
  await t.done;
  return kept ?? made;
}

export const storeName = (personId: string): string => `outrider-store-${personId}`;

/** Whoever is signed in here and may look at what is kept; null when nobody is, or their time is over. */
export async function present(): Promise<(Person & { key: CryptoKey }) | null> {
  const db = await database();
  const id = (await db.get("facts", "present")) as string | undefined;
  const person = id === undefined ? undefined : await db.get("people", id);
  return person?.key && Date.parse(person.until) > Date.now() ? { ...person, key: person.key } : null;
}

/** Note who has signed in, by the server's word; the key of their store. */
export async function arrive(me: Me): Promise<CryptoKey> {
  const [db, device] = await Promise.all([database(), ownKey()]);
  const wrapped = (await db.get("people", me.id))?.wrapped ?? (await newStoreKey(device));
  const key = await openKey(wrapped, device);
  const until = new Date(Date.now() + SESSION_MS).toISOString();
  await db.put("people", { id: me.id, me: { ...me, csrf_token: "" }, wrapped, key, until });
  await db.put("facts", me.id, "present");
  return key;
}

/** Nobody is signed in here any more; their store stays, unread. */
export async function depart(): Promise<void> {
  await (await database()).delete("facts", "present");
}

/** Forget a person and all that is kept of them. */
export async function wipe(personId: string): Promise<void> {
  const db = await database();
  await db.delete("people", personId);
  if ((await db.get("facts", "present")) === personId) await db.delete("facts", "present");
  await deleteDB(storeName(personId));
}
