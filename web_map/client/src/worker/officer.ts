/**
 * Keeps the officers' page on the device: the page, its scripts and styles, the map area; never an answer of the API.
 * And tells what came while no page is in sight.
 *
 * Each build has a cache of its own and is served from that alone, so that versions never mix. A new build waits beside
 * the old one until the officer takes it over, or until the page is opened anew.
 */
import { pushed, tapped } from "./push";

/** Put before this script by the server: the build, and the paths it consists of. */
declare const SHELL: { build: string; files: string[] };
declare const self: ServiceWorkerGlobalScope;

const PREFIX = "outrider-officer-";
const CACHE = PREFIX + SHELL.build;
const PAGE = "/officer";
const FILES = new Set(SHELL.files);

/** Fetch the whole build; fails, and is tried again later, when the server has another one by now. */
async function fill(): Promise<void> {
  const page = await fetch(PAGE, { cache: "reload" });
  if (!page.ok || !(await page.clone().text()).includes(`data-build="${SHELL.build}"`)) throw new Error("another build");
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL.files.map((file) => new Request(file, { cache: "no-cache" })));
  await cache.put(PAGE, page);
}

async function takeOver(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** What is kept; the server has it too, should the browser have thrown it away. */
async function kept(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  return (await cache.match(path, { ignoreVary: true })) ?? fetch(request);
}

self.addEventListener("install", (event) => event.waitUntil(fill()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(self.skipWaiting());
});
self.addEventListener("push", (event) => event.waitUntil(pushed()));
self.addEventListener("notificationclick", (event) => event.waitUntil(tapped(event.notification)));
self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin) return;
  if (FILES.has(pathname) || (mode === "navigate" && pathname === PAGE)) event.respondWith(kept(pathname, event.request));
});
