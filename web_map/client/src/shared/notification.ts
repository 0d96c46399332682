/**
 * What the device's notification says, shown by the page in the background or by its worker: number and priority alone,
 * since a locked screen can be read by anybody.
 */
import en from "./i18n/push.en.json";
import lt from "./i18n/push.lt.json";

/** An item of the inbox, as far as it is told here. */
export interface News {
  kind: string;
  body: object;
}

interface Told {
  title: string;
  /** The fragment of the screen it leads to. */
  to: string;
  urgent: boolean;
}

const TAG = "outrider-news";
const ICON = "/static/officer-192.png";
const CATALOGUES: Record<string, Record<string, string>> = { en, lt };

const text = (language: string, key: string, values: Record<string, unknown> = {}): string =>
  (CATALOGUES[language]?.[key] ?? key).replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));

/** What these items are told as; null when nothing in them is news. Of several tasks the most urgent leads. */
function told(items: readonly News[], language: string): Told | null {
  const last = new Map<unknown, Told & { rank: string }>();
  for (const { kind, body } of items) {
    const fields = body as Record<string, unknown>;
    const urgent = fields.priority === "P1" || fields.priority === "P2";
    const title = (key: string): string => text(language, key, fields);
    if (kind === "task") {
      last.delete(fields.id);
      if (fields.status === "issued") {
        last.set(fields.id, { title: title("push.task"), to: `#/task/${fields.id}`, urgent, rank: `0${fields.priority}` });
      } else if (fields.status === "cancelled") {
        last.set(fields.id, { title: title("push.task_cancelled"), to: `#/task/${fields.id}`, urgent, rank: "1" });
      }
    } else if (kind === "notice") {
      last.set(fields.id, { title: title("push.notice"), to: `#/notice/${fields.id}`, urgent, rank: `2${fields.priority}` });
    } else if (kind === "message") {
      last.set(fields.id, { title: title("push.message"), to: `#/task/${fields.task_id}/messages`, urgent: false, rank: "3" });
    }
  }
  return [...last.values()].sort((a, b) => a.rank.localeCompare(b.rank))[0] ?? null;
}

/** Show what came, in place of what was shown before. `always`: also when nothing is known of it. */
export async function show(
  registration: ServiceWorkerRegistration, items: readonly News[], language: string, always = false,
): Promise<void> {
  const found = told(items, language) ?? (always ? { title: text(language, "push.news"), to: "#/", urgent: false } : null);
  if (!found) return;
  const options: NotificationOptions & { renotify: boolean } = {
    body: text(language, "push.open"), tag: TAG, renotify: true, requireInteraction: found.urgent, lang: language,
    icon: ICON, data: { to: found.to },
  };
  await registration.showNotification(found.title, options);
}

/** What was told is on the screen now. */
export async function clear(registration: ServiceWorkerRegistration): Promise<void> {
  for (const one of await registration.getNotifications({ tag: TAG })) one.close();
}
