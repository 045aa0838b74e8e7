import { expect, it } from '@jest/globals'
import { isStage } from '../../src/http/stage.ts'

it('knows a stage by its name', () => {
  expect(isStage({ at: 'deciding' })).toBe(true)
})

it.each([undefined, null, 'deciding', {}, { at: 1 }, { at: 'elsewhere' }, { at: 'toString' }])(
  'takes %j, as an older process may have kept it, for no stage',
  (value) => expect(isStage(value)).toBe(false),
)
