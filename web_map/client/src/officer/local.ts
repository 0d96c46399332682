/** What this device keeps for one person: their inbox as read so far, and what waits to be sent; all of it sealed. */
import { storeName } from "./device";
import { newId } from "../shared/api";
import type {
  AideMemoire, CodeLists, DutySheet, Ending, Entry, Form, InboxItem, KeptFile, KeptMessage, KeptNotice, KeptTask, Late, Message,
  OwnFix, Panic, Receipt, Recorded, Shift, Starting, Task, Unit,
} from "./model";
import { Sealed, type Turn } from "./sealed";
import { RECEIPTS } from "./steps";

/** An own position that waits to be sent. */
export interface KeptFix {
  shift: string;
  fix: OwnFix;
}

/** Single values, by name. */
export interface Facts {
  seq: number;
  /** The number of the last action on this device; it only grows, whatever the clock does. */
  order: number;
  units: Unit[];
  shift: Shift | null;
  /** How many begins and ends of shifts the server has answered here: what was asked before the last knows less. */
  settled: number;
  codes: CodeLists;
  sheet: DutySheet;
  aides: AideMemoire[];
  reporting: boolean;
  starting: Starting;
  ending: Ending;
  /** Which shift a begin that was kept on this device has become. */
  begun: Record<string, string>;
  checked_at: string;
  /** The last alarm of this officer that the centre has. */
  panic: Panic;
}

const RECORDS = ["tasks", "notices", "messages", "outbox", "late", "forms", "files", "recorded"] as const;
/** Bytes: files in pieces as they were taken, and the small pictures that are shown. */
const BYTES = ["pieces", "copies"] as const;
/** A file is kept in pieces of so many bytes, each sealed on its own: to send one is not to open all. */
export const PIECE_BYTES = 256 * 1024;

/** Records as the screen is drawn from them. */
export interface Kept {
  tasks: KeptTask[];
  notices: KeptNotice[];
  messages: KeptMessage[];
  outbox: Entry[];
  late: Late[];
  forms: Form[];
  files: KeptFile[];
  recorded: Recorded[];
}

/** Finished forms are remembered for a day. */
const RECORDED_MS = 24 * 3_600_000;

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

function dropBytes(turn: Turn, file: KeptFile): void {
  for (let n = 0; n * PIECE_BYTES < file.size; n++) turn.delete("pieces", `${file.id}/${n}`);
  turn.delete("copies", file.id);
}

async function filesOf(turn: Turn, formId: string): Promise<KeptFile[]> {
  return (await turn.all<KeptFile>("files")).filter((file) => file.form_id === formId);
}

/** Records of sent files are kept only as long as others of their form are not. */
async function forgetSent(turn: Turn, formId: string): Promise<void> {
  const files = await filesOf(turn, formId);
  if (files.every((file) => file.state === "sent")) for (const file of files) turn.delete("files", file.id);
}

async function dropFiles(turn: Turn, formId: string): Promise<void> {
  for (const file of await filesOf(turn, formId)) {
    dropBytes(turn, file);
    turn.delete("files", file.id);
  }
}

/** What was to be sent is a form to be written on again, with its photos; under a new id where the old one is taken. */
async function openAgain(turn: Turn, entry: Entry): Promise<Form> {
  const { id: _, task_id: __, ...fields } = entry.body;
  const form = entry.about.form as Omit<Form, "fields">;
  const id = entry.refused?.code === "id_reused" ? newId() : form.id;
  const opened: Form = { ...form, id, fields, ...(entry.refused ? { refused: entry.refused } : {}) };
  turn.put("forms", id, opened);
  turn.delete("recorded", form.id);
  for (const file of await filesOf(turn, form.id)) turn.put("files", file.id, { ...file, form_id: id, state: "draft" });
  return opened;
}

/** In the turn that sends a form: it is no draft any more, its photos follow it, and it is remembered for a day. */
export async function formSent(turn: Turn, form: Form, recorded: Recorded): Promise<void> {
  turn.delete("forms", form.id);
  for (const file of await filesOf(turn, form.id)) turn.put("files", file.id, { ...file, state: "waiting" });
  turn.put("recorded", recorded.id, recorded);
  for (const { id, at } of await turn.all<Recorded>("recorded")) if (Date.now() - Date.parse(at) > RECORDED_MS) turn.delete("recorded", id);
}

