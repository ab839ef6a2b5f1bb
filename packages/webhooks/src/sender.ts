/** One delivery: a signed POST, and what came of it in our own words. */
import { type DeliveryAttempt, type DeliveryError, LIMITS, type TargetSet } from '@scanmq/contract';
import got, { RequestError, TimeoutError } from 'got';
import { ConnectionRefusedByPolicy, createAgents, type ResolveName, resolveBySystem } from './connection.js';
import { type Message, signatureHeaders } from './signature.js';

export interface SenderOptions {
  /** WEBHOOK_ALLOW_NETWORKS. */
  readonly allow: TargetSet;
  /** For everything: name, connection, TLS, request and answer. */
  readonly timeoutMs: number;
  readonly now: () => Date;
  readonly resolve?: ResolveName;
}

export interface WebhookSender {
  /**
   * Never throws for what the receiver or the network does: that is in the attempt.
   * @throws the reason of the signal when it is aborted; whether the message arrived is not known then.
   */
  send(url: string, secret: string, message: Message, signal: AbortSignal): Promise<DeliveryAttempt>;
}

const WORDS: Readonly<Record<string, DeliveryError>> = {
  ENOTFOUND: 'name_not_found',
  EAI_AGAIN: 'name_not_found',
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
};
const OF_TLS =
  /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA)/;

export function createWebhookSender(options: SenderOptions): WebhookSender {
  const agents = createAgents(options.allow, options.resolve ?? resolveBySystem);

  /** Status and size of the answer; the answer itself is dropped as it comes. */
  function post(url: string, headers: Record<string, string>, body: string, signal: AbortSignal) {
    return new Promise<{ status: number; bytes: number }>((resolve, reject) => {
      const stream = got.stream.post(url, {
        body,
        headers,
        signal,
        agent: agents,
        followRedirect: false,
        throwHttpErrors: false,
        decompress: false,
        retry: { limit: 0 },
        timeout: { request: options.timeoutMs },
        https: { rejectUnauthorized: true },
      });
      let status: number | undefined;
      let bytes = 0;
      // after the status, whatever happens to the rest of the answer changes nothing
      const end = (error: unknown): void => {
        if (status === undefined || signal.aborted) reject(error);
        else resolve({ status, bytes });
        stream.destroy();
      };
      stream.on('error', end);
      stream.on('response', (response: { statusCode: number }) => {
        status = response.statusCode;
      });
      stream.on('data', (chunk: Buffer) => {
        bytes = Math.min(LIMITS.webhookAnswerBytes, bytes + chunk.length);
        if (bytes === LIMITS.webhookAnswerBytes) end(undefined);
      });
      stream.on('end', () => end(new Error('no answer')));
    });
  }

  return {
    async send(url, secret, message, signal) {
      signal.throwIfAborted();
      const begun = options.now();
      const attempt = (status: number | null, error: DeliveryError | null, bytes: number) => ({
        at: begun.toISOString(),
        status_code: status,
        error,
        duration_ms: Math.max(0, options.now().getTime() - begun.getTime()),
        answer_bytes: bytes,
      });
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'scanmq',
        ...signatureHeaders(message, secret, begun),
      };
      try {
        const { status, bytes } = await post(url, headers, message.body, signal);
        return attempt(status, errorOfStatus(status), bytes);
      } catch (error) {
        signal.throwIfAborted();
        return attempt(null, errorOf(error), 0);
      }
    },
  };
}

function errorOfStatus(status: number): DeliveryError | null {
  if (status >= 200 && status < 300) return null;
  return status >= 300 && status < 400 ? 'redirect' : 'status';
}

function errorOf(error: unknown): DeliveryError {
  if (error instanceof TimeoutError) return 'timeout';
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof ConnectionRefusedByPolicy) return at.word;
    const code = 'code' in at && typeof at.code === 'string' ? at.code : '';
    const word =
      WORDS[code] ?? (OF_TLS.test(code) ? 'tls' : code.startsWith('HPE_') ? 'not_http' : undefined);
    if (word !== undefined) return word;
    // happy eyeballs: each address has an error of its own
    if (at instanceof AggregateError && at.errors.length > 0) return errorOf(at.errors[0]);
  }
  return error instanceof RequestError && error.code === 'ECONNABORTED' ? 'reset' : 'failed';
}
