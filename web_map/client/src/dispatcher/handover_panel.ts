/** The hand-over: what waits to be confirmed, the note of who leaves, what is open now, and the earlier ones. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { api, withQuery } from "../shared/api";
import { code, dayTime, hourMinute, t } from "../shared/i18n";
import { refusalText } from "../shared/refusal";
import { may, me } from "../shared/session";
import type { Handover, LeftNotice, LeftSilent, LeftTask, OpenNow, Page, ServerMessage, WholeHandover } from "../shared/types";
import { confirmHandover, handOver, openNotice, openTask } from "./actions";
import { callSign, priority, since, statusBadge } from "./parts";
import { redraw, set, setAndFocus, store, ui } from "./state";
import { serverNow } from "./store";

const EARLIER = 10;
/** How long a hand-over that nobody confirmed is told of; the server's snapshots hold no older one. */
const ANNOUNCED_MS = 24 * 3_600_000;
const AGAIN_MS = 2_000;

const desk = {
  now: null as OpenNow | null,
  earlier: [] as Handover[],
  next: null as string | null,
  whole: new Map<string, WholeHandover>(),
  note: "",
  fault: "",
};

export function openHandover(): void {
  if (!may("handovers.read")) return;
  setAndFocus({ panel: "handover" }, "#handover");
  void read(readNow);
  void read(readNewest);
}

async function read(part: () => Promise<void>): Promise<void> {
  try {
    await part();
    desk.fault = "";
  } catch (error) {
    desk.fault = refusalText(error);
  }
  redraw();
}

async function readNow(): Promise<void> {
  desk.now = await api.get<OpenNow>("/handovers/now");
}

async function readNewest(): Promise<void> {
  const page = await api.get<Page<Handover>>(withQuery("/handovers", { limit: EARLIER }));
  [desk.earlier, desk.next] = [page.items, page.next];
}

async function readOlder(): Promise<void> {
  const page = await api.get<Page<Handover>>(withQuery("/handovers", { limit: EARLIER, after: desk.next }));
  [desk.earlier, desk.next] = [[...desk.earlier, ...page.items], page.next];
}

async function readWhole(id: string): Promise<void> {
  if (!desk.whole.has(id)) desk.whole.set(id, await api.get<WholeHandover>(`/handovers/${id}`));
}

const timers = new Map<() => Promise<void>, number>();

/** Read a part again soon, once for all that comes until then. */
function again(part: () => Promise<void>): void {
  if (timers.has(part)) return;
  timers.set(part, window.setTimeout(() => {
    timers.delete(part);
    if (ui.panel === "handover") void read(part);
  }, AGAIN_MS));
}

/** The socket told of something: the open panel shows it too. */
export function handoverChanged(kind: ServerMessage["kind"]): void {
  if (ui.panel !== "handover") return;
  if (kind === "task" || kind === "notice" || kind === "alert" || kind === "snapshot") again(readNow);
  if (kind === "handover" || kind === "snapshot") again(readNewest);
}

/** Those that nobody has confirmed yet, the oldest first. */
function waiting(): Handover[] {
  const from = serverNow(store) - ANNOUNCED_MS;
  return [...store.handovers.values()].filter((one) => Date.parse(one.given_at) > from).sort((a, b) => a.given_at.localeCompare(b.given_at));
}

const isMine = (handover: Handover): boolean => handover.given_by === me()?.id;

/** Above whatever stands at the side: somebody else handed over, and the person at this screen may confirm it. */
export function handoverWaits(): TemplateResult | typeof nothing {
  const one = waiting().findLast((handover) => !isMine(handover));
  if (!one || ui.panel === "handover" || !may("handovers.give")) return nothing;
  return html`<div class="notice-box" role="status"><p>${t("handover.waits", { who: one.given_by_name, at: hourMinute(one.given_at) })}</p>
    <button class="button" id="read-handover" @click=${openHandover}>${t("handover.read")} <kbd>h</kbd></button></div>`;
}

