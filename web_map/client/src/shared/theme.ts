/** Night or day: chosen by the person, else by the system; night where neither says. */
export type Theme = "night" | "day";
const STORED = "outrider.theme";
const listeners = new Set<(theme: Theme) => void>();
const light = matchMedia("(prefers-color-scheme: light)");
let theme: Theme = initial();
apply();

function initial(): Theme {
  const stored = localStorage.getItem(STORED);
  if (stored === "night" || stored === "day") return stored;
  return light.matches ? "day" : "night";
}

function apply(): void {
  document.documentElement.dataset.theme = theme;
}

export const currentTheme = (): Theme => theme;

export function setTheme(chosen: Theme): void {
  theme = chosen;
  localStorage.setItem(STORED, chosen);
  apply();
  for (const listener of listeners) listener(chosen);
}

export const toggleTheme = (): void => setTheme(theme === "night" ? "day" : "night");

/** Call `listener` whenever the theme changes; returns how to stop. */
export function onTheme(listener: (theme: Theme) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
