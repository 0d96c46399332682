/**
 * A browser woken through Firebase, by Google's own library: loaded only where the server is set up for that.
 *
 * The library is used for its registration alone. What a push shows is our own worker's matter, as without it.
 */
import { getApps, initializeApp } from "@firebase/app";
import { getMessaging, onRegistered, register } from "@firebase/messaging";

/** Register the worker's subscription with the project that `options` name; the id that the server may send to. */
export async function firebaseTarget(options: Record<string, string>, worker: ServiceWorkerRegistration): Promise<string> {
  const messaging = getMessaging(getApps()[0] ?? initializeApp(options));
  const id = new Promise<string>((resolve) => onRegistered(messaging, resolve));
  await register(messaging, { vapidKey: options.vapidKey, serviceWorkerRegistration: worker });
  return id;
}
