/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';

const config: Config = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  testMatch: ['<rootDir>/(packages|apps)/*/src/**/*.test.ts', '<rootDir>/tests/**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^@scanmq/(gateway|worker)$': '<rootDir>/apps/$1/src/index.ts',
    '^@scanmq/([^/]+)$': '<rootDir>/packages/$1/src/index.ts',
  },
  globalSetup: '<rootDir>/tests/global-setup.mjs',
  globalTeardown: '<rootDir>/tests/global-teardown.mjs',
  reporters: ['default', '<rootDir>/tests/closing-line-reporter.cjs'],
  modulePathIgnorePatterns: ['/dist/'],
  // most of a test is the start of real programs, and a busy machine takes its time for that
  testTimeout: 120_000,
  maxWorkers: 2,
};

export default config;