export class Local {
  private constructor(private readonly sealed: Sealed) {}

  /** The store of one person on this device; `changed` is called when another tab has written to it. */
  static async open(personId: string, key: CryptoKey, changed: () => void): Promise<Local> {
    return new Local(await Sealed.open(storeName(personId), [...RECORDS, "facts", "fixes"], BYTES, key, changed));
  }

  close(): void {
    this.sealed.close();
  }

  /** Everything kept, as of one moment. */
  async held(): Promise<{ kept: Kept; facts: Partial<Facts> }> {
    const all = await this.sealed.all([...RECORDS, "facts"]);
    const of = <Value>(store: (typeof RECORDS)[number]): Value[] => [...(all.get(store)?.values() ?? [])] as Value[];
    const tasks = of<Omit<KeptTask, "supports"> & Partial<KeptTask>>("tasks").map((task) => ({ ...task, supports: task.supports ?? [] })); // an older page kept none
    const kept: Kept = {
      tasks, notices: of("notices"), messages: of("messages"), outbox: of("outbox"), late: of("late"),
      forms: of("forms"), files: of("files"), recorded: of("recorded"),
    };
    return { kept, facts: Object.fromEntries(all.get("facts") ?? []) as Partial<Facts> };
  }

  fact<K extends keyof Facts>(name: K): Promise<Facts[K] | undefined> {
    return this.sealed.get<Facts[K]>("facts", name);
  }

  setFacts(facts: Partial<Facts>): Promise<void> {
    return this.sealed.change(async (turn) => {
      for (const [name, value] of Object.entries(facts)) turn.put("facts", name, value);
    });
  }

  /** The server has begun or ended a shift; `begin` is the entry that began it. */
  settleShift(shift: Shift | null, begin: string): Promise<void> {
    return this.sealed.change(async (turn) => {
      turn.put("facts", "shift", shift);
      turn.put("facts", "settled", ((await turn.get<number>("facts", "settled")) ?? 0) + 1);
      if (shift) turn.put("facts", "begun", { ...(await turn.get<Facts["begun"]>("facts", "begun")), [begin]: shift.id });
    });
  }

