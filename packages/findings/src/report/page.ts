/** The frame of a report: head, policy, style and script. Everything is in the one file. */
import { hash } from 'node:crypto';
import { type Html, html, trusted } from './html.js';
import { SCRIPT } from './script.js';
import { STYLE } from './style.js';
import { moment } from './words.js';

/**
 * Only this style and this script, by their hashes: whatever else got into the page could neither run nor load anything.
 */
const POLICY = [
  "default-src 'none'",
  `style-src '${hashSource(STYLE)}'`,
  `script-src '${hashSource(SCRIPT)}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/**
 * The same for those who send a page, with what only a header can say: it stands apart from whatever else comes from
 * the same place, and in nobody's frame. Forms send nothing, but tell its script (form-action).
 */
export const REPORT_POLICY = `${POLICY}; frame-ancestors 'none'; sandbox allow-scripts allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox`;

export interface PageHead {
  readonly title: string;
  /** For a policy that comes in a header and knows a nonce; the policy inside the page needs none. */
  readonly nonce: string | undefined;
}

/** From the doctype to the begin of the content. */
export function pageStart({ title, nonce }: PageHead): Html {
  const attribute = nonce === undefined ? '' : html` nonce="${nonce}"`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>${title}</title>
<style${attribute}>${trusted(STYLE)}</style>
</head>
<body>
<main>
`;
}

/** The rest of the page. */
export function pageEnd(generatedAt: Date, nonce: string | undefined): Html {
  const attribute = nonce === undefined ? '' : html` nonce="${nonce}"`;
  return html`
</main>
<footer><p>Made by scanmq, ${moment(generatedAt)}. Texts of findings come from the scanner and from the scanned hosts.</p></footer>
<script${attribute}>${trusted(SCRIPT)}</script>
</body>
</html>
`;
}

function hashSource(text: string): string {
  return `sha256-${hash('sha256', text, 'base64')}`;
}
