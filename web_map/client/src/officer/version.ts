/** Keeps the page on the device, and tells when a newer one is ready to be taken over. */
import { update } from "./store";

const LOOK_EVERY_MS = 3_600_000;
let kept: ServiceWorkerRegistration | null = null;

/** Have this page kept by its worker; pages without TLS have none, and nothing else changes for them. */
export async function keepPage(): Promise<void> {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (!workers) return;
  let served = workers.controller !== null;
  workers.addEventListener("controllerchange", () => {
    if (served) location.reload(); // another build serves from now on: versions never mix
    served = true;
  });
  try {
    kept = await workers.register("/officer-worker.js", { scope: "/officer", updateViaCache: "none" });
  } catch {
    return; // without a network it is the worker of the last time that serves
  }
  tellWaiting();
  kept.addEventListener("updatefound", () => kept?.installing?.addEventListener("statechange", tellWaiting));
  setInterval(look, LOOK_EVERY_MS);
}

function tellWaiting(): void {
  if (kept?.waiting && navigator.serviceWorker.controller) update({ newVersion: true });
}

/** Look whether the server has a newer page, now. */
export const look = (): void => void kept?.update().catch(() => undefined);

/** Take the newer page over; every tab loads it. */
export const takeOver = (): void => kept?.waiting?.postMessage("take over");