  /** Keep what was read of the duty, unless a shift was settled since `settled` were; whether it is kept. */
  putDuty(duty: Pick<Facts, "units" | "shift" | "codes">, settled: number): Promise<boolean> {
    return this.sealed.change(async (turn) => {
      if (((await turn.get<number>("facts", "settled")) ?? 0) !== settled) return false;
      for (const [name, value] of Object.entries(duty)) turn.put("facts", name, value);
      return true;
    });
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

  /** A task as the answer to a step shows it, and what this device alone knows of it. */
  storeTask(task: Task, known: Pick<KeptTask, "support_seen" | "stood_down">): Promise<void> {
    return this.sealed.change(async (turn) => {
      turn.put("tasks", task.id, { ...newest(await turn.get("tasks", task.id), task), ...known });
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
        if (held.hold_until && !RECEIPTS.includes(entry.about.verb)) turn.put("outbox", held.order, { ...held, hold_until: 0 });
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

  /** Remove an entry unless its time for undo is over, a form to be written on; whether it was removed. */
  takeBack(order: number): Promise<boolean> {
    return this.sealed.change(async (turn) => {
      const kept = await turn.get<Entry>("outbox", order);
      if (!kept || kept.hold_until <= Date.now()) return false;
      if (kept.about.form) await openAgain(turn, kept);
      turn.delete("outbox", order);
      return true;
    });
  }

  /** The server has it. */
  remove(order: number): Promise<void> {
    return this.sealed.change(async (turn) => turn.delete("outbox", order));
  }

  /** Forget what was refused, with the photos of a form. */
  discard(order: number): Promise<void> {
    return this.sealed.change(async (turn) => {
      const kept = await turn.get<Entry>("outbox", order);
      if (kept?.about.form) {
        await dropFiles(turn, kept.about.form.id);
        turn.delete("recorded", kept.about.form.id);
      }
      turn.delete("outbox", order);
    });
  }

  /** A refused form as one to be written on; null when it is not there any more. */
  reopen(order: number): Promise<Form | null> {
    return this.sealed.change(async (turn) => {
      const kept = await turn.get<Entry>("outbox", order);
      if (!kept?.about.form) return null;
      turn.delete("outbox", order);
      return openAgain(turn, kept);
    });
  }

  addForm(form: Form): Promise<void> {
    return this.sealed.change(async (turn) => turn.put("forms", form.id, form));
  }

  /** Keep a form as it stands, unless it was sent or dropped meanwhile. */
  putForm(form: Form): Promise<void> {
    return this.sealed.change(async (turn) => {
      if (await turn.get("forms", form.id)) turn.put("forms", form.id, form);
    });
  }

  dropForm(id: string): Promise<void> {
    return this.sealed.change(async (turn) => {
      await dropFiles(turn, id);
      turn.delete("forms", id);
    });
  }

  /** A file with its content and, for a picture, a smaller one; all of it or nothing. */
  addFile(file: KeptFile, content: Uint8Array, copy: Uint8Array | null): Promise<void> {
    return this.sealed.change(async (turn) => {
      turn.put("files", file.id, file);
      for (let n = 0; n * PIECE_BYTES < file.size; n++) {
        turn.put("pieces", `${file.id}/${n}`, content.slice(n * PIECE_BYTES, (n + 1) * PIECE_BYTES));
      }
      if (copy) turn.put("copies", file.id, copy);
    });
  }

  /** Change a file's record; what it is then, or null when it is not there any more. */
  changeFile(id: string, fields: Partial<KeptFile>): Promise<KeptFile | null> {
    return this.sealed.change(async (turn) => {
      const kept = await turn.get<KeptFile>("files", id);
      if (!kept) return null;
      const changed = { ...kept, ...fields };
      turn.put("files", id, changed);
      return changed;
    });
  }

  /** The server has a file: its bytes leave the device, and its record once all files of its form have. */
  fileSent(id: string): Promise<void> {
    return this.sealed.change(async (turn) => {
      const file = await turn.get<KeptFile>("files", id);
      if (!file) return;
      dropBytes(turn, file);
      turn.put("files", id, { ...file, state: "sent", received: file.size });
      await forgetSent(turn, file.form_id);
    });
  }

  dropFile(id: string): Promise<void> {
    return this.sealed.change(async (turn) => {
      const file = await turn.get<KeptFile>("files", id);
      if (!file) return;
      dropBytes(turn, file);
      turn.delete("files", id);
      await forgetSent(turn, file.form_id);
    });
  }

  async files(): Promise<KeptFile[]> {
    return [...((await this.sealed.all(["files"])).get("files")?.values() ?? [])] as KeptFile[];
  }

  /** At most `n` kept pieces of a file from byte `offset` on. */
  async bytes(file: KeptFile, offset: number, n: number): Promise<Blob> {
    const first = Math.floor(offset / PIECE_BYTES);
    const last = Math.min(first + n, Math.ceil(file.size / PIECE_BYTES));
    const pieces = await Promise.all(Array.from({ length: last - first }, async (_, i) => {
      const piece = await this.sealed.get<Uint8Array<ArrayBuffer>>("pieces", `${file.id}/${first + i}`);
      if (!piece) throw new DOMException(`A piece of ${file.id} is gone.`, "NotFoundError");
      return piece;
    }));
    return new Blob(pieces).slice(offset - first * PIECE_BYTES);
  }

  copy(id: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.sealed.get("copies", id);
  }

  /** An own position during a shift; `shift` is its id, or that of its begin which still waits. */
  addFix(fix: KeptFix): Promise<void> {
    return this.sealed.change(async (turn) => turn.put("fixes", fix.fix.fix_at, fix));
  }

  countFixes(): Promise<number> {
    return this.sealed.count("fixes");
  }

  async fixes(): Promise<KeptFix[]> {
    return [...((await this.sealed.all(["fixes"])).get("fixes")?.values() ?? [])] as KeptFix[];
  }

  dropFixes(fixes: readonly KeptFix[]): Promise<void> {
    return this.sealed.change(async (turn) => fixes.forEach(({ fix }) => turn.delete("fixes", fix.fix_at)));
  }

  addLate(late: Late): Promise<void> {
    return this.sealed.change(async (turn) => turn.put("late", late.id, late));
  }

  removeLate(id: string): Promise<void> {
    return this.sealed.change(async (turn) => turn.delete("late", id));
  }
}
