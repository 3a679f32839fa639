import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  createScriptTexts,
  hashOfText,
  slimScript,
  type ScriptTexts,
} from '../../src/controllers/exportscript/ingest.ts';
import { slimPlugin } from '../../src/controllers/otelplugin/ingest.ts';
import type { KubeObject } from '../../src/kube/types.ts';

const open = (texts: ScriptTexts): ScriptTexts => {
  texts.open();
  return texts;
};

const script = (more: object = {}): KubeObject => {
  const object = {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'ExportScript',
    metadata: { name: 's', namespace: 'shop', uid: 'u', generation: 3, annotations: { 'sluice.dev/run-now': 'once' } },
    spec: { pluginRef: { name: 'p' }, script: { inline: 'import px' } },
    status: {
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Scheduled',
          message: 'all of it',
          lastTransitionTime: '2026-01-01T00:00:00Z',
          observedGeneration: 3,
        },
      ],
      history: [{}],
    },
    ...more,
  };
  return object;
};

test('of a script neither text nor status is kept, but the text is at hand for the compiler', () => {
  const texts = open(createScriptTexts());
  const slim = slimScript(script(), texts);
  expect(JSON.stringify(slim)).not.toContain('import px');
  expect(JSON.stringify(slim)).not.toContain('all of it');
  expect(slim).toMatchObject({
    runNow: 'once',
    problem: undefined,
    spec: { window: '10s', maxRows: 100_000, script: { inlineHash: hashOfText('import px') } },
  });
  expect(texts.take(hashOfText('import px'))).toBe('import px');
  expect(texts.take(hashOfText('import px'))).toBeUndefined();
});

test('a text is put for the compiler once, and not with each change of a status', () => {
  const texts = open(createScriptTexts());
  const hash = hashOfText('import px');
  const first = slimScript(script(), texts);
  texts.take(hash);
  const later = slimScript(script({ status: {} }), texts, first);
  expect([texts.has(hash), later.spec === first.spec, later.conditionsHash]).toEqual([false, true, '']);
  // another generation with the same text
  const metadata = { name: 's', namespace: 'shop', uid: 'u', generation: 4 };
  const spec = { pluginRef: { name: 'q' }, script: { inline: 'import px' } };
  const changed = slimScript(script({ metadata, spec }), texts, later);
  expect([texts.has(hash), changed.spec?.pluginRef.name]).toEqual([false, 'q']);
  const other = { ...spec, script: { inline: 'import px # 2' } };
  slimScript(script({ metadata: { ...metadata, generation: 5 }, spec: other }), texts, changed);
  expect(texts.take(hashOfText('import px # 2'))).toBe('import px # 2');
  // another object of that name
  const another = slimScript(script({ metadata: { ...metadata, uid: 'v', generation: 4 } }), texts, changed);
  expect([another.spec?.pluginRef.name, another.metadata.uid]).toEqual(['p', 'v']);
});

test('only who leads keeps texts', () => {
  const texts = createScriptTexts();
  texts.put('a', 'text');
  expect(texts.has('a')).toBe(false);
  texts.open();
  texts.put('a', 'text');
  texts.close();
  expect(texts.has('a')).toBe(false);
});

test('texts are held up to a bound, the oldest go first', () => {
  const texts = open(createScriptTexts(10));
  texts.put('a', '12345678');
  texts.put('b', '12345');
  texts.put('b', '12345');
  expect([texts.take('a'), texts.take('b')]).toEqual([undefined, '12345']);
});

test('what this build does not take is kept with the reason', () => {
  const slim = slimScript(
    script({ spec: { pluginRef: { name: 'p' }, script: { inline: 'x' }, window: '90ms' } }),
    createScriptTexts(),
  );
  expect(slim.spec).toBeUndefined();
  expect(slim.problem).toContain('window');
  expect(slimPlugin({ metadata: { name: 'p' } }).problem).toBeDefined();
});

test('whatever the API server hands out, it can be kept', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (spec, status) => {
      const texts = createScriptTexts();
      expect(slimScript(script({ spec, status }), texts).metadata.uid).toBe('u');
      const plugin: object = { metadata: { name: 'p', namespace: 'n', uid: 'v' }, spec, status };
      expect(slimPlugin(plugin as KubeObject).metadata.uid).toBe('v');
    }),
  );
});
