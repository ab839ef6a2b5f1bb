import { describe, expect, it } from '@jest/globals';
import { targetSet } from '@scanmq/contract';
import { checkWebhookUrl } from './url.js';

const nobody = targetSet([]);
const loopback = targetSet(['127.0.0.0/8', '::1']);

describe('the URL of a webhook', () => {
  it.each([
    ['not a url'],
    ['ftp://example.com/'],
    ['file:///etc/passwd'],
    ['javascript:alert(1)'],
    ['http://example.com/'],
    ['http://8.8.8.8/'],
    ['https://user:secret@example.com/'],
    ['https://example.com/#part'],
    ['https://127.0.0.1/'],
    ['https://2130706433/'],
    ['https://0x7f000001/'],
    ['https://0x7f.1/'],
    ['https://0177.0.0.1/'],
    ['https://127.1/'],
    ['https://127。0。0。1/'],
    ['https://[::1]/'],
    ['https://[::ffff:127.0.0.1]/'],
    ['https://[::ffff:7f00:1]/'],
    ['https://[64:ff9b::127.0.0.1]/'],
    ['https://169.254.169.254/latest/meta-data/'],
    ['https://10.0.0.1:8443/'],
    ['https://0/'],
  ])('%s is refused', (url) => {
    expect(() => checkWebhookUrl(url, nobody)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        issues: [expect.objectContaining({ path: 'url' })],
      }),
    );
  });

  it('may be any public one by https, and is answered in its normal form', () => {
    expect(checkWebhookUrl('HTTPS://CI.Example.com:443/hook?a=1', nobody)).toBe(
      'https://ci.example.com/hook?a=1',
    );
    expect(checkWebhookUrl('https://8.8.8.8/', nobody)).toBe('https://8.8.8.8/');
  });

  it('may be one of the networks that the operator named, by http too', () => {
    expect(checkWebhookUrl('http://127.0.0.1:9/x', loopback)).toBe('http://127.0.0.1:9/x');
    expect(checkWebhookUrl('http://[::1]:9/', loopback)).toBe('http://[::1]:9/');
    // where the name leads is looked at when it is called
    expect(checkWebhookUrl('http://builds.internal/', loopback)).toBe('http://builds.internal/');
    expect(() => checkWebhookUrl('http://8.8.8.8/', loopback)).toThrow('https');
    expect(() => checkWebhookUrl('https://10.0.0.1/', loopback)).toThrow('WEBHOOK_ALLOW_NETWORKS');
  });
});
