/** The console by keyboard; single keys do nothing while something is typed. */
import { toggleTheme } from "../shared/theme";
import { leaveSupport, openTask, takeAlert, undoHeld } from "./actions";
import { askToClose, closable, standing, untaken } from "./alerts";
import { openHandover } from "./handover_panel";
import { chooseNumber, supportOpen } from "./nearest_list";
import { leaveNotice } from "./notice_form";
import { set, store, ui } from "./state";
import { queue } from "./store";
import { openHelp } from "./topbar";

interface Context {
  focusMap: () => void;
  show: (unitId: string) => void;
  newTask: () => void;
}

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.matches("input:not([type=radio]):not([type=checkbox]), select, textarea") || target.isContentEditable);

/** Move the focus among the rows of the list that has it (else of the work queue). */
function step(by: number): void {
  const focused = document.activeElement?.closest(".rows");
  const rows = [...(focused ?? document.querySelector(".side .rows") ?? document).querySelectorAll<HTMLElement>(".row")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.max(0, Math.min(rows.length - 1, at + by))]?.focus();
}

function back(): void {
  if (ui.help) set({ help: false });
  else if (ui.picking) set({ picking: false });
  else if (ui.asking) set({ asking: null });
  else if (ui.withdrawing) set({ withdrawing: null });
  else if (ui.panel === "task" && ui.supporting) leaveSupport(store.tasks.get(ui.taskId ?? ""));
  else if (ui.closing) set({ closing: null });
  else if (ui.drawing) set({ drawing: false });
  else if (ui.panel === "write_notice") leaveNotice();
  else if (ui.panel === "notice") set({ panel: "notices", noticeId: null });
  else if (ui.panel !== "queue") set({ panel: "queue", taskId: null, point: null });
  else set({ unitId: null });
}

/** Open the next thing that needs a decision: alarms first. */
function nextAlarm(): void {
  const alert = standing().find((one) => one.task_id);
  const task = alert?.task_id ?? queue(store)[0]?.id;
  if (task) void openTask(task);
}

/** Ask why the alert with the focus is over, else the first one that a person ends. */
function closeFirst(): void {
  const focused = document.activeElement?.closest<HTMLElement>("[data-listed]")?.dataset.listed;
  const alert = standing().find((one) => closable(one) && (!focused || one.id === focused));
  if (alert) askToClose(alert);
}

export function listenToKeys(context: Context): void {
  const actions: Record<string, () => void> = {
    "/": () => document.querySelector<HTMLInputElement>("#search")?.focus(),
    j: () => step(1),
    k: () => step(-1),
    n: nextAlarm,
    c: context.newTask,
    m: context.focusMap,
    v: () => set({ heat: { ...ui.heat, on: !ui.heat.on } }),
    t: toggleTheme,
    u: undoHeld,
    y: () => { const [alert] = untaken(); if (alert) void takeAlert(alert.id); },
    x: closeFirst,
    h: openHandover,
    s: supportOpen,
    a: () => document.querySelector<HTMLElement>(".nearest .row")?.focus(),
    "?": () => ui.help ? set({ help: false }) : openHelp(),
  };
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (typing(event.target)) (event.target as HTMLElement).blur();
      else back();
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
    if (/^[1-9]$/.test(event.key)) {
      if (chooseNumber(Number(event.key))) event.preventDefault();
      return;
    }
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
