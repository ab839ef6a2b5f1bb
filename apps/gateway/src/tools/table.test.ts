/** The surface that agents see: every change of it shows in a file of its own below `apps/gateway/tools`. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { listedTools } from '../mcp/surface.js';
import { TOOL_PERMISSIONS } from './permissions.js';
import { createTools } from './table.js';

const FOLDER = join('apps', 'gateway', 'tools');
/** Contract section 3; about four characters make a token. */
const TOKENS = 8_000;
const CHARS_PER_TOKEN = 4;

const tools = listedTools(createTools());

describe('the tools as they are listed', () => {
  it.each(tools.map((tool) => [tool.name, tool] as const))('%s is as its file says', async (name, tool) => {
    const file = join(FOLDER, `${name}.json`);
    if (process.env.UPDATE_TOOLS) await writeFile(file, `${JSON.stringify(tool, undefined, 2)}\n`);
    // UPDATE_TOOLS=1 npm run jest -- table writes the files anew; read the difference before you commit it
    expect(JSON.parse(JSON.stringify(tool))).toEqual(JSON.parse(await readFile(file, 'utf8')));
  });

  it('have no files of tools that are gone', async () => {
    expect((await readdir(FOLDER)).sort()).toEqual(tools.map(({ name }) => `${name}.json`).sort());
  });

  it('have a permission each, which somebody has thought about', () => {
    expect(Object.keys(TOOL_PERMISSIONS)).toEqual(tools.map(({ name }) => name));
  });

  it('fit the budget of a model', () => {
    expect(JSON.stringify(tools).length / CHARS_PER_TOKEN).toBeLessThanOrEqual(TOKENS);
  });

  it('have everything that a model chooses by', () => {
    for (const { name, title, description, annotations, inputSchema, outputSchema } of tools) {
      expect(name).toMatch(/^[a-z]+(_[a-z]+)+$/);
      expect(title.length).toBeGreaterThan(3);
      expect(description.length).toBeGreaterThan(30);
      expect(Object.values(annotations)).toHaveLength(4);
      expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
      expect(outputSchema).toMatchObject({ type: 'object' });
    }
  });
});
