/** The mark every page carries while the demonstration is loaded. */
import { onLanguage, t } from "./i18n";

export const isDemo = document.documentElement.dataset.demo === "1";

/** Put the mark on the page, if this is the demonstration. */
export function markDemo(): void {
  if (!isDemo) return;
  const mark = document.createElement("div");
  mark.className = "demo-mark";
  mark.setAttribute("role", "note");
  const write = (): void => { mark.textContent = t("demo.mark"); };
  write();
  onLanguage(write);
  document.body.append(mark);
}
