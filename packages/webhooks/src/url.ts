/** Which URLs may be registered. What their host leads to is looked at with each connection. */
import { isIP } from 'node:net';
import { InvalidRequestError, isEmptySet, type TargetSet } from '@scanmq/contract';
import { judgeAddress } from './addresses.js';

/** The host of a URL as it is connected to: the WHATWG parser has made 2130706433, 0x7f.1 and 0177.1 to 127.0.0.1. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/**
 * @returns the URL in its normal form.
 * @throws InvalidRequestError for one that could never be called.
 */
export function checkWebhookUrl(text: string, allow: TargetSet): string {
  const refuse = (message: string): never => {
    throw new InvalidRequestError(`The url of the webhook is not valid: ${message}.`, [
      { path: 'url', message },
    ]);
  };
  if (!URL.canParse(text)) return refuse('expected a URL such as https://ci.example.com/hook');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refuse('expected https');
  if (url.username !== '' || url.password !== '')
    return refuse('expected no user name or password: it would be shown in lists; use the signature');
  if (url.hash !== '') return refuse('expected no fragment');
  const host = hostOf(url);
  const verdict = isIP(host) === 0 ? undefined : judgeAddress(host, allow);
  if (verdict === 'refused')
    return refuse(
      'expected a public address; one of loopback, link-local or private networks has to be in WEBHOOK_ALLOW_NETWORKS',
    );
  // a name may lead into an allowed network; which one is known when it is called
  if (url.protocol === 'http:' && (verdict === 'public' || isEmptySet(allow)))
    return refuse('expected https; http is for addresses of WEBHOOK_ALLOW_NETWORKS only');
  return url.href;
}
