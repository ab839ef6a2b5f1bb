/** Borders of the house (ARCHITECTURE.md, "Rooms"). */
const RANKS = [
  ['contract'],
  ['config', 'observability', 'local-redis'],
  ['store'],
  ['scanners', 'findings', 'queue', 'webhooks', 'access', 'simulator'],
  ['processor'],
];

const only = (name, from, to, why) => ({
  name,
  severity: 'error',
  comment: why,
  from: { path: from },
  to: { path: to },
});

const upwards = RANKS.flatMap((rank, index) => {
  const above = [...(index === 0 ? [] : rank), ...RANKS.slice(index + 1).flat()];
  return rank.flatMap((name) => {
    const forbidden = above.filter((other) => other !== name);
    return [
      only(
        `${name}-imports-down-only`,
        `^packages/${name}/`,
        `^(packages/(${[...forbidden, 'testkit'].join('|')})|apps)/`,
        'imports point one way',
      ),
    ];
  });
});
for (const rule of upwards) rule.from.pathNot = '\\.test\\.ts$';

module.exports = {
  forbidden: [
    ...upwards,
    {
      ...only('testkit-only-in-tests', '.', '^packages/testkit/', 'the kit is for tests'),
      from: { pathNot: '(\\.test\\.ts$|^packages/testkit/|^tests/|^bench/)' },
    },
    only(
      'queue-knows-no-scanner',
      '^packages/queue/',
      'node_modules/(got|saxes|xml2js)/',
      'queue does not know Nessus',
    ),
    only(
      'scanners-know-no-queue',
      '^packages/(scanners|findings|webhooks|simulator|store)/',
      'node_modules/(bullmq|ioredis)/',
      'scanners, findings, webhooks and store do not know BullMQ',
    ),
    {
      ...only(
        'got-has-three-users',
        '.',
        'node_modules/got/',
        'only the drivers, the sender of webhooks and the client of our own API speak HTTP',
      ),
      from: { pathNot: '^(packages/(scanners|webhooks)|apps/cli)/|\\.test\\.ts$' },
    },
    {
      ...only('s3-has-one-user', '.', 'node_modules/@aws-sdk/', 'only the store knows S3'),
      from: { pathNot: '^packages/store/|\\.test\\.ts$|^tests/' },
    },
    {
      name: 'through-the-door',
      severity: 'error',
      comment: 'a package is entered by its src/index.ts only',
      from: { path: '^(packages|apps)/([^/]+)/' },
      to: {
        path: '^(packages|apps)/[^/]+/(src|dist)/',
        pathNot: '^(packages|apps)/$2/|/(src|dist)/index\\.(ts|js)$',
      },
    },
    {
      ...only(
        'simulator-has-two-users',
        '.',
        '^packages/simulator/',
        'nothing that runs in production knows the simulator',
      ),
      from: { pathNot: '^(packages/(simulator|testkit)|apps/cli)/|\\.test\\.ts$|^bench/' },
    },
    {
      name: 'nothing-unknown',
      severity: 'error',
      comment:
        'what cannot be found cannot be judged: a window into another package, or a build that is missing',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'dependencies-are-declared',
      severity: 'error',
      comment:
        'what a package imports stands in its own package.json; the kit for tests is never installed in production',
      from: { path: '^(packages|apps)/[^/]+/src/', pathNot: '\\.test\\.ts$|^packages/testkit/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: '(^|/)dist/|(\\.d\\.ts|\\.test\\.ts|main\\.ts|\\.js)$' },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules|/dist/' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
