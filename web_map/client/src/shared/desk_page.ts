/** A page of a desk that is a list, from the sign-in on: who may not use it is told; it is drawn once a frame. */
import { html, render, type TemplateResult } from "lit";
import "./theme.css";
import "./desk.css";
import "./listing.css";
import { markDemo } from "./demo";
import { deskBar } from "./desk";
import { onLanguage, t } from "./i18n";
import { loginForm } from "./login";
import { may, me, resume } from "./session";
import { openSheet } from "./sheet";
import { onTheme } from "./theme";

export interface DeskPage {
  here: string;
  /** The key of its title. */
  title: string;
  /** The permission without which there is nothing here. */
  right: string;
  body: () => TemplateResult;
  start: () => Promise<unknown>;
  /** Called after each drawing of the body. */
  drawn?: (root: HTMLElement) => void;
}

/** Show the page, and give the function that draws it anew. */
export function deskPage(page: DeskPage): () => void {
  const root = document.getElementById("app") as HTMLElement;
  let frame = 0;
  const redraw = (): void => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  function draw(): void {
    if (!me()) render(loginForm(() => void start(), redraw), root);
    else if (!may(page.right)) render(html`${deskBar(page.here, t(page.title))}<main class="listing"><p>${t("not_here")}</p></main>`, root);
    else {
      render(html`${deskBar(page.here, t(page.title))}${page.body()}`, root);
      openSheet(root);
      page.drawn?.(root);
    }
  }
  async function start(): Promise<void> {
    draw();
    if (may(page.right)) await page.start();
  }
  onLanguage(redraw);
  onTheme(redraw);
  markDemo();
  resume().then(
    (person) => (person ? start() : draw()),
    () => render(html`<main class="sign-in"><p class="fault" role="alert">${t("error.unreachable")}</p></main>`, root),
  );
  return redraw;
}

/** Do `work` again and again, but not unseen and not while `held`. */
export function every(ms: number, held: () => boolean, work: () => Promise<unknown>): void {
  setInterval(() => {
    if (!document.hidden && !held()) void work().catch(() => undefined);
  }, ms);
}

/** Arrow keys go from one `.pick` of a list to the next. */
export function byArrows(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const buttons = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(".pick")];
  const next = buttons[buttons.indexOf(document.activeElement as HTMLElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
