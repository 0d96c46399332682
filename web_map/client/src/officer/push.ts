/** Being told what comes while the page is closed: the browser's subscription, and what the server knows of it. */
import { api, ApiError, request } from "../shared/api";
import type { PushConfig, PushTarget } from "../shared/contract";
import { currentLanguage, onLanguage, t } from "../shared/i18n";
import { clear, show, type News } from "../shared/notification";
import { refusalText } from "../shared/refusal";
import { renewed } from "../shared/session";
import { current, say } from "./desk";
import * as device from "./device";
import { fromText } from "./keys";
import { go } from "./routes";
import { state, update } from "./store";

/** Why it is on or not: the browser cannot, the server does not, there is no PIN, the browser may not, or as was chosen. */
export type PushState = "unsupported" | "unset" | "needs_pin" | "denied" | "off" | "on";

const LEAVE_MS = 4_000;
/** How often it was asked how things stand: only the last answer counts. */
let settling = 0;

const isSupported = (): boolean => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** Follow what the worker says, and take its notification away while the page is in sight. */
export function followPushes(): void {
  if (!isSupported()) return;
  const note = (): void => void device.noteLanguage(currentLanguage()).catch(reportError);
  const seen = (): void => {
    if (!document.hidden) void navigator.serviceWorker.ready.then(clear);
  };
  navigator.serviceWorker.addEventListener("message", ({ data }: MessageEvent<{ go?: string; look?: boolean }>) => {
    if (data.go) go(data.go);
    current()?.inbox?.poll();
  });
  navigator.serviceWorker.startMessages();
  document.addEventListener("visibilitychange", seen);
  onLanguage(note);
  note();
  seen();
}

/** Tell what came as the worker would, when the page is open and out of sight. */
export async function tellOutside(items: readonly News[]): Promise<void> {
  if (document.hidden && state.push === "on") await show(await navigator.serviceWorker.ready, items, currentLanguage());
}

/** Ask the server what it can do, and have it know this browser again if the person wants that. */
export async function settlePush(id: string): Promise<void> {
  const mine = ++settling;
  try {
    const now = await standing(id);
    if (state.me?.id === id && mine === settling) update({ push: now });
  } catch (error) {
    if (!(error instanceof ApiError) && !(error instanceof DOMException)) throw error;
  }
}

async function standing(id: string): Promise<PushState> {
  if (!isSupported()) return "unsupported";
  const key = await serverKey();
  if (!key) return "unset";
  const one = await device.person(id);
  if (!one?.enrolment) return "needs_pin";
  if (Notification.permission === "denied") return "denied";
  if (!one.push || Notification.permission !== "granted") return "off";
  await register(one.enrolment.id, key);
  return "on";
}

const serverKey = async (): Promise<string | null> =>
  (await api.get<PushConfig>("/installs/push-config")).webpush?.public_key ?? null;

/** Turn it on or off for whoever is signed in; what went wrong is said. */
export async function setPush(on: boolean): Promise<void> {
  const one = state.me && (await device.person(state.me.id));
  if (!one?.enrolment) return;
  try {
    if (on && (await Notification.requestPermission()) !== "granted") return await settlePush(one.id);
    const key = on ? await serverKey() : null;
    if (key) await register(one.enrolment.id, key);
    else await forget(one.enrolment.id);
    await device.note(one.id, { push: on });
    await settlePush(one.id);
  } catch (error) {
    if (error instanceof ApiError) say(refusalText(error));
    else if (error instanceof DOMException) say(t("officer.push.failed"));
    else throw error;
  }
}

/** Whoever is signed in locks the page or leaves: nothing is told until they are back. */
export async function pausePush(id: string): Promise<void> {
  const one = await device.person(id);
  if (!one?.enrolment || !one.push || !isSupported()) return;
  await forget(one.enrolment.id).catch((error: unknown) => {
    if (!(error instanceof ApiError) && !(error instanceof DOMException)) throw error;
  });
}

/** This device is shut out: the server has forgotten it, and the browser does. */
export async function endPush(): Promise<void> {
  if (isSupported()) await (await subscription())?.unsubscribe();
}

async function subscription(): Promise<PushSubscription | null> {
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** Subscribe with the server's key, anew when it has another than before, and tell the server where. */
async function register(installId: string, key: string): Promise<void> {
  let there = await subscription();
  if (there && !isFor(there, key)) {
    await there.unsubscribe();
    there = null;
  }
  const { pushManager } = await navigator.serviceWorker.ready;
  there ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint = "", keys } = there.toJSON();
  const push: PushTarget = {
    channel: "webpush", target: endpoint, target_kind: "endpoint", keys: { p256dh: keys?.p256dh ?? "", auth: keys?.auth ?? "" },
  };
  await tell(installId, push);
}

function isFor({ options }: PushSubscription, key: string): boolean {
  const bound = new Uint8Array(options.applicationServerKey ?? new ArrayBuffer(0));
  const wanted = fromText(key);
  return bound.length === wanted.length && bound.every((byte, place) => byte === wanted[place]);
}

/** Both forget the target; the browser also when the server cannot be told: then it learns at its next push. */
async function forget(installId: string): Promise<void> {
  const there = await subscription();
  await Promise.all([tell(installId, null), there?.unsubscribe()]);
}

const tell = (installId: string, push: PushTarget | null): Promise<void> =>
  renewed(() => request("PUT", `/installs/${installId}/push`, { body: { push }, signal: AbortSignal.timeout(LEAVE_MS) }));
