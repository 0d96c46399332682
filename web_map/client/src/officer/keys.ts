/** The key that a person's store on this device is sealed with: made once, kept wrapped by a key of the device. */
type Bytes = Uint8Array<ArrayBuffer>;

const NONCE_BYTES = 12;
const AES = { name: "AES-GCM", length: 256 } as const;
const USES: KeyUsage[] = ["encrypt", "decrypt"];

/** A key wrapped by another. */
export interface Wrapped {
  nonce: Bytes;
  content: Bytes;
}

const random = (n: number): Bytes => crypto.getRandomValues(new Uint8Array(n));

/** A key of this device that can be used but not read. */
export const deviceKey = (): Promise<CryptoKey> =>
  crypto.subtle.generateKey(AES, false, [...USES, "wrapKey", "unwrapKey"]);

async function wrap(key: CryptoKey, by: CryptoKey): Promise<Wrapped> {
  const nonce = random(NONCE_BYTES);
  return { nonce, content: new Uint8Array(await crypto.subtle.wrapKey("raw", key, by, { name: "AES-GCM", iv: nonce })) };
}

const unwrap = ({ nonce, content }: Wrapped, by: CryptoKey, extractable: boolean): Promise<CryptoKey> =>
  crypto.subtle.unwrapKey("raw", content, by, { name: "AES-GCM", iv: nonce }, AES, extractable, USES);

/** The key of a new store, wrapped by the device's. */
export const newStoreKey = async (device: CryptoKey): Promise<Wrapped> =>
  wrap(await crypto.subtle.generateKey(AES, true, USES), device);

/** A store's key, to be used and not read. */
export const openKey = (wrapped: Wrapped, by: CryptoKey): Promise<CryptoKey> => unwrap(wrapped, by, false);
