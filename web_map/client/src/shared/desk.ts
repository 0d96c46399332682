/** The bar above the pages of a desk: where one is, the way to the other pages, and the page's own switches. */
import { html, nothing, type TemplateResult } from "lit";
import { personButton } from "./account";
import { currentLanguage, LANGUAGES, setLanguage, t } from "./i18n";
import { may, signOut } from "./session";
import { currentTheme, toggleTheme } from "./theme";

const PAGES: readonly [href: string, permission: string, key: string][] = [
  ["/", "live.watch", "nav.live"],
  ["/shifts", "shifts.read", "nav.shifts"],
  ["/supervisor", "analysis.read", "nav.analysis"],
  ["/devices", "devices.read", "nav.devices"],
  ["/people", "people.read", "nav.people"],
];

/** Links to the pages a person may use, but for the one they are on. */
export const pageLinks = (here: string, style = "button"): (TemplateResult | typeof nothing)[] =>
  PAGES.map(([href, permission, key]) => (href !== here && may(permission) ? html`<a class=${style} href=${href}>${t(key)}</a>` : nothing));

export function deskBar(here: string, title: string): TemplateResult {
  return html`<header class="bar"><span class="brand"><img src="/static/icon.svg" alt="">Outrider</span>
    <h1>${title}</h1><span class="grow"></span>${pageLinks(here)}
    <button class="button" @click=${toggleTheme}>${t(currentTheme() === "night" ? "theme.day" : "theme.night")}</button>
    ${LANGUAGES.filter((language) => language !== currentLanguage()).map((language) => html`<button class="button" lang=${language} @click=${() => setLanguage(language)}>${t(`language.${language}`)}</button>`)}
    ${personButton()}
    <button class="button" @click=${() => void signOut().then(() => location.reload())}>${t("log_out")}</button></header>`;
}
