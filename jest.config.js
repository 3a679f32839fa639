export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/scripts/strip-types.js' },
  coverageProvider: 'v8',
  modulePathIgnorePatterns: ['<rootDir>/(build|dist|.cache)/'],
  // of machines that do other things besides
  testTimeout: 180_000,
};
