export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/scripts/strip-types.js' },
  coverageProvider: 'v8',
  modulePathIgnorePatterns: ['<rootDir>/(build|dist|.cache)/'],
  // says only that something is broken: a busy machine takes many times what a quiet one does
  testTimeout: 180_000,
};
