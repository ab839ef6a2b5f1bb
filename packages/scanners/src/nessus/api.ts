/** Calls to the Nessus API: login, renewal, the page's token, limits on parallel requests, and errors by status. */
import type { ScannerInstanceConfig } from '@scanmq/config';
import { ScannerError } from '@scanmq/contract';
import pLimit from 'p-limit';
import { secretsOf } from './config-secrets.js';
import { errorText } from './decode.js';
import type { Answer, Download, Exchange, ScannerHttp } from './http.js';
import type { ScannerSession } from './session.js';

export interface Call extends Omit<Exchange, 'headers' | 'write'> {
  /** `read` and `export` work with any login; `scan` changes scans, which some licences refuse (nessus-api.md section 1.4). */
  readonly kind: 'read' | 'export' | 'scan';
  /** Statuses beside 200 that the caller understands. */
  readonly accept?: readonly number[];
  /** What was sent that no error may repeat, beside the login of the scanner. */
  readonly secrets?: readonly string[];
}

export interface NessusApi {
  /** @throws ScannerError for any status that is neither 200 nor accepted. */
  call(call: Call): Promise<Answer>;
  /** The answer as a stream, whatever its status. */
  download(request: Omit<Exchange, 'headers' | 'write'>): Promise<Download>;
}

export function createApi(
  config: ScannerInstanceConfig,
  http: ScannerHttp,
  session: ScannerSession,
  parallelRequests: number,
): NessusApi {
  const { instanceKey } = config;
  const inParallel = pLimit(parallelRequests);
  const oneByOne = pLimit(1);
  const webSession = config.interface === 'web_session' && config.auth.kind === 'session';

  async function send(call: Call): Promise<Answer> {
    let renewed = false;
    let tokenRenewed = false;
    for (;;) {
      const headers = await session.headers(call.signal);
      const withToken =
        webSession && call.kind === 'scan' ? { 'x-api-token': await session.webToken(call.signal) } : {};
      const answer = await exchange(call, { ...headers, ...withToken });
      // neither of the two was executed, so sending a write again is safe (nessus-api.md sections 1.3 and 1.4)
      if (answer.status === 401 && !renewed && session.expire(headers)) {
        renewed = true;
        continue;
      }
      if (answer.status === 412 && webSession && !tokenRenewed) {
        session.forgetWebToken();
        tokenRenewed = true;
        continue;
      }
      return answer;
    }
  }

  async function exchange(call: Call, headers: Readonly<Record<string, string>>): Promise<Answer> {
    try {
      return await http.exchange({ ...call, headers, write: call.kind === 'scan' });
    } catch (error) {
      // a 412 is often followed by a reset that swallows it: the token may be the cause
      if (webSession && error instanceof ScannerError && error.retryable === 'unknown_outcome')
        session.forgetWebToken();
      throw error;
    }
  }

  return {
    async call(call) {
      const limited =
        call.kind === 'scan'
          ? () => oneByOne(() => inParallel(() => send(call)))
          : () => inParallel(() => send(call));
      const answer = await limited();
      if (answer.status === 200 || call.accept?.includes(answer.status)) return answer;
      throw errorOf(answer, call, instanceKey, config);
    },

    async download(request) {
      for (let renewed = false; ; renewed = true) {
        const headers = await session.headers(request.signal);
        const answer = await http.download({ ...request, headers, write: false });
        if (answer.status !== 401 || renewed || !session.expire(headers)) return answer;
        answer.body.destroy();
      }
    },
  };
}

/** What a status means, and whether trying again can help. */
export function errorOf(
  answer: Answer,
  call: Pick<Call, 'operation' | 'secrets'>,
  instanceKey: string,
  config: ScannerInstanceConfig,
): ScannerError {
  const words = errorText(answer.body, [...secretsOf(config), ...(call.secrets ?? [])]);
  const said = words === '' ? '' : ` and said: ${words}`;
  const facts = {
    instanceKey,
    operation: call.operation,
    scannerHttpStatus: answer.status,
    scannerMessage: words,
  };
  const { operation } = call;
  if (answer.body.startsWith("You're speaking plain HTTP")) {
    return new ScannerError(
      'scanner_rejected',
      `${instanceKey} speaks TLS, but was asked without it. Use https:// in url.`,
      facts,
    );
  }
  switch (answer.status) {
    case 401:
      return new ScannerError(
        'scanner_auth_failed',
        config.auth.kind === 'api_keys'
          ? `${instanceKey} refused our API keys. They may have been generated anew.`
          : `${instanceKey} refused our session twice.`,
        facts,
      );
    case 403:
      return new ScannerError(
        'scanner_rejected',
        `The user of scanmq on ${instanceKey} may not do '${operation}'${said}.`,
        facts,
      );
    case 412:
      return new ScannerError(
        'scanner_export_only',
        `The licence of ${instanceKey} does not offer '${operation}' by API${said}.`,
        facts,
      );
    case 429:
    case 503:
      return new ScannerError(
        'scanner_unreachable',
        `${instanceKey} is loading or busy (${answer.status})${said}.`,
        facts,
      );
    default:
      return new ScannerError(
        'scanner_rejected',
        `${instanceKey} answered ${answer.status} to '${operation}'${said}.`,
        { ...facts, retryable: answer.status >= 500 ? 'yes' : 'no' },
      );
  }
}
