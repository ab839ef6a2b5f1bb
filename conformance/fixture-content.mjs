/** What the conformance suites expect of fixture tools, prompts and resources, in the protocol's own terms. */

/** 1 × 1 pixels, PNG. */
export const IMAGE = {
  type: 'image',
  data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  mimeType: 'image/png',
};
/** Header of an empty WAV file. */
export const AUDIO = {
  type: 'audio',
  data: 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=',
  mimeType: 'audio/wav',
};
export const text = (words) => ({ content: [{ type: 'text', text: words }] });
export const embedded = (uri) => ({
  type: 'resource',
  resource: { uri, mimeType: 'text/plain', text: 'This is an embedded resource.' },
});
const message = (content) => ({ role: 'user', content });

/** Tools that answer at once with fixed content. */
export const PLAIN_TOOLS = {
  test_simple_text: () => text('This is a simple text response for testing.'),
  test_image_content: () => ({ content: [IMAGE] }),
  test_audio_content: () => ({ content: [AUDIO] }),
  test_embedded_resource: () => ({ content: [embedded('test://embedded-resource')] }),
  test_multiple_content_types: () => ({
    content: [{ type: 'text', text: 'Several at once' }, IMAGE, embedded('test://mixed-content-resource')],
  }),
  test_error_handling: () => ({
    isError: true,
    ...text('This tool intentionally returns an error for testing'),
  }),
};

/** A JSON schema of dialect 2020-12 as it has to come through unchanged. */
export const SCHEMA_2020_12 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON schema
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

export const PROMPTS = {
  test_simple_prompt: {
    arguments: [],
    render: () => ({ messages: [message({ type: 'text', text: 'This is a simple prompt for testing.' })] }),
  },
  test_prompt_with_arguments: {
    arguments: ['arg1', 'arg2'],
    render: ({ arg1, arg2 }) => ({
      messages: [message({ type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` })],
    }),
  },
  test_prompt_with_embedded_resource: {
    arguments: ['resourceUri'],
    render: ({ resourceUri }) => ({
      messages: [message(embedded(resourceUri)), message({ type: 'text', text: 'Look at this resource.' })],
    }),
  },
  test_prompt_with_image: {
    arguments: [],
    render: () => ({ messages: [message(IMAGE), message({ type: 'text', text: 'Look at this image.' })] }),
  },
};

export const RESOURCES = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: IMAGE.data },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched resource content' },
};
export const TEMPLATE = 'test://template/{id}/data';

/** Contents of a resource; undefined when there is none. */
export function readResource(uri) {
  const fixed = RESOURCES[uri];
  if (fixed) return { contents: [{ uri, ...fixed }] };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (!id) return undefined;
  const data = { id, templateTest: true, data: `Data for ID: ${id}` };
  return { contents: [{ uri, mimeType: 'application/json', text: JSON.stringify(data) }] };
}

/** What is listed besides tools, for either SDK. */
export const LISTS = {
  prompts: Object.entries(PROMPTS).map(([name, prompt]) => ({
    name,
    description: `Fixture ${name}`,
    arguments: prompt.arguments.map((argument) => ({
      name: argument,
      description: argument,
      required: true,
    })),
  })),
  resources: Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({ uri, name: uri, mimeType })),
  resourceTemplates: [{ uriTemplate: TEMPLATE, name: 'template', mimeType: 'application/json' }],
};

export const COMPLETION = { completion: { values: ['paris', 'park', 'party'], total: 3, hasMore: false } };
export const EMPTY_INPUT = { type: 'object', properties: {} };
