import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { html, render, trusted } from './html.js';
import { duration, link, prose } from './words.js';

describe('the template', () => {
  it('escapes what is put into it, in texts and in attributes, and lists of it', () => {
    expect(render(html`<p title="${`"'`}">${['<b>', ']]>&amp;']}</p>`)).toBe(
      '<p title="&quot;&#39;">&lt;b&gt;]]&gt;&amp;amp;</p>',
    );
  });

  it('leaves its own results as they are, and nothing out of nothing', () => {
    expect(render(html`<p>${html`<b>${'<'}</b>`}${null}${undefined}${0}${trusted('<hr>')}</p>`)).toBe(
      '<p><b>&lt;</b>0<hr></p>',
    );
  });

  it('never lets a text begin or end anything', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = render(html`${text}`);
        expect(escaped).not.toMatch(/[<>"']/);
        expect(escaped).not.toMatch(/&(?!(?:amp|lt|gt|quot|#39);)/);
      }),
    );
  });

  it('shows characters that reorder a line, and takes out control characters', () => {
    expect(render(html`${'a\u202Egnp.exe\u2066\u0000\u001b[31m'}`)).toBe('a[U+202E]gnp.exe[U+2066][31m');
  });

  it('does not take data for its own results', () => {
    const forged = JSON.parse('{"Symbol(safe)":"<script>","safe":"<script>","markup":"<script>"}');
    expect(() => render(forged)).toThrow();
  });
});

describe('a link', () => {
  it('is made of web addresses only', () => {
    expect(render(link('https://a.example/?a=1&b=2'))).toBe(
      '<a href="https://a.example/?a=1&amp;b=2" rel="noreferrer noopener">https://a.example/?a=1&amp;b=2</a>',
    );
    for (const address of ['javascript:alert(1)', 'data:text/html,x', 'JaVaScRiPt:1', '//a', 'x'])
      expect(render(link(address))).toBe(address);
  });
});

describe('prose', () => {
  it('flows, but keeps lists', () => {
    expect(prose('one\ntwo\n\n  - a\n    more\n  - b', 100).map(render)).toEqual([
      '<p>one two</p>',
      '<p class="lines">  - a more\n  - b</p>',
    ]);
  });
});

describe('a duration', () => {
  it('is told in hours and minutes, or not at all', () => {
    expect(duration('2026-01-01T00:00:00Z', '2026-01-01T01:05:10Z')).toBe('1 h 5 min');
    expect(duration('2026-01-01T00:00:00Z', null)).toBeUndefined();
    expect(duration('2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z')).toBeUndefined();
  });
});
