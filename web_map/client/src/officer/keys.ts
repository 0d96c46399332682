/**
 * The keys a person's store on this device is sealed with.
 *
 * The store has one key, made once. Without a PIN it is kept wrapped by a key of the device. With a PIN it is kept twice:
 * wrapped by what the PIN and the server's half give together, and by what the server's half alone gives to whoever has
 * signed in with the password. Of the server's half this device keeps, for one session, only what the PIN needs.
 */
export type Bytes = Uint8Array<ArrayBuffer>;

const NONCE_BYTES = 12;
const SALT_BYTES = 16;
/** What OWASP asks for PBKDF2 with SHA-256. */
const PIN_ITERATIONS = 600_000;
const AES = { name: "AES-GCM", length: 256 } as const;
const USES: KeyUsage[] = ["encrypt", "decrypt"];
const WRAPS: KeyUsage[] = ["wrapKey", "unwrapKey"];
const text = new TextEncoder();

/** A key, or a short secret, wrapped by a key. */
export interface Wrapped {
  nonce: Bytes;
  content: Bytes;
}

const random = (n: number): Bytes => crypto.getRandomValues(new Uint8Array(n));

export const newSalt = (): Bytes => random(SALT_BYTES);

/** A key of this device that can be used but not read. */
export const deviceKey = (): Promise<CryptoKey> => crypto.subtle.generateKey(AES, false, [...USES, ...WRAPS]);

/** Seal a short secret with a key of the device. */
export async function hide(secret: Bytes, by: CryptoKey): Promise<Wrapped> {
  const nonce = random(NONCE_BYTES);
  return { nonce, content: new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, by, secret)) };
}

export const reveal = async ({ nonce, content }: Wrapped, by: CryptoKey): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce }, by, content));

export async function wrap(key: CryptoKey, by: CryptoKey): Promise<Wrapped> {
  const nonce = random(NONCE_BYTES);
  return { nonce, content: new Uint8Array(await crypto.subtle.wrapKey("raw", key, by, { name: "AES-GCM", iv: nonce })) };
}

const unwrap = ({ nonce, content }: Wrapped, by: CryptoKey, extractable: boolean): Promise<CryptoKey> =>
  crypto.subtle.unwrapKey("raw", content, by, { name: "AES-GCM", iv: nonce }, AES, extractable, USES);

/** The key of a new store, wrapped by the device's. */
export const newStoreKey = async (device: CryptoKey): Promise<Wrapped> =>
  wrap(await crypto.subtle.generateKey(AES, true, USES), device);

/** A store's key, to be used and not read; fails when `by` is not the right one. */
export const openKey = (wrapped: Wrapped, by: CryptoKey): Promise<CryptoKey> => unwrap(wrapped, by, false);

/** A store's key once more, wrapped by others: it can be read only within this call. */
export async function rewrap(wrapped: Wrapped, by: CryptoKey, others: readonly CryptoKey[]): Promise<Wrapped[]> {
  const key = await unwrap(wrapped, by, true);
  return Promise.all(others.map((other) => wrap(key, other)));
}

/** 32 bytes that follow from a secret for one purpose and tell nothing of it, nor of those for another. */
async function derived(secret: Bytes, salt: Bytes, purpose: string): Promise<Bytes> {
  const from = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt, info: text.encode(`outrider ${purpose}`) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, from, 256));
}

const wrapping = (secret: Bytes): Promise<CryptoKey> => crypto.subtle.importKey("raw", secret, AES, false, WRAPS);

/** The server's half from its text (base64url). */
export const fromText = (half: string): Bytes =>
  Uint8Array.from(atob(half.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

/** What the PIN needs of the server's half; the half itself does not follow from it. */
export const halfForPin = (half: Bytes): Promise<Bytes> => derived(half, new Uint8Array(), "pin");

/** What wraps for whoever has signed in. */
export const keyBySignIn = async (half: Bytes): Promise<CryptoKey> => wrapping(await derived(half, new Uint8Array(), "sign-in"));

/** What wraps for whoever knows the PIN and has the server's half; slow on purpose. */
export async function keyByPin(pin: string, salt: Bytes, half: Bytes): Promise<CryptoKey> {
  const from = await crypto.subtle.importKey("raw", text.encode(pin), "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: PIN_ITERATIONS };
  const slow = new Uint8Array(await crypto.subtle.deriveBits(how, from, 256));
  return wrapping(await derived(slow, half, "store"));
}
