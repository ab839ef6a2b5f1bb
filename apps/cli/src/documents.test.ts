/** What the documents tell people to type. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { createProgram } from './program.js';

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const DOCUMENTS = [
  'README.md',
  'SECURITY.md',
  'docker/README.md',
  'docker/helm/scanmq/templates/NOTES.txt',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const { command: scanmq } = createProgram({ env: {}, stdout: process.stdout, stderr: process.stderr });

/** Everything in a document that is typed: fenced, or between back quotes. */
function typed(text: string): string[] {
  const fenced = [...text.matchAll(/^```\w*\n(.*?)^```/gms)].flatMap(([, block = '']) =>
    // what is continued on the next line, is one line; what is said about it, none of it
    block
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .map((line) => line.replace(/\s#\s.*$/, '')),
  );
  const inline = [...text.replaceAll(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, code = '']) => code,
  );
  return [...fenced, ...inline];
}

/**
 * The commands of scanmq in a line, each as its words; also where a container runs them. Others take its name as an
 * argument: `helm install scanmq`.
 */
const commandsIn = (line: string): string[][] =>
  [
    ...line.matchAll(
      /(?:(?:^|[\s(])(?<!http |generic |install )scanmq|run --rm(?: -T)? gateway)((?: +[^\s|;&>)"]+)+)/g,
    ),
  ].map(([, words = '']) => words.trim().split(/ +/));

/** The first word that means nothing to the command. */
function unknownWord(words: readonly string[]): string | undefined {
  let command = scanmq;
  for (const word of words) {
    if (word.startsWith('--')) {
      if (word === '--help' || word === '--version') continue;
      if (!command.options.some(({ long }) => long === word.split('=')[0])) return word;
      continue;
    }
    // an argument, or the value of an option
    if (command.commands.length === 0) continue;
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) return /^[A-Z…]/.test(word) ? undefined : word;
    command = next;
  }
  return undefined;
}

describe('the documents', () => {
  it.each(DOCUMENTS)('%s: every command of scanmq exists, with its options', (path) => {
    const text = readFileSync(join(root, path), 'utf8');
    const commands = (path.endsWith('.md') ? typed(text) : text.split('\n')).flatMap(commandsIn);
    const mistakes = commands.flatMap((words) => {
      const unknown = unknownWord(words);
      return unknown === undefined ? [] : [`scanmq ${words.join(' ')}: ${unknown}`];
    });
    expect(mistakes).toEqual([]);
  });

  it('are looked through by something that finds mistakes', () => {
    const lines = typed(`Neither \`scanmq dlg\` nor
\`\`\`sh
npx scanmq dlq retry --al   # all
scanmq status TASK | cat
helm install scanmq somewhere
docker compose run --rm gateway keys made
\`\`\`
`);
    expect(lines.flatMap(commandsIn).map(unknownWord)).toEqual(['--al', undefined, 'made', 'dlg']);
  });
});