export function handoverButton(): TemplateResult | typeof nothing {
  if (!may("handovers.read")) return nothing;
  const n = waiting().length;
  return html`<button class="button" id="open-handover" @click=${openHandover}>${t("handover.button")}${n ? html` <span class="count">${n}</span>` : nothing}</button>`;
}

export function handoverPanel(): TemplateResult {
  const waits = waiting();
  const earlier = desk.earlier.filter((one) => !waits.some((other) => other.id === one.id));
  return html`<div class="scroll handover">
    <button class="button back" @click=${() => set({ panel: "queue" })}>← ${t("tab.queue")}</button>
    <h2 id="handover" tabindex="-1">${t("handover.title")}</h2>
    ${desk.fault ? html`<p class="hint fault" role="alert">${desk.fault}</p>` : nothing}
    ${repeat(waits, (one) => one.id, (one) => card(one, true))}
    ${may("handovers.give") ? form() : nothing}
    ${desk.now ? openNow(desk.now) : html`<p class="hint">${t("loading")}</p>`}
    ${earlier.length ? html`<h3 class="group">${t("handover.earlier")}</h3>${repeat(earlier, (one) => one.id, (one) => card(one, false))}` : nothing}
    ${desk.next ? html`<button class="button older" @click=${() => void read(readOlder)}>${t("handover.older")}</button>` : nothing}</div>`;
}

function form(): TemplateResult {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    void handOver(desk.note).then((done) => {
      if (done) desk.note = "";
      return read(readNewest);
    });
  };
  return html`<form class="ask" @submit=${submit}>
    <label class="field"><span>${t("handover.note")}</span><textarea name="note" rows="4" maxlength="10000" .value=${desk.note}
      @input=${(event: Event) => { desk.note = (event.target as HTMLTextAreaElement).value; }}></textarea></label>
    <p class="muted small">${t("handover.stored")}</p>
    <button class="button primary" ?disabled=${ui.busy || store.link === "lost"}>${t("handover.give")}</button></form>`;
}

function openNow(now: OpenNow): TemplateResult {
  return html`${group("tasks", now.n_tasks, now.tasks, (task) => html`<li><button class="row" data-left-task=${task.id} @click=${() => void openTask(task.id)}>
      ${priority(task.priority)}<span class="grow"><strong>${task.title}</strong>
        <span class="line2">#${task.number} · ${task.call_sign ?? t("handover.no_unit")}${deadline(task.due_at)}</span></span>
      <span class="right">${statusBadge(task.status)}<span class="age">${since(task.since)}</span></span></button></li>`)}
    ${group("notices", now.n_notices, now.notices, (notice) => html`<li><button class="row" data-left-notice=${notice.id} @click=${() => void openNotice(notice.id)}>
      ${priority(notice.priority)}<span class="grow"><strong>${notice.headline}</strong>
        <span class="line2">#${notice.number}${notice.state === "cancelled" ? ` · ${code("notice_state", "cancelled")}` : ""}</span></span>
      <span class="right"><span class="age">✓ ${notice.confirmed}/${notice.of}</span><span class="age">${since(notice.created_at)}</span></span></button></li>`)}
    ${group("silent", now.n_silent, now.silent, (one) => html`<li><button class="row" data-left-silent=${one.device_id ?? one.unit_id} @click=${() => set({ unitId: one.unit_id })}>
      <span class="grow"><strong>${one.call_sign}</strong> <span class="muted">${t(one.device_id ? "alert.tracker_silent" : "alert.unit_silent")}</span>
        <span class="line2">${one.device ?? ""}${one.device && one.taken_by_name ? " · " : ""}${one.taken_by_name ?? ""}</span></span>
      <span class="age lost">${since(one.since)}</span></button></li>`)}`;
}

type Kind = "tasks" | "notices" | "silent";

function group<Item>(kind: Kind, n: number, items: Item[], row: (item: Item) => TemplateResult): TemplateResult {
  return html`<h3 class="group">${t(`handover.${kind}`)} <span class="count">${n}</span></h3>
    ${n ? html`<ul class="rows" data-left=${kind}>${items.map(row)}</ul>` : html`<p class="hint">${t("handover.none")}</p>`}
    ${n > items.length ? html`<p class="hint">${t("handover.more", { n: n - items.length })}</p>` : nothing}`;
}

