/** What a person is told when the server says no, in the reader's language. */
import { ApiError } from "./api";
import { currentLanguage, known, t } from "./i18n";

/** The server's own sentence says most but is English; other readers get the catalogue's text of its code. */
export function refusalText(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 0) return t("error.unreachable");
  const faults = error.errors.map((fault) => (currentLanguage() === "en" ? `${fault.field}: ${fault.detail}` : fault.field));
  return refusedFor(error.code, faults.join("; ") || error.message, String(error.body.guard ?? ""));
}

/** The same from what was kept of an error: its code, and what was said in English or the fields that were wrong. */
export function refusedFor(name: string, detail: string, guard = ""): string {
  if (currentLanguage() === "en" && detail) return detail;
  const text = known(`guard.${guard}`) ?? known(`error.${name}`);
  if (!text) return detail || name;
  return name === "invalid" && detail ? `${text}: ${detail}` : text;
}
