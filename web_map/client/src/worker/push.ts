/**
 * Pushes, which only say "look": an open page is told to, else the device's notification says what came.
 *
 * What came is read from the inbox with the session of whoever is signed in here; without one, or without a network, the
 * notification says only that something did. Nothing is acknowledged by it: the page does that when it has stored it.
 */
import { background } from "../officer/device";
import { show, type News } from "../shared/notification";

declare const self: ServiceWorkerGlobalScope;

const READ_MS = 5_000;
const MOST = 200;
const PAGE = "/officer";

const pages = (): Promise<readonly WindowClient[]> => self.clients.matchAll({ type: "window", includeUncontrolled: true });

/** What this person's inbox holds beyond what their device has; nothing when that cannot be read as them. */
async function unread(id: string, seq: number): Promise<News[]> {
  try {
    const answer = await fetch(`/api/v1/inbox?after=${seq}&limit=${MOST}`, { signal: AbortSignal.timeout(READ_MS) });
    if (!answer.ok || answer.headers.get("X-Outrider-User") !== id) return [];
    return ((await answer.json()) as { items: News[] }).items;
  } catch {
    return [];
  }
}

/** A push came. */
export async function pushed(): Promise<void> {
  const open = await pages();
  for (const page of open) page.postMessage({ look: true });
  if (open.some((page) => page.visibilityState === "visible")) return;
  const { id, seq, language } = await background();
  const items = id === null ? [] : await unread(id, seq);
  await show(self.registration, items, language ?? (navigator.language.startsWith("lt") ? "lt" : "en"), true);
}

/** The notification was tapped: the page comes to the front with what it was about, or is opened there. */
export async function tapped(notification: Notification): Promise<void> {
  notification.close();
  const to = (notification.data as { to: string }).to;
  const page = (await pages()).find((one) => new URL(one.url).pathname === PAGE);
  if (!page) return void (await self.clients.openWindow(PAGE + to));
  page.postMessage({ go: to });
  await page.focus();
}
