/**
 * Records in IndexedDB, each sealed on its own (AES-GCM, a new nonce each time) under a key that cannot be exported.
 *
 * What is read, decided and written together happens in one `change`: under a lock that other tabs wait for, committed
 * in one transaction that has reached the disk. A kill at any moment leaves all of it or nothing.
 */
import { openDB, type IDBPDatabase } from "idb";

const NONCE_BYTES = 12;
const text = new TextEncoder();

export type Key = string | number;
type Bytes = Uint8Array<ArrayBuffer>;

/** Reads and writes of one `change`; what was written is seen by later reads. */
export interface Turn {
  get: <Value>(store: string, key: Key) => Promise<Value | undefined>;
  all: <Value>(store: string) => Promise<Value[]>;
  put: (store: string, key: Key, value: unknown) => void;
  delete: (store: string, key: Key) => void;
  clear: (store: string) => Promise<void>;
}

const place = (store: string, key: Key): string => `${store}/${typeof key}/${key}`;

async function seal(key: CryptoKey, where: string, content: Bytes): Promise<Bytes> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: text.encode(where) }, key, content);
  const whole = new Uint8Array(NONCE_BYTES + sealed.byteLength);
  whole.set(iv);
  whole.set(new Uint8Array(sealed), NONCE_BYTES);
  return whole;
}

async function unseal(key: CryptoKey, where: string, sealed: Bytes): Promise<Bytes> {
  const how = { name: "AES-GCM", iv: sealed.subarray(0, NONCE_BYTES), additionalData: text.encode(where) };
  return new Uint8Array(await crypto.subtle.decrypt(how, key, sealed.subarray(NONCE_BYTES)));
}

const packed = (value: unknown): Bytes => (value instanceof Uint8Array ? (value as Bytes) : text.encode(JSON.stringify(value)));

export class Sealed {
  private readonly channel: BroadcastChannel;
  /** What has been begun and not ended. */
  private readonly under = new Set<Promise<unknown>>();
  private closed = false;

  private constructor(
    readonly name: string,
    private readonly db: IDBPDatabase,
    private readonly key: CryptoKey,
    private readonly raw: ReadonlySet<string>,
    changed: () => void,
  ) {
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = changed;
  }

  /**
   * Open `stores`; those in `raw` hold bytes, the others JSON. `changed` is called when another tab has written.
   *
   * Stores are only ever added: their number is the version, so that a device gets new ones beside what it has.
   */
  static async open(name: string, stores: readonly string[], raw: readonly string[], key: CryptoKey, changed: () => void): Promise<Sealed> {
    const all = [...stores, ...raw];
    const db = await openDB(name, all.length, {
      upgrade: (made) => all.filter((store) => !made.objectStoreNames.contains(store)).forEach((store) => made.createObjectStore(store)),
      blocking: () => sealed.close(), // it is being wiped
    });
    const sealed = new Sealed(name, db, key, new Set(raw), changed);
    return sealed;
  }

  /** Begin nothing more; what was begun is done to its end. */
  close(): void {
    this.closed = true;
    this.channel.onmessage = null;
    void Promise.allSettled(this.under).then(() => {
      this.channel.close();
      this.db.close();
    });
  }

  private during<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.closed) return Promise.reject(new DOMException("The store is closed.", "AbortError"));
    const doing = work();
    const ended = (): void => void this.under.delete(doing);
    this.under.add(doing);
    doing.then(ended, ended);
    return doing;
  }

  get<Value>(store: string, key: Key): Promise<Value | undefined> {
    return this.during(() => this.read<Value>(store, key));
  }

  /** Every record of these stores as of one moment, in the order of their keys; one that cannot be read is reported. */
  all(stores: readonly string[]): Promise<Map<string, Map<Key, unknown>>> {
    return this.during(() => this.readAll(stores));
  }

  /** How many records a store holds. */
  count(store: string): Promise<number> {
    return this.during(() => this.db.count(store));
  }

  /** Read, decide and write together; what `work` gives back, once it is on the disk. */
  change<Result>(work: (turn: Turn) => Promise<Result>): Promise<Result> {
    return this.during(() => this.changing(work));
  }

  private async read<Value>(store: string, key: Key): Promise<Value | undefined> {
    const sealed = (await this.db.get(store, key)) as Bytes | undefined;
    return sealed && this.opened<Value>(store, key, sealed);
  }

  private async readAll(stores: readonly string[]): Promise<Map<string, Map<Key, unknown>>> {
    const t = this.db.transaction([...stores]);
    const read = await Promise.all(stores.map(async (store) => {
      const [keys, values] = await Promise.all([t.objectStore(store).getAllKeys(), t.objectStore(store).getAll()]);
      return { store, keys: keys as Key[], values: values as Bytes[] };
    }));
    const found = new Map<string, Map<Key, unknown>>();
    for (const { store, keys, values } of read) {
      const opened = await Promise.allSettled(values.map((sealed, i) => this.opened(store, keys[i] as Key, sealed)));
      const records = new Map<Key, unknown>();
      opened.forEach((one, i) => (one.status === "fulfilled" ? records.set(keys[i] as Key, one.value) : reportError(one.reason)));
      found.set(store, records);
    }
    return found;
  }

  private async changing<Result>(work: (turn: Turn) => Promise<Result>): Promise<Result> {
    const done = await navigator.locks.request(this.name, async () => {
      const written = new Map<string, { store: string; key: Key; value: unknown }>();
      const result = await work(this.turn(written));
      await this.commit([...written.values()]);
      return { result, wrote: written.size > 0 };
    });
    if (done.wrote) this.channel.postMessage("changed");
    return done.result;
  }

  private turn(written: Map<string, { store: string; key: Key; value: unknown }>): Turn {
    const put = (store: string, key: Key, value: unknown): void => void written.set(place(store, key), { store, key, value });
    const all = async (store: string): Promise<Map<Key, unknown>> => {
      const records = (await this.readAll([store])).get(store) ?? new Map<Key, unknown>();
      for (const one of written.values()) {
        if (one.store !== store) continue;
        if (one.value === undefined) records.delete(one.key);
        else records.set(one.key, one.value);
      }
      return records;
    };
    return {
      put,
      delete: (store, key) => put(store, key, undefined),
      get: async <Value>(store: string, key: Key) => {
        const own = written.get(place(store, key));
        return own ? (own.value as Value | undefined) : this.read<Value>(store, key);
      },
      all: async <Value>(store: string) => [...(await all(store)).values()] as Value[],
      clear: async (store) => {
        const keys = (await this.db.getAllKeys(store)) as Key[];
        for (const key of [...keys, ...(await all(store)).keys()]) put(store, key, undefined);
      },
    };
  }

  private async commit(changes: readonly { store: string; key: Key; value: unknown }[]): Promise<void> {
    if (!changes.length) return;
    const sealed = await Promise.all(changes.map(async ({ store, key, value }) => ({
      store, key, sealed: value === undefined ? undefined : await seal(this.key, place(store, key), packed(value)),
    })));
    const t = this.db.transaction([...new Set(changes.map(({ store }) => store))], "readwrite", { durability: "strict" });
    const failed = t.done; // a full disk is told here, not by a single put
    for (const one of sealed) {
      const store = t.objectStore(one.store);
      void (one.sealed ? store.put(one.sealed, one.key) : store.delete(one.key)).catch(() => undefined);
    }
    await failed;
  }

  private async opened<Value>(store: string, key: Key, sealed: Bytes): Promise<Value> {
    const content = await unseal(this.key, place(store, key), sealed);
    return (this.raw.has(store) ? content : JSON.parse(new TextDecoder().decode(content))) as Value;
  }
}
