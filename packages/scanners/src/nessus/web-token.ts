/** Finding the token that the scanner's own web page sends, in `nessus6.js` (nessus-api.md section 1.4). */

const UUID = '[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}';
// other members of the same form exist in the bundle: anchored on the name, then a UUID
const ANCHORED = new RegExp(
  `getApiToken["']?\\s*,\\s*value\\s*:\\s*function\\s*\\(\\s*\\)\\s*\\{\\s*return\\s*["'](${UUID})["']`,
);
const AFTER_NAME = new RegExp(`getApiToken[\\s\\S]{0,400}?["'](${UUID})["']`);
const ANY = new RegExp(`["'](${UUID})["']`);

/** @returns undefined when the bundle holds no token, for instance while the scanner is loading. */
export function findWebToken(bundle: string): string | undefined {
  return (ANCHORED.exec(bundle) ?? AFTER_NAME.exec(bundle) ?? ANY.exec(bundle))?.[1];
}