function deadline(at: string | null): TemplateResult | typeof nothing {
  if (!at) return nothing;
  const [away, isOver] = [Math.abs(Date.parse(at) - serverNow(store)), Date.parse(at) < serverNow(store)];
  return html` · <span class=${isOver ? "due" : ""}>${t("handover.due", { at: (away > ANNOUNCED_MS / 2 ? dayTime : hourMinute)(at) })}</span>`;
}

/** One hand-over: whose, its words, how much was open, and who confirmed it or may. */
function card(handover: Handover, waits: boolean): TemplateResult {
  const { n_tasks: tasks, n_notices: notices, n_silent: silent } = handover;
  return html`<article class="left ${waits ? "waits" : ""}" data-handover=${handover.id}>
    ${waits ? html`<p><b>${t("handover.waiting")}</b></p>` : nothing}
    <p><strong>${handover.given_by_name}</strong> <span class="muted">${dayTime(handover.given_at)}</span></p>
    <p class="said">${handover.note || html`<span class="muted">${t("handover.no_note")}</span>`}</p>
    <p class="muted small">${t("handover.counts", { tasks, notices, silent })}</p>
    ${tasks + notices + silent ? then(handover.id) : nothing}${fate(handover)}</article>`;
}

function fate(handover: Handover): TemplateResult {
  if (handover.confirmed_at) return html`<p class="muted small">${t("handover.confirmed_by", { who: handover.confirmed_by_name ?? "", at: dayTime(handover.confirmed_at) })}</p>`;
  if (isMine(handover)) return html`<p class="muted">${t("handover.own")}</p>`;
  if (!may("handovers.give")) return html`<p class="muted">${t("handover.unconfirmed")}</p>`;
  return html`<button class="button primary confirm" ?disabled=${ui.busy || store.link === "lost"}
    @click=${() => void confirm(handover)}>${t("handover.confirm")}</button>`;
}

/** Confirm it; the button that had the keyboard goes with it. */
async function confirm(handover: Handover): Promise<void> {
  await confirmHandover(handover);
  await read(readNewest);
  document.querySelector<HTMLElement>("#handover")?.focus();
}

/** What it lists, as it stood then; asked for when it is opened. */
function then(id: string): TemplateResult {
  const whole = desk.whole.get(id);
  const toggled = (event: Event): void => { if ((event.target as HTMLDetailsElement).open) void read(() => readWhole(id)); };
  return html`<details @toggle=${toggled}><summary>${t("handover.then")}</summary>
    ${whole ? html`${thenGroup("tasks", whole.tasks.map(thenTask))}${thenGroup("notices", whole.notices.map(thenNotice))}${thenGroup("silent", whole.silent.map(thenSilent))}` : nothing}</details>`;
}

const thenGroup = (kind: Kind, rows: TemplateResult[]): TemplateResult | typeof nothing =>
  rows.length ? html`<p class="muted small">${t(`handover.${kind}`)}</p><ul>${rows}</ul>` : nothing;

const thenTask = (task: LeftTask): TemplateResult => html`<li>${priority(task.priority)}
  <button class="link" @click=${() => void openTask(task.id)}>#${task.number}</button> ${statusBadge(task.status)}
  <span class="muted">${callSign(task.unit_id) || t("handover.no_unit")}${deadline(task.due_at)}</span></li>`;

const thenNotice = (notice: LeftNotice): TemplateResult => html`<li>${priority(notice.priority)}
  <button class="link" @click=${() => void openNotice(notice.id)}>#${notice.number}</button>
  <span class="muted">✓ ${notice.confirmed}/${notice.of}</span></li>`;

const thenSilent = (one: LeftSilent): TemplateResult => html`<li><strong>${callSign(one.unit_id)}</strong>
  <span class="muted">${t(one.device_id ? "alert.tracker_silent" : "alert.unit_silent")} · ${dayTime(one.since)}</span></li>`;
