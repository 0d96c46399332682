/** What this device keeps for one person: their inbox as read so far, and what waits to be sent; all of it sealed. */
import { storeName } from "./device";
import type {
  CodeLists, Draft, Entry, InboxItem, KeptMessage, KeptNotice, KeptTask, Late, Message, Panic, Receipt, Shift, Status, Task, Unit,
} from "./model";
import { Sealed, type Turn } from "./sealed";

/** Single values, by name. */
interface Facts {
  seq: number;
  /** The number of the last action on this device; it only grows, whatever the clock does. */
  order: number;
  units: Unit[];
  shift: Shift | null;
  codes: CodeLists;
  draft: Draft;
  checked_at: string;
  /** The last alarm of this officer that the centre has. */
  panic: Panic;
}

const RECORDS = ["tasks", "notices", "messages", "outbox", "late"] as const;

/** Everything kept, as the screen is drawn from it. */
export interface Kept {
  tasks: KeptTask[];
  notices: KeptNotice[];
  messages: KeptMessage[];
  outbox: Entry[];
  late: Late[];
}

/** The newer of two states of a task; a receipt does not raise the version, so an equal one counts as newer. */
function newest(had: KeptTask | undefined, came: Task): KeptTask {
  if (!had) return came;
  return came.version >= had.version ? { ...had, ...came } : had;
}

async function take(turn: Turn, item: InboxItem): Promise<void> {
  if (item.kind === "task") {
    turn.put("tasks", item.body.id, newest(await turn.get("tasks", item.body.id), item.body));
  } else if (item.kind === "notice") {
    const kept = await turn.get<KeptNotice>("notices", item.body.id);
    const { seen_at = null, acknowledged_at = null, confirmed_at = null } = kept ?? {};
    turn.put("notices", item.body.id, { seen_at, acknowledged_at, confirmed_at, ...item.body });
  } else if (item.kind === "message") {
    const kept = await turn.get<KeptMessage>("messages", item.body.id);
    turn.put("messages", item.body.id, { ...item.body, unread: kept?.unread ?? true });
  }
}

/** Note what this device knows of a notice's receipts. */
export async function noteReceipt(turn: Turn, noticeId: string, receipt: Receipt, at: string): Promise<void> {
  const kept = await turn.get<KeptNotice>("notices", noticeId);
  if (kept) turn.put("notices", noticeId, { ...kept, [receipt]: kept[receipt] ?? at });
}

export class Local {
  private constructor(private readonly sealed: Sealed) {}

  /** The store of one person on this device; `changed` is called when another tab has written to it. */
  static async open(personId: string, key: CryptoKey, changed: () => void): Promise<Local> {
    return new Local(await Sealed.open(storeName(personId), [...RECORDS, "facts"], [], key, changed));
  }

  close(): void {
    this.sealed.close();
  }

  async kept(): Promise<Kept> {
    const all = await this.sealed.all(RECORDS);
    const of = <Value>(store: (typeof RECORDS)[number]): Value[] => [...(all.get(store)?.values() ?? [])] as Value[];
    return { tasks: of("tasks"), notices: of("notices"), messages: of("messages"), outbox: of("outbox"), late: of("late") };
  }

  fact<K extends keyof Facts>(name: K): Promise<Facts[K] | undefined> {
    return this.sealed.get<Facts[K]>("facts", name);
  }

  async facts(): Promise<Partial<Facts>> {
    return Object.fromEntries((await this.sealed.all(["facts"])).get("facts") ?? []) as Partial<Facts>;
  }

  setFacts(facts: Partial<Facts>): Promise<void> {
    return this.sealed.change(async (turn) => {
      for (const [name, value] of Object.entries(facts)) turn.put("facts", name, value);
    });
  }

  dropFact(name: keyof Facts): Promise<void> {
    return this.sealed.change(async (turn) => turn.delete("facts", name));
  }

  /** Store items and how far the inbox is read together; items stored before change nothing. Those new here. */
  store(items: readonly InboxItem[]): Promise<InboxItem[]> {
    return this.sealed.change(async (turn) => {
      const had = (await turn.get<number>("facts", "seq")) ?? 0;
      const fresh = items.filter((item) => item.seq > had);
      for (const item of fresh) await take(turn, item);
      const last = fresh.at(-1);
      if (last) turn.put("facts", "seq", last.seq);
      return fresh;
    });
  }

  /** A task as the answer to a step shows it; `support_status` is where that step has brought a supporting unit. */
  storeTask(task: Task, support_status?: Status): Promise<void> {
    return this.sealed.change(async (turn) => {
      const kept = newest(await turn.get("tasks", task.id), task);
      turn.put("tasks", task.id, support_status ? { ...kept, support_status } : kept);
    });
  }

  /** Forget what was read, not what waits: the server's inbox has begun anew. */
  forgetInbox(): Promise<void> {
    return this.sealed.change(async (turn) => {
      await turn.clear("tasks");
      await turn.clear("notices");
      await turn.clear("messages");
      turn.delete("facts", "seq");
    });
  }

  /** Messages that the officer has seen, or wrote. */
  storeMessages(messages: readonly Message[]): Promise<void> {
    return this.sealed.change(async (turn) => {
      for (const message of messages) turn.put("messages", message.id, { ...message, unread: false });
    });
  }

  /** Add to the outbox, with what belongs to it; what was held back for undo is let go, so that order and meaning stay. */
  add(entry: Omit<Entry, "order">, also?: (turn: Turn) => Promise<void>): Promise<void> {
    return this.sealed.change(async (turn) => {
      await also?.(turn);
      for (const held of await turn.all<Entry>("outbox")) {
        if (held.hold_until) turn.put("outbox", held.order, { ...held, hold_until: 0 });
      }
      const order = ((await turn.get<number>("facts", "order")) ?? 0) + 1;
      turn.put("facts", "order", order);
      turn.put("outbox", order, { ...entry, order });
    });
  }

  /** What waits, in the order in which it was done. */
  async waiting(): Promise<Entry[]> {
    const entries = [...((await this.sealed.all(["outbox"])).get("outbox")?.values() ?? [])] as Entry[];
    return entries.filter((entry) => !entry.refused);
  }

  /** Change an entry; false when it is not there any more. */
  change(order: number, fields: { [K in keyof Entry]?: Entry[K] | undefined }): Promise<boolean> {
    return this.sealed.change(async (turn) => {
      const kept = await turn.get<Entry>("outbox", order);
      if (kept) turn.put("outbox", order, { ...kept, ...fields });
      return kept !== undefined;
    });
  }

  /** Remove an entry unless its time for undo is over; whether it was removed. */
  takeBack(order: number): Promise<boolean> {
    return this.sealed.change(async (turn) => {
      const kept = await turn.get<Entry>("outbox", order);
      const held = kept !== undefined && kept.hold_until > Date.now();
      if (held) turn.delete("outbox", order);
      return held;
    });
  }

  remove(order: number): Promise<void> {
    return this.sealed.change(async (turn) => turn.delete("outbox", order));
  }

  addLate(late: Late): Promise<void> {
    return this.sealed.change(async (turn) => turn.put("late", late.id, late));
  }

  removeLate(id: string): Promise<void> {
    return this.sealed.change(async (turn) => turn.delete("late", id));
  }
}
