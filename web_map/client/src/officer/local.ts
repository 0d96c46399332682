/** What this device keeps for one person: their inbox as read so far, and what waits to be sent. */
import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import type { CodeLists, Draft, Entry, InboxItem, KeptNotice, KeptTask, Late, Receipt, Shift, Status, Task, Unit } from "./model";

/** Single values, by name. */
interface Facts {
  seq: number;
  units: Unit[];
  shift: Shift | null;
  codes: CodeLists;
  draft: Draft;
  checked_at: string;
}

interface Schema extends DBSchema {
  tasks: { key: string; value: KeptTask };
  notices: { key: string; value: KeptNotice };
  outbox: { key: number; value: Entry };
  late: { key: string; value: Late };
  facts: { key: string; value: Facts[keyof Facts] };
}

const STORES = ["tasks", "notices", "outbox", "late", "facts"] as const;

/** Everything kept, as the screen is drawn from it. */
export interface Kept {
  tasks: KeptTask[];
  notices: KeptNotice[];
  outbox: Entry[];
  late: Late[];
}

/** The newer of two states of a task; a receipt does not raise the version, so an equal one counts as newer. */
function newest(had: KeptTask | undefined, came: Task): KeptTask {
  if (!had) return came;
  return came.version >= had.version ? { ...had, ...came } : had;
}

export class Local {
  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  /** The store of one person on this device. */
  static async open(userId: string): Promise<Local> {
    const db = await openDB<Schema>(`outrider-officer-${userId}`, 1, {
      upgrade(made) {
        for (const name of ["tasks", "notices", "late"] as const) made.createObjectStore(name, { keyPath: "id" });
        made.createObjectStore("outbox", { keyPath: "order", autoIncrement: true });
        made.createObjectStore("facts");
      },
    });
    return new Local(db);
  }

  close(): void {
    this.db.close();
  }

  async kept(): Promise<Kept> {
    const t = this.db.transaction(STORES);
    const [tasks, notices, outbox, late] = await Promise.all([
      t.objectStore("tasks").getAll(),
      t.objectStore("notices").getAll(),
      t.objectStore("outbox").getAll(),
      t.objectStore("late").getAll(),
    ]);
    return { tasks, notices, outbox, late };
  }

  async fact<K extends keyof Facts>(name: K): Promise<Facts[K] | undefined> {
    return (await this.db.get("facts", name)) as Facts[K] | undefined;
  }

  async setFact<K extends keyof Facts>(name: K, value: Facts[K]): Promise<void> {
    await this.db.put("facts", value, name);
  }

  async dropFact(name: keyof Facts): Promise<void> {
    await this.db.delete("facts", name);
  }

  /** Store items and how far the inbox is read in one transaction; items stored before change nothing. Those new here. */
  async store(items: readonly InboxItem[]): Promise<InboxItem[]> {
    const t = this.db.transaction(["tasks", "notices", "facts"], "readwrite");
    const had = ((await t.objectStore("facts").get("seq")) as number | undefined) ?? 0;
    const fresh = items.filter((item) => item.seq > had);
    for (const item of fresh) {
      if (item.kind === "task") {
        await t.objectStore("tasks").put(newest(await t.objectStore("tasks").get(item.body.id), item.body));
      } else if (item.kind === "notice") {
        const kept = await t.objectStore("notices").get(item.body.id);
        const receipts = {
          seen_at: kept?.seen_at ?? null, acknowledged_at: kept?.acknowledged_at ?? null, confirmed_at: kept?.confirmed_at ?? null,
        };
        await t.objectStore("notices").put({ ...receipts, ...item.body });
      }
    }
    const last = fresh.at(-1);
    if (last) await t.objectStore("facts").put(last.seq, "seq");
    await t.done;
    return fresh;
  }

  /** A task as the answer to a step shows it; `support_status` is where that step has brought a supporting unit. */
  async storeTask(task: Task, support_status?: Status): Promise<void> {
    const t = this.db.transaction("tasks", "readwrite");
    const kept = newest(await t.store.get(task.id), task);
    await t.store.put(support_status ? { ...kept, support_status } : kept);
    await t.done;
  }

  async noteReceipt(noticeId: string, receipt: Receipt, at: string): Promise<void> {
    const t = this.db.transaction("notices", "readwrite");
    const kept = await t.store.get(noticeId);
    if (kept) await t.store.put({ ...kept, [receipt]: kept[receipt] ?? at });
    await t.done;
  }

  /** Forget what was read, not what waits: the server's inbox has begun anew. */
  async forgetInbox(): Promise<void> {
    const t = this.db.transaction(["tasks", "notices", "facts"], "readwrite");
    await Promise.all([
      t.objectStore("tasks").clear(),
      t.objectStore("notices").clear(),
      t.objectStore("facts").delete("seq"),
      t.done,
    ]);
  }

  /** Add to the outbox; what was held back for undo until now is let go, so that order and meaning stay. */
  async add(entry: Entry): Promise<void> {
    const t = this.db.transaction("outbox", "readwrite");
    for (const held of await t.store.getAll()) if (held.hold_until) await t.store.put({ ...held, hold_until: 0 });
    await t.store.add(entry);
    await t.done;
  }

  /** The first entry that is still to be sent. */
  async head(): Promise<Entry | undefined> {
    return (await this.db.getAll("outbox")).find((entry) => !entry.refused);
  }

  /** Change an entry; false when it is not there any more. */
  async change(entry: Entry, fields: { [K in keyof Entry]?: Entry[K] | undefined }): Promise<boolean> {
    const t = this.db.transaction("outbox", "readwrite");
    const kept = entry.order === undefined ? undefined : await t.store.get(entry.order);
    if (kept) await t.store.put({ ...kept, ...fields } as Entry);
    await t.done;
    return kept !== undefined;
  }

  /** Remove an entry unless its time for undo is over; whether it was removed. */
  async takeBack(entry: Entry): Promise<boolean> {
    const t = this.db.transaction("outbox", "readwrite");
    const kept = entry.order === undefined ? undefined : await t.store.get(entry.order);
    const held = kept !== undefined && kept.hold_until > Date.now();
    if (held && kept.order !== undefined) await t.store.delete(kept.order);
    await t.done;
    return held;
  }

  async remove(entry: Entry): Promise<void> {
    if (entry.order !== undefined) await this.db.delete("outbox", entry.order);
  }

  async addLate(late: Late): Promise<void> {
    await this.db.put("late", late);
  }

  async removeLate(id: string): Promise<void> {
    await this.db.delete("late", id);
  }
}
