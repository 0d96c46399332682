/** Being told what comes while the page is closed: the browser's subscription, and what the server knows of it. */
import { deleteDB } from "idb";
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

/** How browsers are woken: the key that their subscription is bound to, and Firebase's options when that is the way. */
interface Way {
  key: string;
  firebase: Record<string, string> | null;
}

const LEAVE_MS = 4_000;
/** Where Firebase's library notes that it has registered this browser, whatever became of the subscription since. */
const FIREBASE_NOTES = "firebase-messaging-database";
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
  const way = await serversWay();
  if (!way) return "unset";
  const one = await device.person(id);
  if (!one?.enrolment) return "needs_pin";
  if (Notification.permission === "denied") return "denied";
  if (!one.push || Notification.permission !== "granted") return "off";
  await register(one.enrolment.id, way);
  return "on";
}

/** The server's own key comes first: with it nobody else is asked. */
async function serversWay(): Promise<Way | null> {
  const { webpush, fcm } = await api.get<PushConfig>("/installs/push-config");
  if (webpush) return { key: webpush.public_key, firebase: null };
  return fcm?.vapidKey ? { key: fcm.vapidKey, firebase: fcm } : null;
}

/** Turn it on or off for whoever is signed in; what went wrong is said. */
export async function setPush(on: boolean): Promise<void> {
  const one = state.me && (await device.person(state.me.id));
  if (!one?.enrolment) return;
  try {
    if (on && (await Notification.requestPermission()) !== "granted") return await settlePush(one.id);
    const way = on ? await serversWay() : null;
    if (way) await register(one.enrolment.id, way);
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
async function register(installId: string, { key, firebase }: Way): Promise<void> {
  let there = await subscription();
  if (there && !isFor(there, key)) {
    await there.unsubscribe();
    there = null;
  }
  const worker = await navigator.serviceWorker.ready;
  if (!there) {
    there = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    if (firebase) await deleteDB(FIREBASE_NOTES);
  }
  await tell(installId, firebase ? await throughFirebase(firebase, worker) : direct(there));
}

function direct(there: PushSubscription): PushTarget {
  const { endpoint = "", keys } = there.toJSON();
  const { p256dh = "", auth = "" } = keys ?? {};
  return { channel: "webpush", target: endpoint, target_kind: "endpoint", keys: { p256dh, auth } };
}

async function throughFirebase(options: Record<string, string>, worker: ServiceWorkerRegistration): Promise<PushTarget> {
  try {
    const { firebaseTarget } = await import("./firebase");
    return { channel: "fcm", target: await firebaseTarget(options, worker), target_kind: "fid" };
  } catch (error) { // whatever the library says of it: its part could not be loaded, or Google not be reached
    throw new DOMException(String(error), "NetworkError");
  }
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
