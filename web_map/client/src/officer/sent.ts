/** The server has done what waited: keep what it answered, and say what the officer must know. */
import { code, hourMinute, t } from "../shared/i18n";
import type { StopForm } from "../shared/contract";
import { current, drawKept, refresh, say } from "./desk";
import type { Local } from "./local";
import type { Entry, KeptFile, Message, Panic, Shift, Transition } from "./model";
import { seenBy } from "./steps";
import { state, unitIds } from "./store";
import { giveUp, sendTrack } from "./track";

/** `local` is the store of whoever did it, whoever uses the page by now. */
export async function sent(local: Local, entry: Entry, answer: unknown): Promise<void> {
  const { about } = entry;
  if (about.kind === "task") await stepSent(local, entry, answer as Transition);
  else if (about.kind === "shift") {
    const shift = about.verb === "shift_start" ? (answer as Shift) : null;
    await local.settleShift(shift, entry.id);
    await refresh();
    sendTrack();
    say(t(shift ? "officer.said.shift_on" : "officer.said.shift_off"));
    current()?.inbox?.poll();
  } else if (about.kind === "talk") {
    await local.storeMessages([answer as Message]);
    if (about.verb === "support") say(t("officer.said.support"));
  } else if (about.kind === "panic") {
    const panic = answer as Panic;
    await local.setFacts({ panic });
    say(t("officer.panic.raised", { time: hourMinute(panic.raised_at), number: panic.number }));
  } else if (about.form) {
    say(about.kind === "stop" ? t("officer.said.stop_form", { number: (answer as StopForm).number }) : t("officer.said.violation"));
    current()?.uploads.flush(); // its photos may follow
  }
}

/** More of a photo is with the server: shown without reading everything that is kept. */
export function uploading(file: KeptFile): void {
  drawKept({ files: state.kept.files.map((one) => (one.id === file.id ? file : one)) });
}

export function uploadRefused(file: KeptFile): void {
  say(t("officer.said.file_refused", { name: file.name }));
}

/** The server does not take it: a shift that was not begun gives up the positions that were kept for it. */
export async function refused(local: Local, entry: Entry): Promise<void> {
  if (entry.about.verb === "shift_start") await giveUp(local, entry.id);
}

async function stepSent(local: Local, entry: Entry, { result, task }: Transition): Promise<void> {
  const { verb } = entry.about;
  const { since } = seenBy(task, unitIds());
  await local.storeTask(task, !since ? {} : verb === "seen" ? { support_seen: true } : verb === "cancel_confirm" ? { stood_down: since } : {});
  if (verb === "seen") return;
  if (result === "applied") return;
  await local.addLate({ id: entry.id, task_id: task.id, verb, result, at: entry.made_at });
  say(t(`officer.late.${result}`, { verb: t(`officer.verb.${verb}`), status: code("task_status", task.status) }));
}
