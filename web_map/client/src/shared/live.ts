/** The live socket: connects, says hello, notices silence, comes back by itself; knows nothing of what it carries. */
import type { ServerMessage } from "./types";

export type LinkState = "connecting" | "up" | "lost";
const SILENCE_MS = 5_000;
const LONGEST_WAIT_MS = 4_000;
const SIGNED_OUT = new Set([4401, 4403]);
/** The socket's end because this person has as many open as one may have. */
export const TOO_MANY_OPEN = 4409;

export interface LiveOptions {
  path: "/api/v1/live" | "/api/v1/inbox/live";
  /** The fields of the hello message beside its kind; asked for at each connection, which ends when there are none. */
  hello: () => Record<string, unknown> | Promise<Record<string, unknown>>;
  message: (message: ServerMessage) => void;
  /** With "lost": the code the socket was closed with. */
  state: (state: LinkState, code?: number) => void;
  /** The session has ended or its rights are gone. */
  signedOut: () => void;
}

export class Live {
  private socket: WebSocket | null = null;
  private timer = 0;
  private silence = 0;
  private tries = 0;
  private closed = false;

  constructor(private readonly options: LiveOptions) {
    addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.hurry);
    this.connect();
  }

  /** Send a message if the socket is open; false when it is not. */
  send(message: Record<string, unknown>): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  close(): void {
    this.closed = true;
    removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.hurry);
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.socket?.close();
  }

  private readonly hurry = (): void => {
    if (this.timer && !document.hidden) {
      clearTimeout(this.timer);
      this.connect();
    }
  };

  private connect(): void {
    this.timer = 0;
    this.options.state("connecting");
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.options.path}`);
    this.socket = socket;
    this.listen();
    socket.onopen = async () => {
      try {
        const hello = await this.options.hello();
        if (this.socket === socket) this.send({ kind: "hello", ...hello });
      } catch {
        if (this.socket === socket) this.lost(0);
      }
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      if (this.socket !== socket) return;
      this.listen();
      const message = JSON.parse(event.data) as ServerMessage;
      if (message.kind === "welcome") {
        this.tries = 0;
        this.options.state("up");
      }
      this.options.message(message);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.lost(event.code);
    };
  }

  /** Silence counts as a lost connection: a dead link does not close itself. */
  private listen(): void {
    clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.lost(0), SILENCE_MS);
  }

  private lost(code: number): void {
    const socket = this.socket;
    this.socket = null;
    clearTimeout(this.silence);
    socket?.close();
    if (this.closed) return;
    this.options.state("lost", code);
    if (SIGNED_OUT.has(code)) {
      this.closed = true;
      this.options.signedOut();
      return;
    }
    const ceiling = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.tries++);
    this.timer = window.setTimeout(() => this.connect(), ceiling * (0.5 + Math.random() / 2));
  }
}
