const HIDDEN = '[redacted]';
const SECRET_NAME =
  /pass(word|wd|phrase)?s?$|secret|tokens?$|^authorization$|cookies?$|api_?-?keys?$|access_?-?key$|private_?-?key$|credentials?(_?key)?$|^headers$/i;

/** A finished line, one JSON document, with the values of telling field names hidden at any depth. */
export function hideFields(line: string): string {
  return JSON.stringify(JSON.parse(line, hideByName));
}

function hideByName(name: string, value: unknown): unknown {
  // true and null tell whether there is one, not what it is
  return SECRET_NAME.test(name) && value !== null && typeof value !== 'boolean' ? HIDDEN : value;
}
